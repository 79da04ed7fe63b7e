//! What the chain looks like from this node.

use heddle_chain::{CommittedBlock, Timings};
use heddle_primitives::{CommitCertificate, Header, ValidatorAddress, ValidatorSet};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// Time between two committed blocks, in seconds.
const BLOCK_INTERVAL_BUCKETS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// Time that a block takes in one stage, in seconds.
const STAGE_BUCKETS: [f64; 11] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 0.5, 2.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabel {
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ValidatorLabel {
    validator: String,
}

impl From<ValidatorAddress> for ValidatorLabel {
    fn from(validator: ValidatorAddress) -> Self {
        Self { validator: validator.to_string() }
    }
}

/// Facts of committed blocks, whether consensus or sync brought them.
pub struct ChainMetrics {
    height: Gauge,
    timestamp: Gauge,
    round: Gauge,
    transactions: Counter,
    gas_used: Counter,
    gas_limit: Gauge,
    block_interval: Histogram,
    stages: Family<StageLabel, Histogram, fn() -> Histogram>,
    certificates_signed: Family<ValidatorLabel, Counter>,
    executions: Counter,
    reexecutions: Counter,
    fallbacks: Counter,
    /// Whose certificates are counted.
    validators: Vec<ValidatorAddress>,
}

impl ChainMetrics {
    /// Registers the metrics, starting at the head.
    pub fn register(registry: &mut Registry, head: &Header) -> Self {
        let metrics = Self {
            height: Gauge::default(),
            timestamp: Gauge::default(),
            round: Gauge::default(),
            transactions: Counter::default(),
            gas_used: Counter::default(),
            gas_limit: Gauge::default(),
            block_interval: Histogram::new(BLOCK_INTERVAL_BUCKETS),
            stages: Family::new_with_constructor(|| Histogram::new(STAGE_BUCKETS)),
            certificates_signed: Family::default(),
            executions: Counter::default(),
            reexecutions: Counter::default(),
            fallbacks: Counter::default(),
            validators: Vec::new(),
        };
        metrics.show(head);
        metrics.register_blocks(registry.sub_registry_with_prefix("chain"));
        metrics.register_executions(registry.sub_registry_with_prefix("evm"));
        // What has not happened yet is counted as 0 times, so that a query of it has an answer.
        for (stage, _) in stages(&Timings::default()) {
            drop(metrics.stages.get_or_create(&StageLabel { stage }));
        }
        metrics
    }

    fn register_blocks(&self, registry: &mut Registry) {
        registry.register("height", "Height of the last committed block", self.height.clone());
        let timestamp = "Timestamp of the last committed block, in seconds since 1970";
        registry.register("head_timestamp_seconds", timestamp, self.timestamp.clone());
        registry.register("round", "Round in which the last block was decided", self.round.clone());
        registry.register("transactions", "Transactions committed", self.transactions.clone());
        registry.register("gas_used", "Gas used by committed blocks", self.gas_used.clone());
        registry.register("gas_limit", "Gas limit of the last committed block", self.gas_limit.clone());
        registry.register("block_interval_seconds", "Time between committed blocks", self.block_interval.clone());
        let stages = "Time that a committed block took: to recover its senders, to execute it, for its state root, to make \
                      its rows, and to write them durably";
        registry.register("stage_duration_seconds", stages, self.stages.clone());
        let signed = "Committed blocks whose certificate on the chain has the validator's signature";
        registry.register("certificates_signed", signed, self.certificates_signed.clone());
    }

    fn register_executions(&self, registry: &mut Registry) {
        let executions = "Executions of transactions by the parallel executor, repeated ones included";
        registry.register("executions", executions, self.executions.clone());
        let reexecutions = "Executions that were repeated, because what the transaction had read changed";
        registry.register("reexecutions", reexecutions, self.reexecutions.clone());
        let fallbacks = "Blocks that were executed in order, because the attempt on several threads did not succeed";
        registry.register("fallbacks", fallbacks, self.fallbacks.clone());
    }

    fn show(&self, head: &Header) {
        self.height.set(head.number as i64);
        self.timestamp.set(head.timestamp as i64);
        self.gas_limit.set(head.gas_limit as i64);
    }

    /// Counts a committed block, `elapsed` after the one before.
    pub fn committed(&self, block: &CommittedBlock, elapsed: Duration) {
        self.block_interval.observe(elapsed.as_secs_f64());
        self.show(&block.header);
        self.round.set(i64::from(block.round().as_u32()));
        self.transactions.inc_by(block.block.body.transactions.len() as u64);
        self.gas_used.inc_by(block.header.gas_used);
        for (stage, took) in stages(&block.timings) {
            self.stages.get_or_create(&StageLabel { stage }).observe(took.as_secs_f64());
        }
        self.executions.inc_by(block.timings.executions);
        self.reexecutions.inc_by(block.timings.aborts);
        self.fallbacks.inc_by(block.timings.fallbacks);
    }

    /// Counts the signatures of the certificate that the chain has of a block, whose validators these are.
    pub fn certified(&mut self, certificate: &CommitCertificate, validators: &ValidatorSet) {
        self.follow(validators);
        for signature in &certificate.signatures {
            self.certificates_signed.get_or_create(&signature.validator.into()).inc();
        }
    }

    /// Counts for these validators, and no longer for others: there are no more of them than the set has.
    pub fn follow(&mut self, validators: &ValidatorSet) {
        for gone in self.validators.extract_if(.., |validator| validators.get(validator).is_none()) {
            self.certificates_signed.remove(&gone.into());
        }
        for validator in validators.validators() {
            if !self.validators.contains(&validator.address) {
                self.validators.push(validator.address);
                drop(self.certificates_signed.get_or_create(&validator.address.into()));
            }
        }
    }
}

/// The stages in their order.
fn stages(timings: &Timings) -> [(&'static str, Duration); 5] {
    [
        ("recover", timings.recovery),
        ("execute", timings.execution),
        ("state_root", timings.state_root),
        ("rows", timings.rows),
        ("commit", timings.commit),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use heddle_primitives::{CommitSignature, ConsensusKey, ConsensusSignature, Height, SealedHeader, Validator};

    fn text(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn a_committed_block_shows() {
        let mut registry = Registry::default();
        let metrics = ChainMetrics::register(&mut registry, &Header::default());
        assert!(text(&registry).contains("chain_stage_duration_seconds_count{stage=\"recover\"} 0"));
        let execution = Duration::from_millis(2);
        let block = CommittedBlock {
            header: SealedHeader::new_unchecked(
                Header { number: 8, gas_used: 5, timestamp: 99, ..Header::default() },
                Default::default(),
            ),
            block: Default::default(),
            senders: Vec::new(),
            receipts: Vec::new(),
            certificate: None,
            changed_accounts: Vec::new(),
            timings: Timings { execution, executions: 12, aborts: 3, fallbacks: 1, ..Timings::default() },
        };
        metrics.committed(&block, Duration::from_secs(1));
        let text = text(&registry);
        for line in [
            "chain_height 8",
            "chain_head_timestamp_seconds 99",
            "chain_gas_used_total 5",
            "chain_stage_duration_seconds_bucket{le=\"0.001\",stage=\"execute\"} 0",
            "chain_stage_duration_seconds_bucket{le=\"0.0025\",stage=\"execute\"} 1",
            "evm_executions_total 12",
            "evm_reexecutions_total 3",
            "evm_fallbacks_total 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn signatures_count_for_the_validators_of_the_set() {
        let validator =
            |seed| Validator::new(ConsensusKey::from_bytes(&[seed; 32]).public_key(), 1, Default::default());
        let set = |seeds: [u8; 2]| ValidatorSet::new(seeds.map(validator).to_vec()).unwrap();
        let signed_by = |validator: &Validator| CommitCertificate {
            height: Height::new(1),
            round: Default::default(),
            block_hash: Default::default(),
            signatures: vec![CommitSignature {
                validator: validator.address,
                signature: ConsensusSignature::from_bytes([0; 64]),
            }],
        };
        let mut registry = Registry::default();
        let mut metrics = ChainMetrics::register(&mut registry, &Header::default());
        let shown = |registry: &Registry, validator: &Validator| {
            let name = format!("chain_certificates_signed_total{{validator=\"{}\"}} ", validator.address);
            text(registry).lines().find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok())
        };
        metrics.follow(&set([1, 2]));
        metrics.certified(&signed_by(&validator(1)), &set([1, 2]));
        assert_eq!((shown(&registry, &validator(1)), shown(&registry, &validator(2))), (Some(1), Some(0)));
        metrics.certified(&signed_by(&validator(2)), &set([2, 3]));
        let shown = [1, 2, 3].map(|seed| shown(&registry, &validator(seed)));
        assert_eq!(shown, [None, Some(1), Some(0)]);
    }
}
