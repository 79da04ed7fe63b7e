//! What JSON-RPC and the probes say of the node.

use heddle_chain::Chain;
use heddle_consensus::Heartbeat;
use heddle_network::NetworkHandle;
use heddle_primitives::ValidatorAddress;
use heddle_rpc::{NodeStatus, SyncProgress};
use heddle_sync::{StateSyncStage, StateSyncStatus, SyncHandle};
use tokio::sync::watch;

/// The parts that a node of a Heddle chain has.
#[derive(Clone)]
pub struct Live {
    /// The peers.
    pub network: NetworkHandle,
    /// Coming to the head by blocks.
    pub sync: SyncHandle,
    /// Beginning with a state.
    pub state: watch::Receiver<StateSyncStatus>,
    /// Of consensus' loop.
    pub heartbeat: Heartbeat,
}

impl Live {
    /// The state that is being looked for or fetched, if one is.
    pub(super) fn fetching(&self) -> Option<StateSyncStatus> {
        let status = *self.state.borrow();
        (status.stage != StateSyncStage::Ended).then_some(status)
    }
}

/// What the node knows of itself.
#[derive(Clone)]
pub struct NodeStatusView {
    /// None of it on a node that serves a plain Ethereum chain.
    pub live: Option<Live>,
    /// Who decides.
    pub chain: Chain,
    /// The validator whose key this node has.
    pub own: Option<ValidatorAddress>,
}

impl NodeStatusView {
    /// Whether this validator decides alone, so that it needs no peers.
    pub(super) fn is_alone(&self) -> bool {
        let next = self.chain.head().height().next();
        let decides =
            |own| self.chain.validators(next).is_ok_and(|set| set.validators().len() == 1 && set.get(&own).is_some());
        self.own.is_some_and(decides)
    }
}

/// Name, version and platform, in go-ethereum's form.
pub fn client_version() -> String {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("heddle/v{}/{os}-{arch}", env!("CARGO_PKG_VERSION"))
}

impl NodeStatus for NodeStatusView {
    fn client_version(&self) -> String {
        client_version()
    }

    fn peer_count(&self) -> u64 {
        self.live.as_ref().map_or(0, |live| live.network.peer_count() as u64)
    }

    fn is_listening(&self) -> bool {
        self.live.is_some()
    }

    fn sync_progress(&self) -> Option<SyncProgress> {
        let live = self.live.as_ref()?;
        if let Some(StateSyncStatus { pivot, progress, .. }) = live.fetching() {
            let highest = pivot.unwrap_or_default().max(live.sync.status().announced).as_u64();
            return Some(SyncProgress { starting: 0, current: 0, highest, state: Some(progress.covered) });
        }
        let status = live.sync.status();
        status.syncing.then(|| SyncProgress {
            state: None,
            starting: status.starting.as_u64(),
            current: status.current.as_u64(),
            highest: status.announced.as_u64(),
        })
    }
}
