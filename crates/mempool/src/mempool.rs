//! The handle: decodes and recovers without a lock, reads accounts, and keeps the pool behind one.

use crate::additions::{Accounts, Additions};
use crate::announced::Announced;
use crate::sender::Entry;
use crate::service::Arrivals;
use crate::state::{Changes, Pool};
use crate::{
    Best, ChainReadError, ChainReader, ChangedAccounts, CommittedHead, ConfigError, Fault, MempoolConfig,
    MempoolMetrics, MempoolService, Origin, PoolContent, PoolError, PoolStatus, PoolTransaction, SenderContent,
};
use alloy_primitives::{Address, Bytes, TxHash, keccak256};
use heddle_primitives::{Genesis, ShortId, ShortIdKey, TransactionAnnouncement};
use parking_lot::{Mutex, RwLock};
use rayon::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc};

/// Transactions that became pending together.
pub type NewPending = Arc<[Arc<PoolTransaction>]>;

/// What became of a peer's transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// New and valid.
    pub accepted: usize,
    /// Of no use here, and nobody is at fault.
    pub refused: usize,
    /// What no correct node forwards.
    pub invalid: usize,
}

impl Received {
    /// Sums up what became of each.
    pub fn of(results: &[Result<TxHash, PoolError>]) -> Self {
        let mut received = Self::default();
        for result in results {
            match result {
                Ok(_) => received.accepted += 1,
                Err(error) if error.fault() == Fault::Peer => received.invalid += 1,
                Err(_) => received.refused += 1,
            }
        }
        received
    }
}

/// A node's pool of transactions; clones share it. What decodes or reads accounts blocks, and is to be called off the
/// async threads; the rest takes a lock for a moment.
#[derive(Clone)]
pub struct Mempool {
    shared: Arc<Shared>,
}

struct Shared {
    pool: RwLock<Pool>,
    chain: Arc<dyn ChainReader>,
    new_pending: broadcast::Sender<NewPending>,
    announced: Mutex<Announced>,
    /// To the service. Of what does not fit, local transactions are announced later.
    arrivals: mpsc::Sender<Arrivals>,
    metrics: MempoolMetrics,
}

impl Mempool {
    /// Makes the pool of a chain, empty, and the loop that serves it.
    ///
    /// # Errors
    /// A setting that is out of range.
    pub fn new(
        config: MempoolConfig,
        genesis: &Genesis,
        chain: Arc<dyn ChainReader>,
        metrics: MempoolMetrics,
    ) -> Result<(Self, MempoolService), ConfigError> {
        config.check()?;
        let (arrivals, arrivals_out) = mpsc::channel(config.events_buffered);
        let (new_pending, _) = broadcast::channel(config.events_buffered);
        let pool = RwLock::new(Pool::new(config.clone(), genesis, chain.head()));
        let announced = Mutex::default();
        let mempool = Self { shared: Arc::new(Shared { pool, chain, new_pending, announced, arrivals, metrics }) };
        let service = MempoolService::new(&config, mempool.clone(), arrivals_out);
        Ok((mempool, service))
    }

