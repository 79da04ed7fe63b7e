//! What is known of nodes that were asked.

use alloy_primitives::B256;
use heddle_rpc::{ConsensusReport, StatusReport};
use std::time::Duration;

/// How much longer than expected a block may take before its chain counts as stalled.
const PATIENCE: Duration = Duration::from_secs(10);

/// A node that was asked.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its JSON-RPC, as it was named.
    pub name: String,
    /// What it said, or what is wrong and the fix.
    pub answer: Result<Facts, Failure>,
}

/// Why a node says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub fix: &'static str,
}

/// What a node said.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `heddle_status`.
    pub status: StatusReport,
    /// `heddle_consensusState`.
    pub consensus: Option<ConsensusReport>,
    /// Number and hash of its block at the lowest head of all nodes of its chain that were asked.
    pub common: Option<(u64, B256)>,
    /// By how many milliseconds its clock is ahead of this machine's, as exact as the call was quick.
    pub clock_ahead: i64,
    /// How exact that is: half of the time that the call took, in milliseconds.
    pub clock_error: u64,
}

impl Facts {
    /// Its head.
    pub fn head(&self) -> u64 {
        self.status.head.number.to()
    }

    /// Its clock, in milliseconds since 1970.
    pub fn now(&self) -> u64 {
        self.status.node.time.to()
    }

    /// All its peers.
    pub fn peers(&self) -> u64 {
        let peers = self.status.node.peers;
        peers.inbound.to::<u64>().saturating_add(peers.outbound.to())
    }

    /// How long ago its head was made, by its own clock.
    pub fn head_age(&self) -> Duration {
        let made = self.status.head.timestamp.to::<u64>();
        Duration::from_secs((self.now() / 1_000).saturating_sub(made))
    }

    /// How long it may take until the next block comes: an idle chain waits before an empty one. `None` on a chain to
    /// which nobody adds blocks.
    pub fn block_expected(&self) -> Option<Duration> {
        let milliseconds = match self.status.mempool.pending.is_zero() {
            true => self.status.empty_block_time?.max(self.status.block_time?),
            false => self.status.block_time?,
        };
        Some(Duration::from_millis(milliseconds.to()))
    }

    /// Whether a state is being fetched: until it is there, the head is genesis, whose age says nothing.
    pub fn is_fetching_state(&self) -> bool {
        self.status.sync.is_some_and(|sync| sync.state.is_some())
    }

    /// Whether the chain cannot be judged by this node's head: it catches up, or its head is old and its peers have later
    /// blocks.
    pub fn is_behind(&self) -> bool {
        let lags = !self.status.node.lag.is_zero();
        self.block_expected().is_some() && (self.status.sync.is_some() || lags && self.overdue().is_some())
    }

    /// For how long no block has come, when that is too long and the node is not behind its peers.
    pub fn stalled_for(&self) -> Option<Duration> {
        self.overdue().filter(|_| !self.is_behind())
    }

    /// The age of the head, when that is too long.
    fn overdue(&self) -> Option<Duration> {
        let patience = self.block_expected()? * 2 + PATIENCE;
        // Genesis was made before anybody started.
        let age = match (self.head(), &self.consensus) {
            (0, Some(state)) => Duration::from_millis(self.now().saturating_sub(state.position.height_since.to())),
            _ => self.head_age(),
        };
        (age > patience).then_some(age)
    }
}
