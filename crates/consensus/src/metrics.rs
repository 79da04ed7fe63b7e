//! What consensus counts.

use crate::TimeoutKind;
use heddle_primitives::Evidence;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram};
use prometheus_client::registry::Registry;

/// Labels of the timeout counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct TimeoutLabel {
    kind: &'static str,
}

/// Labels of the evidence counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct EvidenceLabel {
    kind: &'static str,
}

impl From<&Evidence> for EvidenceLabel {
    fn from(evidence: &Evidence) -> Self {
        let kind = match evidence {
            Evidence::Votes(_) => "votes",
            Evidence::Proposals(_) => "proposals",
        };
        Self { kind }
    }
}

impl From<TimeoutKind> for TimeoutLabel {
    fn from(kind: TimeoutKind) -> Self {
        let kind = match kind {
            TimeoutKind::Propose => "propose",
            TimeoutKind::Prevote => "prevote",
            TimeoutKind::Precommit => "precommit",
            TimeoutKind::Rebroadcast => "rebroadcast",
        };
        Self { kind }
    }
}

/// The metrics of consensus; clones share their values.
#[derive(Clone, Debug)]
pub struct ConsensusMetrics {
    pub(crate) height: Gauge,
    pub(crate) round: Gauge,
    pub(crate) rounds_failed: Counter,
    pub(crate) blocks_decided: Counter,
    pub(crate) block_interval_seconds: Histogram,
    pub(crate) timeouts: Family<TimeoutLabel, Counter>,
    pub(crate) messages_refused: Counter,
    pub(crate) messages_dropped: Counter,
    pub(crate) signatures_refused: Counter,
    pub(crate) foreign_signatures: Counter,
    pub(crate) evidence: Family<EvidenceLabel, Counter>,
}

impl Default for ConsensusMetrics {
    fn default() -> Self {
        Self {
            height: Gauge::default(),
            round: Gauge::default(),
            rounds_failed: Counter::default(),
            blocks_decided: Counter::default(),
            block_interval_seconds: Histogram::new([0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0]),
            timeouts: Family::default(),
            messages_refused: Counter::default(),
            messages_dropped: Counter::default(),
            signatures_refused: Counter::default(),
            foreign_signatures: Counter::default(),
            evidence: Family::default(),
        }
    }
}

impl ConsensusMetrics {
    /// Adds the metrics to a registry, under the prefix `consensus`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("consensus");
        registry.register("height", "Height that is being decided", self.height.clone());
        registry.register("round", "Round of the height", self.round.clone());
        registry.register("rounds_failed", "Rounds that ended without a decision", self.rounds_failed.clone());
        registry.register("blocks_decided", "Blocks decided and committed by consensus", self.blocks_decided.clone());
        registry.register(
            "block_interval_seconds",
            "Time between two blocks committed by consensus",
            self.block_interval_seconds.clone(),
        );
        registry.register("timeouts", "Timeouts that elapsed", self.timeouts.clone());
        registry.register("messages_refused", "Messages of peers that break a rule", self.messages_refused.clone());
        registry.register(
            "messages_dropped",
            "Good messages for which there was no room",
            self.messages_dropped.clone(),
        );
        registry.register("signatures_refused", "Signatures that the guard refused", self.signatures_refused.clone());
        registry.register(
            "foreign_signatures",
            "Heights barred because a peer showed a signature of our key that is not from here",
            self.foreign_signatures.clone(),
        );
        registry.register("evidence", "New evidence of conflicting messages of a validator", self.evidence.clone());
    }
}
