//! The loop: follows the chain, announces what becomes pending, and local transactions again until they are mined.

use crate::{BlockFeed, ChainReadError, CommittedHead, Gossip, Mempool, MempoolConfig, Origin, PoolTransaction};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often transactions that were queued for too long are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);

/// Transactions of one origin that became pending together.
pub(crate) type Arrivals = (Vec<Arc<PoolTransaction>>, Origin);

/// The mempool's loop, to be run as one task.
pub struct MempoolService {
    mempool: Mempool,
    arrivals: mpsc::Receiver<Arrivals>,
    reannounce_after: Duration,
}

impl MempoolService {
    pub(crate) fn new(config: &MempoolConfig, mempool: Mempool, arrivals: mpsc::Receiver<Arrivals>) -> Self {
        Self { mempool, arrivals, reannounce_after: Duration::from_secs(config.reannounce_secs) }
    }

    /// Serves the pool until the feed of blocks ends.
    ///
    /// # Errors
    /// When the chain cannot be read: the pool would no longer know what is valid.
    pub async fn run(mut self, mut blocks: impl BlockFeed, gossip: Arc<dyn Gossip>) -> Result<(), ChainReadError> {
        let mut reannounce = ticks(self.reannounce_after);
        let mut expiry = ticks(EXPIRY_INTERVAL);
        loop {
            tokio::select! {
                committed = blocks.next() => match committed {
                    Some(committed) => self.on_committed(committed).await?,
                    None => return Ok(()),
                },
                Some((transactions, origin)) = self.arrivals.recv() => gossip.announce(&transactions, origin),
                _ = reannounce.tick() => {
                    let waiting = self.mempool.local_since(self.reannounce_after);
                    if !waiting.is_empty() {
                        gossip.announce_again(&waiting);
                    }
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