    /// Adds an EIP-2718 encoded transaction. Blocks.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn submit(&self, raw: &[u8], origin: Origin) -> Result<TxHash, PoolError> {
        let decoded = self.decode(raw);
        let sender = decoded.as_ref().ok().map(PoolTransaction::sender);
        self.adding(origin, sender, |additions| additions.add(decoded))
    }

    /// Adds many, in their order; senders are recovered in parallel. Blocks.
    pub fn submit_batch(&self, raw: &[Bytes], origin: Origin) -> Vec<Result<TxHash, PoolError>> {
        let decoded: Vec<_> = raw.par_iter().map(|raw| self.decode(raw)).collect();
        let senders = Vec::from_iter(decoded.iter().flatten().map(PoolTransaction::sender));
        self.adding(origin, senders, |additions| decoded.into_iter().map(|one| additions.add(one)).collect())
    }

    /// Adds a peer's EIP-2718 encodings and says what became of them. Blocks.
    pub fn receive(&self, transactions: &[Bytes]) -> Received {
        Received::of(&self.submit_batch(transactions, Origin::Gossip))
    }

    /// What the next block should hold, best first. A snapshot.
    pub fn best(&self) -> Best {
        self.shared.pool.read().best()
    }

    /// Takes out what a block builder found invalid.
    pub fn remove_invalid(&self, hashes: &[TxHash]) {
        let mut pool = self.shared.pool.write();
        let removed = pool.remove_invalid(hashes);
        self.shared.metrics.invalid.inc_by(removed as u64);
        self.shared.metrics.set_status(&pool.status());
    }

    /// Whether there is a transaction that the next block could hold.
    pub fn has_ready(&self) -> bool {
        self.shared.pool.read().has_ready()
    }

    /// A transaction of the pool.
    pub fn get(&self, hash: &TxHash) -> Option<Arc<PoolTransaction>> {
        self.shared.pool.read().get(hash)
    }

    /// Which of these announced transactions the pool lacks, in their order.
    pub fn lacking(&self, mut announced: Vec<TransactionAnnouncement>) -> Vec<TransactionAnnouncement> {
        let pool = self.shared.pool.read();
        announced.retain(|transaction| !pool.contains(&transaction.hash));
        announced
    }

    /// Names up to `count_max` pending transactions, each after those of its sender that it needs.
    pub fn announcements(&self, count_max: usize) -> Vec<TransactionAnnouncement> {
        self.shared.pool.read().pending().take(count_max).map(|transaction| transaction.announcement()).collect()
    }

    /// Transactions of the pool in the order asked for: their senders are recovered already.
    pub fn get_many(&self, hashes: &[TxHash]) -> Vec<Option<Arc<PoolTransaction>>> {
        let pool = self.shared.pool.read();
        hashes.iter().map(|hash| pool.get(hash)).collect()
    }

    /// For each of a block's short ids the transaction of the pool that has it; `None` where there is none, or more than
    /// one. Reads every hash of the pool: call it off the async threads.
    pub fn find_named(&self, key: &ShortIdKey, ids: &[ShortId]) -> Vec<Option<Arc<PoolTransaction>>> {
        self.shared.pool.read().find_named(key, ids)
    }

    /// The nonce after a sender's pending transactions; `None` when it has none, and its account's nonce is next.
    pub fn pending_nonce(&self, sender: Address) -> Option<u64> {
        self.shared.pool.read().pending_nonce(&sender)
    }

    /// How much the pool holds.
    pub fn status(&self) -> PoolStatus {
        self.shared.pool.read().status()
    }

    /// Everything the pool holds.
    pub fn content(&self) -> PoolContent {
        self.shared.pool.read().content()
    }

    /// What the pool holds of one sender.
    pub fn content_from(&self, sender: Address) -> SenderContent {
        self.shared.pool.read().content_from(&sender)
    }

    /// The position in [`Self::pending_since`] of what becomes pending next.
    pub fn pending_position(&self) -> u64 {
        self.shared.announced.lock().next()
    }

    /// The hashes of what became pending at this position and after it, in order, and the position to go on from. Of more
    /// than 65,536 the first are forgotten.
    pub fn pending_since(&self, position: u64) -> (Vec<TxHash>, u64) {
        let announced = self.shared.announced.lock();
        (announced.since(position), announced.next())
    }

    /// Follows what becomes pending; one that is too slow loses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<NewPending> {
        self.shared.new_pending.subscribe()
    }

    /// Takes over a commit, as the service does for each that its feed brings. Blocks.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub fn on_committed(&self, committed: &CommittedHead) -> Result<(), ChainReadError> {
        let shared = &*self.shared;
        let mut accounts = Accounts::new(&*shared.chain);
        let concerned = changed_senders(&shared.pool.read(), &committed.changed);
        for sender in concerned {
            accounts.get(sender)?;
        }
        let mut pool = shared.pool.write();
        // One that arrived since was checked against the account before this commit.
        for sender in changed_senders(&pool, &committed.changed) {
            accounts.get(sender)?;
        }
        let Changes { promoted, removed } = pool.on_committed(committed.head, accounts.read());
        shared.metrics.removed.inc_by(removed as u64);
        shared.metrics.set_status(&pool.status());
        drop(pool);
        self.announce(promoted);
        Ok(())
    }

    /// Takes out what has been queued for too long.
    pub(crate) fn expire(&self) {
        let mut pool = self.shared.pool.write();
        let removed = pool.expire(Instant::now());
        self.shared.metrics.expired.inc_by(removed as u64);
        self.shared.metrics.set_status(&pool.status());
    }

    /// Pending local transactions that have been here for at least `age`.
    pub(crate) fn local_since(&self, age: Duration) -> Vec<Arc<PoolTransaction>> {
        self.shared.pool.read().local_since(age, Instant::now())
    }

    /// Gossip brings most transactions more than once: a known one costs a hash.
    fn decode(&self, raw: &[u8]) -> Result<PoolTransaction, PoolError> {
        let hash = keccak256(raw);
        let rules = {
            let pool = self.shared.pool.read();
            if pool.contains(&hash) {
                return Err(PoolError::AlreadyKnown);
            }
            pool.rules()
        };
        PoolTransaction::decode(raw, &rules)
    }

    /// Reads the accounts of `senders`, locks the pool, and lets `add` add.
    fn adding<T>(
        &self,
        origin: Origin,
        senders: impl IntoIterator<Item = Address>,
        add: impl FnOnce(&mut Additions<'_>) -> T,
    ) -> T {
        let shared = &*self.shared;
        let read_at = shared.chain.head().number;
        let mut accounts = Accounts::new(&*shared.chain);
        for sender in senders {
            // Where this fails, `add` tries again and says so.
            let _ = accounts.get(sender);
        }
        let mut pool = shared.pool.write();
        if pool.head().number > read_at {
            // The check after that commit is over: nothing else would find these accounts outdated.
            accounts.clear();
        }
        let (metrics, now, promoted) = (&shared.metrics, Instant::now(), Vec::new());
        let mut additions = Additions { pool: &mut pool, accounts, metrics, origin, now, promoted };
        let result = add(&mut additions);
        let promoted = additions.promoted;
        metrics.set_status(&pool.status());
        drop(pool);
        self.announce(promoted);
        result
    }

    fn announce(&self, promoted: Vec<Entry>) {
        for origin in [Origin::Local, Origin::Gossip] {
            let of_origin = promoted.iter().filter(|entry| entry.origin == origin);
            let transactions = Vec::from_iter(of_origin.map(|entry| Arc::clone(&entry.transaction)));
            let count = transactions.len();
            if count > 0 && self.shared.arrivals.try_send((transactions, origin)).is_err() {
                self.shared.metrics.unannounced.inc_by(count as u64);
            }
        }
        if !promoted.is_empty() {
            let mut announced = self.shared.announced.lock();
            promoted.iter().for_each(|entry| announced.push(entry.transaction.hash()));
            drop(announced);
            let new_pending = promoted.into_iter().map(|entry| entry.transaction).collect();
            let _ = self.shared.new_pending.send(new_pending);
        }
    }
}

fn changed_senders(pool: &Pool, changed: &ChangedAccounts) -> Vec<Address> {
    match changed {
        ChangedAccounts::These(addresses) => {
            addresses.iter().copied().filter(|address| pool.contains_sender(address)).collect()
        }
        ChangedAccounts::Unknown => pool.senders(),
    }
}
