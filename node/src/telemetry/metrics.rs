//! What the chain looks like from this node; each crate registers its own metrics beside these.

use heddle_chain::CommittedBlock;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// Time between two committed blocks, in seconds.
const BLOCK_TIME_BUCKETS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// Facts of committed blocks, whether consensus or sync brought them.
#[derive(Clone)]
pub struct ChainMetrics {
    height: Gauge,
    round: Gauge,
    transactions: Counter,
    gas: Counter,
    block_time: Histogram,
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
        };
        metrics.height.set(height as i64);
        let registry = registry.sub_registry_with_prefix("chain");
        registry.register("height", "Height of the last committed block", metrics.height.clone());
        registry.register("round", "Round in which the last block was decided", metrics.round.clone());
        registry.register("transactions", "Transactions committed", metrics.transactions.clone());
        registry.register("gas_used", "Gas used by committed blocks", metrics.gas.clone());
        registry.register("block_time_seconds", "Time between committed blocks", metrics.block_time.clone());
        metrics
    }

    /// Counts a committed block, `elapsed` after the one before.
    pub fn committed(&self, block: &CommittedBlock, elapsed: Duration) {
        self.block_time.observe(elapsed.as_secs_f64());
        self.height.set(block.header.number as i64);
        self.round.set(i64::from(block.round().as_u32()));
        self.transactions.inc_by(block.block.body.transactions.len() as u64);
        self.gas.inc_by(block.header.gas_used);
    }
}
