//! What consensus counts.

use crate::{Step, TimeoutKind};
use heddle_primitives::{Evidence, ValidatorAddress, ValidatorSet};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram};
use prometheus_client::registry::Registry;
use std::time::Duration;

/// Time in a step, or to write the log, in seconds.
const DURATION_BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

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

impl EvidenceLabel {
    const ALL: [Self; 2] = [Self { kind: "votes" }, Self { kind: "proposals" }];
}

/// Labels of the steps' durations.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct StepLabel {
    step: &'static str,
}

impl From<Step> for StepLabel {
    fn from(step: Step) -> Self {
        Self { step: step.name() }
    }
}

/// Labels of what is counted by validator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ValidatorLabel {
    validator: String,
}

impl From<ValidatorAddress> for ValidatorLabel {
    fn from(validator: ValidatorAddress) -> Self {
        Self { validator: validator.to_string() }
    }
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
    steps: Family<StepLabel, Histogram, fn() -> Histogram>,
    proposals_missed: Family<ValidatorLabel, Counter>,
    log_writes: Histogram,
    log_errors: Counter,
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
            steps: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            proposals_missed: Family::default(),
            log_writes: Histogram::new(DURATION_BUCKETS),
            log_errors: Counter::default(),
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
        self.register_steps(registry);
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
        self.start_at_zero();
    }

    fn register_steps(&self, registry: &mut Registry) {
        registry.register(
            "step_duration_seconds",
            "Time in a step: until the prevote, until the precommit, until the decision or the next round, and to commit",
            self.steps.clone(),
        );
        registry.register(
            "proposals_missed",
            "Rounds in which no proposal came in time that this node could vote for, by their proposer",
            self.proposals_missed.clone(),
        );
        registry.register(
            "log_write_duration_seconds",
            "Time to make the consensus log and the sign state durable",
            self.log_writes.clone(),
        );
        registry.register(
            "log_errors",
            "Failed writes of the consensus log or the sign state",
            self.log_errors.clone(),
        );
    }

    /// What has not happened yet is counted as 0 times, so that a query of it has an answer.
    fn start_at_zero(&self) {
        for kind in TimeoutKind::ALL {
            drop(self.timeouts.get_or_create(&kind.into()));
        }
        for label in EvidenceLabel::ALL {
            drop(self.evidence.get_or_create(&label));
        }
        for step in [Step::Propose, Step::Prevote, Step::Precommit, Step::Commit] {
            drop(self.steps.get_or_create(&step.into()));
        }
    }

    /// Counts for these validators from now on, and no longer for those before them that are not among them: their number
    /// is bounded by the set's.
    pub(crate) fn follow(&self, before: Option<&ValidatorSet>, now: &ValidatorSet) {
        for validator in before.iter().flat_map(|set| set.validators()) {
            if now.get(&validator.address).is_none() {
                self.proposals_missed.remove(&validator.address.into());
            }
        }
        for validator in now.validators() {
            drop(self.proposals_missed.get_or_create(&validator.address.into()));
        }
    }

    pub(crate) fn count_step(&self, step: Step, took: Duration) {
        self.steps.get_or_create(&step.into()).observe(took.as_secs_f64());
    }

    pub(crate) fn count_missed_proposal(&self, proposer: ValidatorAddress) {
        self.proposals_missed.get_or_create(&proposer.into()).inc();
    }

    pub(crate) fn count_log_write(&self, took: Duration, succeeded: bool) {
        self.log_writes.observe(took.as_secs_f64());
        self.log_errors.inc_by((!succeeded).into());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::steps::StepClock;
    use heddle_primitives::{ConsensusKey, Height, Round, Validator};
    use tokio::time::Instant;

    fn text(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    fn set(seeds: &[u8]) -> ValidatorSet {
        let validator = |seed: &u8| {
            let key = ConsensusKey::from_bytes(&[*seed; 32]);
            Validator::new(key.public_key(), 1, Default::default())
        };
        ValidatorSet::new(seeds.iter().map(validator).collect()).unwrap()
    }

    #[test]
    fn what_never_happened_is_zero() {
        let (metrics, mut registry) = (ConsensusMetrics::default(), Registry::default());
        metrics.register(&mut registry);
        let text = text(&registry);
        for line in [
            "consensus_timeouts_total{kind=\"rebroadcast\"} 0",
            "consensus_evidence_total{kind=\"votes\"} 0",
            "consensus_step_duration_seconds_count{step=\"commit\"} 0",
            "consensus_log_errors_total 0",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn proposers_are_counted_as_long_as_they_are_in_the_set() {
        let (metrics, mut registry) = (ConsensusMetrics::default(), Registry::default());
        metrics.register(&mut registry);
        let (first, second) = (set(&[1, 2]), set(&[2, 3]));
        metrics.follow(None, &first);
        let proposer = first.proposer(Height::new(1), 0).address;
        metrics.count_missed_proposal(proposer);
        assert!(text(&registry).contains(&format!("consensus_proposals_missed_total{{validator=\"{proposer}\"}} 1")));
        metrics.follow(Some(&first), &second);
        let counted =
            text(&registry).lines().filter(|line| line.starts_with("consensus_proposals_missed_total")).count();
        assert_eq!(counted, 2);
    }

    #[test]
    fn a_step_counts_when_it_is_left() {
        let (metrics, mut registry) = (ConsensusMetrics::default(), Registry::default());
        metrics.register(&mut registry);
        let (start, height) = (Instant::now(), Height::new(5));
        let mut clock = StepClock::default();
        let mut at = |millis, round, step| {
            let now = start + Duration::from_millis(millis);
            if let Some((step, took)) = clock.at(height, Round::new(round), step, now) {
                metrics.count_step(step, took);
            }
        };
        at(0, 0, Step::Propose);
        at(20, 0, Step::Propose);
        at(30, 0, Step::Prevote);
        at(40, 1, Step::Prevote);
        at(900, 1, Step::Commit);
        let text = text(&registry);
        for line in [
            "consensus_step_duration_seconds_sum{step=\"propose\"} 0.03",
            "consensus_step_duration_seconds_count{step=\"propose\"} 1",
            "consensus_step_duration_seconds_count{step=\"prevote\"} 2",
            "consensus_step_duration_seconds_count{step=\"precommit\"} 0",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
