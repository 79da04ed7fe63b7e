//! What it costs to get blocks.

use super::assembly::Source;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use std::time::Duration;

/// Label of an assembly's outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// The metrics of block propagation; the default ones are counted and shown nowhere.
#[derive(Clone, Debug)]
pub struct PropagationMetrics {
    assemblies: Family<OutcomeLabel, Counter>,
    transactions_missing: Counter,
    saved_bytes: Counter,
    assembly_seconds: Histogram,
}

impl Default for PropagationMetrics {
    fn default() -> Self {
        let bounds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        Self {
            assemblies: Family::default(),
            transactions_missing: Counter::default(),
            saved_bytes: Counter::default(),
            assembly_seconds: Histogram::new(bounds),
        }
    }
}

impl PropagationMetrics {
    /// Registers every metric under the prefix `network_propagation`.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("network_propagation");
        registry.register(
            "assemblies",
            "Compact blocks by what became of them: filled from the pool alone, after one request, by pieces, by asking for \
             all transactions, or failed",
            metrics.assemblies.clone(),
        );
        registry.register(
            "transactions_missing",
            "Transactions of compact blocks that the pool did not have",
            metrics.transactions_missing.clone(),
        );
        registry.register(
            "saved_bytes",
            "Bytes of transactions of compact blocks that the pool had",
            metrics.saved_bytes.clone(),
        );
        registry.register(
            "assembly_duration_seconds",
            "Time from a block's first compact form to the block",
            metrics.assembly_seconds.clone(),
        );
        // What has not happened yet is counted as 0 times, so that a query of it has an answer.
        for outcome in ["pool", "request", "pieces", "whole", "failed"] {
            drop(metrics.assemblies.get_or_create(&OutcomeLabel { outcome }));
        }
        metrics
    }

    /// Counts what the pool had and had not of a block.
    pub(super) fn count_filled(&self, missing: usize, saved_bytes: usize) {
        self.transactions_missing.inc_by(missing as u64);
        self.saved_bytes.inc_by(saved_bytes as u64);
    }

    pub(super) fn count_assembled(&self, source: Source, took: Duration) {
        let outcome = match source {
            Source::Pool => "pool",
            Source::Request => "request",
            Source::Pieces => "pieces",
            Source::Whole => "whole",
        };
        self.assemblies.get_or_create(&OutcomeLabel { outcome }).inc();
        self.assembly_seconds.observe(took.as_secs_f64());
    }

    pub(super) fn count_failed(&self) {
        self.assemblies.get_or_create(&OutcomeLabel { outcome: "failed" }).inc();
    }
}
