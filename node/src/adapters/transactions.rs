//! Transactions between the mempool and callers, and other nodes' mempools.

use crate::telemetry::traces::{Event, TransactionTraces};
use alloy_primitives::{B256, Bytes, TxHash};
use async_trait::async_trait;
use heddle_mempool::{Gossip, Mempool, Origin, PoolError, PoolTransaction, Received};
use heddle_network::{Announcement, Judgement, NetworkHandle, PeerId, TransactionPool, TransactionSource};
use heddle_primitives::{ShortId, ShortIdKey, Transaction, TransactionAnnouncement};
use heddle_rpc::TransactionIntake;
use std::sync::Arc;
use std::time::SystemTime;

/// Transactions that the network is told of at once: it has other things to do between two such lists.
const ANNOUNCED_AT_ONCE: usize = 256;

/// The mempool as callers fill it.
pub struct LocalPool {
    /// The mempool.
    pub mempool: Mempool,
    /// Told of what it takes.
    pub traces: TransactionTraces,
}

impl TransactionIntake for LocalPool {
    fn submit(&self, raw: &[u8], received: SystemTime) -> Result<TxHash, PoolError> {
        let (receiving, adding) = (self.traces.begin_at(received), self.traces.begin());
        let hash = self.mempool.submit(raw, Origin::Local)?;
        adding.end([&hash], |_| Event::Added);
        receiving.end([&hash], |_| Event::Received);
        Ok(hash)
    }
}

/// The mempool as peers are told of it.
pub struct GossipedPool {
    /// The mempool.
    pub mempool: Mempool,
    /// Told of what it takes.
    pub traces: TransactionTraces,
}

impl GossipedPool {
    /// Uses the pool on a thread that may block: it is locked for a while when a block is committed.
    async fn using<T: Default + Send + 'static>(&self, f: impl FnOnce(&Mempool) -> T + Send + 'static) -> T {
        let mempool = self.mempool.clone();
        match tokio::task::spawn_blocking(move || f(&mempool)).await {
            Ok(result) => result,
            // A panic may have left the pool half changed: it ends the network's task, and so the node.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The node is stopping.
            Err(_) => T::default(),
        }
    }
}

#[async_trait]
impl TransactionPool for GossipedPool {
    async fn lacking(&self, transactions: Vec<TransactionAnnouncement>) -> Vec<TransactionAnnouncement> {
        self.using(|mempool| mempool.lacking(transactions)).await
    }

    async fn encoded(&self, hashes: Vec<B256>, bytes_max: usize) -> Vec<Bytes> {
        self.using(move |mempool| {
            let mut bytes = 0;
            let held = mempool.get_many(&hashes).into_iter().flatten();
            let fitting = held.take_while(|transaction| {
                bytes += transaction.size();
                bytes <= bytes_max
            });
            fitting.map(|transaction| transaction.encoded()).collect()
        })
        .await
    }

    async fn pending(&self, count_max: usize) -> Vec<TransactionAnnouncement> {
        self.using(move |mempool| mempool.announcements(count_max)).await
    }

    async fn receive(&self, peer: PeerId, transactions: Vec<Bytes>) -> Judgement {
        let (receiving, traces) = (self.traces.begin(), self.traces.clone());
        let add = move |mempool: &Mempool| {
            let adding = traces.begin();
            let results = mempool.submit_batch(&transactions, Origin::Gossip);
            adding.end(results.iter().flatten(), |_| Event::Added);
            results
        };
        let results = self.using(add).await;
        receiving.end(results.iter().flatten(), |_| Event::Gossiped { peer });
        let received = Received::of(&results);
        Judgement { accepted: received.accepted, refused: received.refused, invalid: received.invalid }
    }
}

impl TransactionSource for GossipedPool {
    fn find(&self, key: &ShortIdKey, ids: &[ShortId]) -> Vec<Option<Transaction>> {
        let found = self.mempool.find_named(key, ids).into_iter();
        found.map(|transaction| transaction.map(|transaction| transaction.recovered().inner().clone())).collect()
    }
}

/// Announces the mempool's transactions to peers.
pub struct MempoolGossip(pub NetworkHandle);

impl MempoolGossip {
    fn tell(&self, transactions: &[Arc<PoolTransaction>], announcement: Announcement) {
        for some in transactions.chunks(ANNOUNCED_AT_ONCE) {
            self.0.announce(some.iter().map(|transaction| transaction.announcement()).collect(), announcement);
        }
    }
}

impl Gossip for MempoolGossip {
    fn announce(&self, transactions: &[Arc<PoolTransaction>], origin: Origin) {
        let announcement = match origin {
            Origin::Local => Announcement::Local,
            Origin::Gossip => Announcement::Gossip,
        };
        self.tell(transactions, announcement);
    }

    fn announce_again(&self, transactions: &[Arc<PoolTransaction>]) {
        self.tell(transactions, Announcement::Again);
    }
}
