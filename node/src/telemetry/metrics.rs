//! What the chain looks like from this node; each crate registers its own metrics beside these.

use heddle_chain::CommittedBlock;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// Time between two committed blocks, in seconds.
const BLOCK_TIME_BUCKETS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// Time to execute a block, in seconds.
const EXECUTION_TIME_BUCKETS: [f64; 10] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0];

/// Facts of committed blocks, whether consensus or sync brought them.
#[derive(Clone)]
pub struct ChainMetrics {
    height: Gauge,
    round: Gauge,
    transactions: Counter,
    gas: Counter,
    block_time: Histogram,
    execution_time: Histogram,
    executions: Counter,
    aborts: Counter,
}

impl ChainMetrics {
    /// Registers the metrics, starting at the head's height.
    pub fn register(registry: &mut Registry, height: u64) -> Self {
        let metrics = Self {
            height: Gauge::default(),
            round: Gauge::default(),
            transactions: Counter::default(),
            gas: Counter::default(),
            block_time: Histogram::new(BLOCK_TIME_BUCKETS),
            execution_time: Histogram::new(EXECUTION_TIME_BUCKETS),
            executions: Counter::default(),
            aborts: Counter::default(),
        };
        metrics.height.set(height as i64);
        let registry = registry.sub_registry_with_prefix("chain");
        registry.register("height", "Height of the last committed block", metrics.height.clone());
        registry.register("round", "Round in which the last block was decided", metrics.round.clone());
        registry.register("transactions", "Transactions committed", metrics.transactions.clone());
        registry.register("gas_used", "Gas used by committed blocks", metrics.gas.clone());
        registry.register("block_time_seconds", "Time between committed blocks", metrics.block_time.clone());
        let time = "Time to execute the transactions of a block";
        registry.register("execution_time_seconds", time, metrics.execution_time.clone());
        let executions = "Executions of transactions by the parallel executor, repeated ones included";
        registry.register("executions", executions, metrics.executions.clone());
        let aborts = "Executions in vain, because what the transaction had read changed";
        registry.register("execution_aborts", aborts, metrics.aborts.clone());
        metrics
    }

    /// Counts a committed block, `elapsed` after the one before.
    pub fn committed(&self, block: &CommittedBlock, elapsed: Duration) {
        self.block_time.observe(elapsed.as_secs_f64());
        self.height.set(block.header.number as i64);
        self.round.set(i64::from(block.round().as_u32()));
        self.transactions.inc_by(block.block.body.transactions.len() as u64);
        self.gas.inc_by(block.header.gas_used);
        self.execution_time.observe(block.timings.execution.as_secs_f64());
        self.executions.inc_by(block.timings.executions);
        self.aborts.inc_by(block.timings.aborts);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use heddle_chain::Timings;
    use heddle_primitives::{Header, SealedHeader};

    #[test]
    fn a_committed_block_shows() {
        let mut registry = Registry::default();
        let metrics = ChainMetrics::register(&mut registry, 7);
        let execution = Duration::from_millis(2);
        let block = CommittedBlock {
            header: SealedHeader::new_unchecked(
                Header { number: 8, gas_used: 5, ..Header::default() },
                Default::default(),
            ),
            block: Default::default(),
            senders: Vec::new(),
            receipts: Vec::new(),
            certificate: None,
            changed_accounts: Vec::new(),
            timings: Timings { execution, executions: 12, aborts: 3, ..Timings::default() },
        };
        metrics.committed(&block, Duration::from_secs(1));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "chain_height 8",
            "chain_gas_used_total 5",
            "chain_execution_time_seconds_bucket{le=\"0.001\"} 0",
            "chain_execution_time_seconds_bucket{le=\"0.0025\"} 1",
            "chain_executions_total 12",
            "chain_execution_aborts_total 3",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
