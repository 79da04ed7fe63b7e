//! What an operator sees of catching up.

use crate::state::RequestKind;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use prometheus_client::registry::Registry;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Outcome {
    Answered,
    Failed,
    TimedOut,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) kind: RequestKind,
    pub(crate) outcome: Outcome,
}

/// Counters of one sync loop; clones share them.
#[derive(Clone, Debug, Default)]
pub struct SyncMetrics {
    pub(crate) requests: Family<RequestLabels, Counter>,
    pub(crate) blocks_committed: Counter,
    pub(crate) peer_faults: Counter,
    pub(crate) highest: Gauge,
}

impl SyncMetrics {
    /// Puts the metrics into a registry, under `sync_`.
    pub fn register(&self, registry: &mut Registry) {
        let r = registry.sub_registry_with_prefix("sync");
        r.register("requests", "Requests to peers, by kind and outcome", self.requests.clone());
        r.register("blocks_committed", "Blocks fetched from peers and committed", self.blocks_committed.clone());
        r.register("peer_faults", "Answers that an honest peer does not give", self.peer_faults.clone());
        r.register("highest_height", "Greatest height that a usable peer announces", self.highest.clone());
    }
}
