//! The transactions that a node knows: what a mempool is to the network, without rules.

use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{B256, Bytes};
use async_trait::async_trait;
use heddle_network::{Announcement, Judgement, NetworkHandle, PeerId, TransactionPool, TransactionSource};
use heddle_primitives::{ShortId, ShortIdKey, Transaction, TransactionAnnouncement};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

struct Known {
    transaction: Transaction,
    raw: Bytes,
}

impl Known {
    fn announcement(&self) -> TransactionAnnouncement {
        // No transaction has 4 GiB.
        TransactionAnnouncement { hash: *self.transaction.tx_hash(), bytes: self.raw.len() as u32 }
    }
}

/// A node's pool; clones share it.
#[derive(Clone)]
pub struct Pool {
    known: Arc<RwLock<HashMap<B256, Known>>>,
    size: Arc<watch::Sender<usize>>,
    network: Arc<OnceLock<NetworkHandle>>,
}

impl Default for Pool {
    fn default() -> Self {
        Self { known: Arc::default(), size: Arc::new(watch::channel(0).0), network: Arc::default() }
    }
}

impl Pool {
    /// Announces from now on what comes from peers.
    pub fn connect(&self, network: NetworkHandle) {
        // A second one would change nothing; a node has one network.
        let _ = self.network.set(network);
    }

    /// Adds transactions, as if they had been there for long.
    pub fn add(&self, transactions: &[Transaction]) {
        self.insert(transactions.iter().cloned());
    }

    /// Adds transactions that were given to this node, and announces them.
    pub fn submit(&self, transactions: &[Transaction]) {
        let new = self.insert(transactions.iter().cloned());
        self.announce(new, Announcement::Local);
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.known.write().clear();
        self.size.send_replace(0);
    }

    /// Waits until there are so many transactions.
    pub async fn until_holds(&self, count: usize) {
        // The sender lives in this pool.
        let _ = self.size.subscribe().wait_for(|size| *size >= count).await;
    }

    fn insert(&self, transactions: impl Iterator<Item = Transaction>) -> Vec<TransactionAnnouncement> {
        let mut known = self.known.write();
        let mut new = Vec::new();
        for transaction in transactions {
            let raw = transaction.encoded_2718().into();
            let entry = Known { transaction, raw };
            let announcement = entry.announcement();
            if known.insert(announcement.hash, entry).is_none() {
                new.push(announcement);
            }
        }
        self.size.send_replace(known.len());
        new
    }

    fn announce(&self, new: Vec<TransactionAnnouncement>, why: Announcement) {
        if let Some(network) = self.network.get().filter(|_| !new.is_empty()) {
            network.announce(new, why);
        }
    }
}

impl TransactionSource for Pool {
    fn find(&self, key: &ShortIdKey, ids: &[ShortId]) -> Vec<Option<Transaction>> {
        let known = self.known.read();
        let by_id: HashMap<_, _> = known.iter().map(|(hash, known)| (key.short_id(hash), known)).collect();
        ids.iter().map(|id| by_id.get(id).map(|known| known.transaction.clone())).collect()
    }
}

#[async_trait]
impl TransactionPool for Pool {
    async fn lacking(&self, mut transactions: Vec<TransactionAnnouncement>) -> Vec<TransactionAnnouncement> {
        let known = self.known.read();
        transactions.retain(|transaction| !known.contains_key(&transaction.hash));
        transactions
    }

    async fn encoded(&self, hashes: Vec<B256>, bytes_max: usize) -> Vec<Bytes> {
        let known = self.known.read();
        let mut bytes = 0;
        let fits = |raw: &Bytes| {
            bytes += raw.len();
            bytes <= bytes_max
        };
        hashes.iter().filter_map(|hash| Some(known.get(hash)?.raw.clone())).take_while(fits).collect()
    }

    async fn pending(&self, count_max: usize) -> Vec<TransactionAnnouncement> {
        self.known.read().values().take(count_max).map(Known::announcement).collect()
    }

    async fn receive(&self, _: PeerId, transactions: Vec<Bytes>) -> Judgement {
        let decoded: Vec<_> = transactions.iter().flat_map(|raw| Transaction::decode_2718_exact(raw)).collect();
        let valid = decoded.len();
        let new = self.insert(decoded.into_iter());
        let accepted = new.len();
        self.announce(new, Announcement::Gossip);
        Judgement { accepted, refused: valid - accepted, invalid: transactions.len() - valid }
    }
}
