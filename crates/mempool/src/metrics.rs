//! What an operator sees of the pool.

use crate::{Fault, Origin, PoolError, PoolStatus};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use prometheus_client::registry::Registry;
use std::fmt::{Error, Write};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AddedLabels {
    origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    origin: Origin,
    reason: Reason,
}

/// Why transactions are refused, coarsely enough to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Reason {
    Known,
    Malformed,
    Unsuitable,
    Chain,
}

impl EncodeLabelValue for Origin {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), Error> {
        encoder.write_str(match self {
            Self::Local => "local",
            Self::Gossip => "gossip",
        })
    }
}

/// Counters and gauges of one mempool; clones share them. The default is registered nowhere.
#[derive(Clone, Debug, Default)]
pub struct MempoolMetrics {
    added: Family<AddedLabels, Counter>,
    refused: Family<RefusedLabels, Counter>,
    replaced: Counter,
    evicted: Counter,
    pub(crate) removed: Counter,
    pub(crate) expired: Counter,
    pub(crate) invalid: Counter,
    pub(crate) unannounced: Counter,
    pending: Gauge,
    queued: Gauge,
    bytes: Gauge,
}

impl MempoolMetrics {
    /// Registers the metrics under `mempool_`.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let r = registry.sub_registry_with_prefix("mempool");
        r.register("added", "Transactions added, by origin", metrics.added.clone());
        r.register("refused", "Transactions refused, by origin and reason", metrics.refused.clone());
        r.register("replaced", "Transactions replaced by dearer ones", metrics.replaced.clone());
        r.register("evicted", "Transactions displaced because the pool was full", metrics.evicted.clone());
        r.register("removed", "Transactions mined or made impossible by a block", metrics.removed.clone());
        r.register("expired", "Transactions queued for too long", metrics.expired.clone());
        r.register("invalid", "Transactions that block building found invalid", metrics.invalid.clone());
        r.register("unannounced", "Transactions not announced because too many were", metrics.unannounced.clone());
        r.register("pending", "Pending transactions", metrics.pending.clone());
        r.register("queued", "Queued transactions", metrics.queued.clone());
        r.register("size_bytes", "Encoded size of all transactions", metrics.bytes.clone());
        // What has not happened yet is counted as 0 times, so that a query of it has an answer.
        for origin in [Origin::Local, Origin::Gossip] {
            drop(metrics.added.get_or_create(&AddedLabels { origin }));
            for reason in [Reason::Known, Reason::Malformed, Reason::Unsuitable, Reason::Chain] {
                drop(metrics.refused.get_or_create(&RefusedLabels { origin, reason }));
            }
        }
        metrics
    }

    pub(crate) fn on_added(&self, origin: Origin, replaced: bool, evicted: usize) {
        self.added.get_or_create(&AddedLabels { origin }).inc();
        self.replaced.inc_by(replaced.into());
        self.evicted.inc_by(evicted as u64);
    }

    pub(crate) fn on_refused(&self, origin: Origin, error: &PoolError) {
        let reason = match (error, error.fault()) {
            (PoolError::AlreadyKnown, _) => Reason::Known,
            (_, Fault::Peer) => Reason::Malformed,
            (_, Fault::Caller) => Reason::Unsuitable,
            (_, Fault::Ours) => Reason::Chain,
        };
        self.refused.get_or_create(&RefusedLabels { origin, reason }).inc();
    }

    pub(crate) fn set_status(&self, status: &PoolStatus) {
        self.pending.set(status.pending as i64);
        self.queued.set(status.queued as i64);
        self.bytes.set(status.bytes as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_shows_by_origin_and_reason() {
        let mut registry = Registry::default();
        let metrics = MempoolMetrics::new(&mut registry);
        metrics.on_added(Origin::Local, true, 2);
        metrics.on_refused(Origin::Gossip, &PoolError::AlreadyKnown);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "mempool_added_total{origin=\"local\"} 1",
            "mempool_refused_total{origin=\"gossip\",reason=\"Known\"} 1",
            "mempool_refused_total{origin=\"local\",reason=\"Chain\"} 0",
            "mempool_replaced_total 1",
            "mempool_evicted_total 2",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
