//! States that are kept for others to fetch: at regular heights, so that all nodes offer the same, and where this node
//! started. Each is a view of the database, so that keeping one copies nothing.

use crate::adopt::ANCESTORS;
use crate::{Chain, Head};
use heddle_primitives::{Height, SnapshotOffer};
use heddle_state::StateView;
use parking_lot::Mutex;

/// How many are kept.
const KEPT: usize = 2;

/// The states of a chain that are served.
pub(crate) struct Snapshots {
    /// Blocks between two; 0 for none at all.
    interval: u64,
    /// The newest first.
    kept: Mutex<Vec<(SnapshotOffer, StateView)>>,
}

impl Snapshots {
    pub(crate) fn new(interval: u64) -> Self {
        Self { interval, kept: Mutex::default() }
    }

    /// Keeps the state after a committed block, if it is one of those that all nodes offer.
    pub(crate) fn committed(&self, head: &Head) {
        if head.header.number.checked_rem(self.interval) == Some(0) {
            self.keep(head);
        }
    }

    /// Keeps the state of a chain that is opened, whatever its height: until two others are there.
    pub(crate) fn opened(&self, head: &Head) {
        if self.interval != 0 {
            self.keep(head);
        }
    }

    fn keep(&self, head: &Head) {
        // Without a certificate nobody could trust it: that of genesis, and those of plain Ethereum chains.
        if head.certificate.is_none() {
            return;
        }
        let offer = SnapshotOffer { height: head.height(), hash: head.hash() };
        let mut kept = self.kept.lock();
        kept.insert(0, (offer, head.state()));
        kept.truncate(KEPT);
    }
}

impl Chain {
    /// The states that can be fetched here with the headers that a chain needs to begin with them, the newest first: at
    /// most two. One whose headers are still being fetched is offered as soon as they are there.
    pub fn snapshots(&self) -> Vec<SnapshotOffer> {
        let kept = self.inner.snapshots.kept.lock();
        kept.iter().map(|(offer, _)| *offer).filter(|offer| self.has_ancestors(offer.height)).collect()
    }

    /// The state after the block at a height that is offered; `None` at any other.
    pub fn snapshot(&self, height: Height) -> Option<StateView> {
        let kept = self.inner.snapshots.kept.lock();
        let is_offered = |offer: &SnapshotOffer| offer.height == height && self.has_ancestors(height);
        kept.iter().find(|(offer, _)| is_offered(offer)).map(|(_, state)| state.clone())
    }

    /// Whether the headers that come before a state are here with their certificates.
    fn has_ancestors(&self, height: Height) -> bool {
        let first_behind_genesis = self.inner.genesis.header().number.saturating_add(1);
        self.headers_from() <= height.as_u64().saturating_sub(ANCESTORS).max(first_behind_genesis)
    }
}
