//! What an operator sees of fetching a state.

use super::service::StateSyncStatus;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

/// Gauges and counters of one loop; clones share them.
#[derive(Clone, Debug, Default)]
pub struct StateSyncMetrics {
    pub(super) pieces: Counter,
    pub(super) response_bytes: Counter,
    pub(super) failures: Counter,
    pub(super) peer_faults: Counter,
    pivot: Gauge,
    covered: Gauge<f64, AtomicU64>,
    accounts: Gauge,
    slots: Gauge,
    bytes: Gauge,
}

impl StateSyncMetrics {
    /// Puts the metrics into a registry, under `sync_state_`.
    pub fn register(&self, registry: &mut Registry) {
        let r = registry.sub_registry_with_prefix("sync_state");
        r.register("pieces", "Pieces of the state that were verified and stored", self.pieces.clone());
        r.register("response_bytes", "Bytes of those answers", self.response_bytes.clone());
        r.register("failures", "Requests without an answer", self.failures.clone());
        r.register("peer_faults", "Answers that an honest peer does not give", self.peer_faults.clone());
        r.register("pivot_height", "Height of the state that is fetched", self.pivot.clone());
        r.register("covered_ratio", "How much of the accounts' keys is there, from 0 to 1", self.covered.clone());
        r.register("accounts", "Accounts that are there", self.accounts.clone());
        r.register("slots", "Storage slots that are there", self.slots.clone());
        r.register("bytes", "Bytes of accounts, slots and code that are there", self.bytes.clone());
    }

    pub(super) fn show(&self, status: &StateSyncStatus) {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.pivot.set(number(status.pivot.unwrap_or_default().as_u64()));
        self.covered.set(f64::from(status.progress.covered) / 1e6);
        self.accounts.set(number(status.progress.accounts));
        self.slots.set(number(status.progress.slots));
        self.bytes.set(number(status.progress.bytes));
    }
}
