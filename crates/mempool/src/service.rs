//! The loop: follows the chain, and publishes local transactions in batches until they are mined.

use crate::{BlockFeed, ChainReadError, CommittedHead, Gossip, Mempool, MempoolConfig, PoolTransaction};
use alloy_primitives::Bytes;
use heddle_primitives::{MAX_TRANSACTION_BATCH_BYTES, MAX_TRANSACTIONS_PER_BATCH, TransactionBatch};
use prometheus_client::metrics::counter::Counter;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often transactions that were queued for too long are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);

/// The mempool's loop, to be run as one task.
pub struct MempoolService {
    mempool: Mempool,
    arrivals: mpsc::Receiver<Arc<PoolTransaction>>,
    flush_after: Duration,
    reannounce_after: Duration,
}

impl MempoolService {
    pub(crate) fn new(config: MempoolConfig, mempool: Mempool, arrivals: mpsc::Receiver<Arc<PoolTransaction>>) -> Self {
        Self {
            mempool,
            arrivals,
            flush_after: Duration::from_millis(config.flush_ms),
            reannounce_after: Duration::from_secs(config.reannounce_secs),
        }
    }

    /// Serves the pool until the feed of blocks ends.
    ///
    /// # Errors
    /// When the chain cannot be read: the pool would no longer know what is valid.
    pub async fn run(mut self, mut blocks: impl BlockFeed, gossip: Arc<dyn Gossip>) -> Result<(), ChainReadError> {
        let mut batch = Batch::new(gossip, self.mempool.metrics().batches.clone());
        let mut flush_at = None;
        let mut reannounce = ticks(self.reannounce_after);
        let mut expiry = ticks(EXPIRY_INTERVAL);
        loop {
            let flush = async {
                match flush_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                committed = blocks.next() => match committed {
                    Some(committed) => self.on_committed(committed).await?,
                    None => return Ok(()),
                },
                Some(transaction) = self.arrivals.recv() => {
                    batch.push(&transaction);
                    flush_at = flush_at.or_else(|| Some(Instant::now() + self.flush_after));
                }
                () = flush => {
                    batch.flush();
                    flush_at = None;
                }
                _ = reannounce.tick() => {
                    for transaction in self.mempool.local_since(self.reannounce_after) {
                        batch.push(&transaction);
                    }
                    batch.flush();
                }
                _ = expiry.tick() => self.mempool.expire(),
            }
        }
    }

    async fn on_committed(&self, committed: CommittedHead) -> Result<(), ChainReadError> {
        let mempool = self.mempool.clone();
        let checked = tokio::task::spawn_blocking(move || mempool.on_committed(&committed)).await;
        checked.unwrap_or_else(|panicked| Err(ChainReadError::new(panicked)))
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Transactions on their way out; publishes itself when it is full.
struct Batch {
    gossip: Arc<dyn Gossip>,
    published: Counter,
    transactions: Vec<Bytes>,
    bytes: usize,
}

impl Batch {
    fn new(gossip: Arc<dyn Gossip>, published: Counter) -> Self {
        Self { gossip, published, transactions: Vec::new(), bytes: 0 }
    }

    fn push(&mut self, transaction: &PoolTransaction) {
        if self.bytes + transaction.size() > MAX_TRANSACTION_BATCH_BYTES {
            self.flush();
        }
        self.bytes += transaction.size();
        self.transactions.push(transaction.encoded());
        if self.transactions.len() == MAX_TRANSACTIONS_PER_BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.bytes = 0;
        let transactions = std::mem::take(&mut self.transactions);
        if !transactions.is_empty() {
            self.published.inc();
            self.gossip.publish(TransactionBatch(transactions));
        }
    }
}
