//! The pure core: which transactions are held, which are pending, and who leaves.

use crate::rules::Rules;
use crate::sender::{AccountCode, Entry, Rank, SenderAccount, SenderQueue};
use crate::short_ids;
use crate::victims::{self, Cheapest, Excess, Newcomer};
use crate::{Best, HeadInfo, MempoolConfig, Origin, PoolError, PoolTransaction};
use alloy_hardforks::EthereumChainHardforks;
use alloy_primitives::{Address, TxHash};
use heddle_primitives::{Genesis, ShortId, ShortIdKey};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much the pool holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Transactions that follow their account's nonce without a gap, and that its balance pays for.
    pub pending: usize,
    /// Transactions that wait for others, or for funds.
    pub queued: usize,
    /// Bytes of all their encodings.
    pub bytes: usize,
}

/// Everything the pool holds, by sender and in nonce order.
#[derive(Clone, Debug, Default)]
pub struct PoolContent {
    /// The pending ones.
    pub pending: BTreeMap<Address, Vec<Arc<PoolTransaction>>>,
    /// The queued ones.
    pub queued: BTreeMap<Address, Vec<Arc<PoolTransaction>>>,
}

/// What the pool holds of one sender, in nonce order.
#[derive(Clone, Debug, Default)]
pub struct SenderContent {
    /// The pending ones.
    pub pending: Vec<Arc<PoolTransaction>>,
    /// The queued ones.
    pub queued: Vec<Arc<PoolTransaction>>,
}

/// What a change of the pool did.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Became pending.
    pub(crate) promoted: Vec<Entry>,
    /// Left the pool.
    pub(crate) removed: usize,
}

/// What an addition did.
#[derive(Debug)]
pub(crate) struct Added {
    /// Became pending: the new one when it is, and those that waited for it.
    pub(crate) promoted: Vec<Entry>,
    /// Whether it took the place of one with the same nonce.
    pub(crate) replaced: bool,
    /// How many left to make room.
    pub(crate) evicted: usize,
}

/// The pool. Every collection in it holds at most as many items as there are transactions, except the authorities,
/// whose number the gas of their transactions bounds.
#[derive(Debug)]
pub(crate) struct Pool {
    config: MempoolConfig,
    chain_id: u64,
    forks: EthereumChainHardforks,
    head: HeadInfo,
    senders: HashMap<Address, SenderQueue>,
    transactions: HashMap<TxHash, Arc<PoolTransaction>>,
    /// How many transactions of the pool would set each account's code.
    authorities: HashMap<Address, usize>,
    /// The last transaction of each sender by rank: the first of all is the first to leave.
    ranking: BTreeSet<(Rank, Address)>,
    pending: usize,
    bytes: usize,
    arrivals: u64,
}

impl Pool {
    pub(crate) fn new(config: MempoolConfig, genesis: &Genesis, head: HeadInfo) -> Self {
        Self {
            config,
            chain_id: genesis.chain_id(),
            forks: genesis.forks().clone(),
            head,
            senders: HashMap::new(),
            transactions: HashMap::new(),
            authorities: HashMap::new(),
            ranking: BTreeSet::new(),
            pending: 0,
            bytes: 0,
            arrivals: 0,
        }
    }

    pub(crate) fn head(&self) -> &HeadInfo {
        &self.head
    }

    /// The rules that [`PoolTransaction::decode`] checks by.
    pub(crate) fn rules(&self) -> Rules {
        Rules::new(self.chain_id, self.config.min_tip, &self.forks, &self.head)
    }

    /// Takes over a sender's account, at this head or a later one. To be called before an addition, which checks
    /// against it.
    pub(crate) fn set_account(&mut self, sender: Address, account: SenderAccount) -> Changes {
        match self.senders.get(&sender) {
            Some(queue) if *queue.account() != account => self.edit(sender, |queue| queue.set_account(account)),
            _ => Changes::default(),
        }
    }

    /// Adds a transaction; `account` is its sender's.
    pub(crate) fn add(
        &mut self,
        transaction: Arc<PoolTransaction>,
        account: SenderAccount,
        origin: Origin,
        now: Instant,
    ) -> Result<Added, PoolError> {
        let (hash, sender) = (transaction.hash(), transaction.sender());
        if self.contains(&hash) {
            return Err(PoolError::AlreadyKnown);
        }
        if account.code == AccountCode::Contract {
            return Err(PoolError::SenderNotEoa(sender));
        }
        let absent = SenderQueue::new(account);
        let queue = self.senders.get(&sender).unwrap_or(&absent);
        queue.check(&transaction, self.config.sender_transactions_max, self.config.price_bump_percent)?;
        self.check_delegation(&transaction, queue)?;
        let victims = self.victims(&transaction, queue)?;

        for victim in &victims {
            self.edit(victim.sender(), |queue| Vec::from_iter(queue.remove(victim.nonce())));
        }
        self.arrivals += 1;
        self.bytes += transaction.size();
        for authority in transaction.authorities() {
            *self.authorities.entry(*authority).or_default() += 1;
        }
        self.transactions.insert(hash, Arc::clone(&transaction));
        let entry = Entry::new(transaction, origin, now, self.arrivals);
        self.senders.entry(sender).or_insert(absent);
        let Changes { promoted, removed } = self.edit(sender, |queue| Vec::from_iter(queue.insert(entry)));
        Ok(Added { promoted, replaced: removed > 0, evicted: victims.len() })
    }

    /// Takes over a committed head with the accounts that it changed, and checks what is held again.
    pub(crate) fn on_committed(&mut self, head: HeadInfo, accounts: &HashMap<Address, SenderAccount>) -> Changes {
        let (rules, base_fee) = (self.rules(), self.head.next_base_fee);
        if head.number >= self.head.number {
            self.head = head;
        }
        let new_rules = Some(self.rules()).filter(|new| *new != rules);
        let concerns_all = new_rules.is_some() || base_fee != self.head.next_base_fee;
        let mut senders = if concerns_all { self.senders() } else { Vec::from_iter(accounts.keys().copied()) };
        senders.sort_unstable();
        let mut changes = Changes::default();
        for sender in senders {
            let Changes { promoted, removed } = self.edit(sender, |queue| {
                let mut removed = accounts.get(&sender).map_or_else(Vec::new, |account| queue.set_account(*account));
                removed.extend(new_rules.iter().flat_map(|rules| queue.set_rules(rules)));
                removed
            });
            changes.promoted.extend(promoted);
            changes.removed += removed;
        }
        changes
    }

    /// Takes transactions out that a block builder found invalid; those after them must wait.
    pub(crate) fn remove_invalid(&mut self, hashes: &[TxHash]) -> usize {
        let mut removed = 0;
        for hash in hashes {
            if let Some(transaction) = self.transactions.get(hash).map(Arc::clone) {
                removed +=
                    self.edit(transaction.sender(), |queue| Vec::from_iter(queue.remove(transaction.nonce()))).removed;
            }
        }
        removed
    }

    /// Takes out what has been queued for too long.
    pub(crate) fn expire(&mut self, now: Instant) -> usize {
        let lifetime = Duration::from_secs(self.config.queued_lifetime_secs);
        let stays = |entry: &Entry| entry.rank.pending || now.saturating_duration_since(entry.added) <= lifetime;
        let mut removed = 0;
        for sender in self.senders() {
            removed += self.edit(sender, |queue| queue.retain(stays)).removed;
        }
        removed
    }

    /// The pending transactions that a block at the next base fee can hold, best first.
    pub(crate) fn best(&self) -> Best {
        let pending = |queue: &SenderQueue| {
            Vec::from_iter(queue.pending().map(|e| (e.rank.arrival.0, Arc::clone(&e.transaction))))
        };
        Best::new(self.senders.values().map(pending), self.head.next_base_fee)
    }

    /// Whether [`Self::best`] has any.
    pub(crate) fn has_ready(&self) -> bool {
        let base_fee = u128::from(self.head.next_base_fee);
        self.senders.values().filter_map(|queue| queue.pending().next()).any(|first| first.rank.price >= base_fee)
    }

    /// Pending local transactions that have been here for at least `age`, in order of arrival.
    pub(crate) fn local_since(&self, age: Duration, now: Instant) -> Vec<Arc<PoolTransaction>> {
        let is_due = |e: &&Entry| e.origin == Origin::Local && now.saturating_duration_since(e.added) >= age;
        let mut due = Vec::from_iter(self.senders.values().flat_map(SenderQueue::pending).filter(is_due));
        due.sort_unstable_by_key(|entry| entry.rank.arrival.0);
        due.into_iter().map(|entry| Arc::clone(&entry.transaction)).collect()
    }

    /// The pending transactions, each after those of its sender that it needs.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &PoolTransaction> {
        self.senders.values().flat_map(SenderQueue::pending).map(|entry| &*entry.transaction)
    }

    pub(crate) fn contains(&self, hash: &TxHash) -> bool {
        self.transactions.contains_key(hash)
    }

    pub(crate) fn contains_sender(&self, sender: &Address) -> bool {
        self.senders.contains_key(sender)
    }

    pub(crate) fn senders(&self) -> Vec<Address> {
        self.senders.keys().copied().collect()
    }

    pub(crate) fn get(&self, hash: &TxHash) -> Option<Arc<PoolTransaction>> {
        self.transactions.get(hash).map(Arc::clone)
    }

    /// Those that a block's short ids name.
    pub(crate) fn find_named(&self, key: &ShortIdKey, ids: &[ShortId]) -> Vec<Option<Arc<PoolTransaction>>> {
        short_ids::find(&self.transactions, |hash| key.short_id(hash), ids)
    }

    /// The nonce after a sender's pending transactions; `None` when it has none.
    pub(crate) fn pending_nonce(&self, sender: &Address) -> Option<u64> {
        self.senders.get(sender).filter(|queue| queue.pending_count() > 0).map(SenderQueue::next_nonce)
    }

    pub(crate) fn status(&self) -> PoolStatus {
        let queued = self.transactions.len().saturating_sub(self.pending);
        PoolStatus { pending: self.pending, queued, bytes: self.bytes }
    }

    pub(crate) fn content(&self) -> PoolContent {
        let mut content = PoolContent::default();
        for (sender, queue) in &self.senders {
            for entry in queue.entries() {
                let side = if entry.rank.pending { &mut content.pending } else { &mut content.queued };
                side.entry(*sender).or_default().push(Arc::clone(&entry.transaction));
            }
        }
        content
    }

    pub(crate) fn content_from(&self, sender: &Address) -> SenderContent {
        let entries = self.senders.get(sender).into_iter().flat_map(SenderQueue::entries);
        let (pending, queued): (Vec<_>, Vec<_>) = entries.partition(|entry| entry.rank.pending);
        let transactions =
            |entries: Vec<&Entry>| entries.into_iter().map(|entry| Arc::clone(&entry.transaction)).collect();
        SenderContent { pending: transactions(pending), queued: transactions(queued) }
    }

    /// EIP-7702: whoever holds a delegated account's key shares its balance and nonce with others, and one transaction
    /// of theirs could invalidate a whole queue. So a delegated account, or one that a transaction of the pool would
    /// delegate, has one transaction in the pool.
    fn check_delegation(&self, transaction: &PoolTransaction, queue: &SenderQueue) -> Result<(), PoolError> {
        let is_delegated =
            queue.account().code == AccountCode::Delegation || self.authorities.contains_key(&transaction.sender());
        let replaces_pending = queue.get(transaction.nonce()).is_some_and(|entry| entry.rank.pending);
        if is_delegated && !replaces_pending {
            if queue.pending_count() > 0 {
                return Err(PoolError::DelegatedInFlight);
            }
            if transaction.nonce() != queue.next_nonce() {
                return Err(PoolError::DelegatedGap);
            }
        }
        let pooled = |authority: &Address| self.senders.get(authority).map_or(0, SenderQueue::len);
        if transaction.authorities().iter().any(|authority| pooled(authority) > 1) {
            return Err(PoolError::AuthorityReserved);
        }
        Ok(())
    }

    fn victims(
        &self,
        transaction: &PoolTransaction,
        queue: &SenderQueue,
    ) -> Result<Vec<Arc<PoolTransaction>>, PoolError> {
        let replaced = queue.get(transaction.nonce()).map(|entry| &entry.transaction);
        let count = self.transactions.len() + 1 - usize::from(replaced.is_some());
        let bytes = self.bytes + transaction.size() - replaced.map_or(0, |old| old.size());
        let excess = Excess {
            count: count.saturating_sub(self.config.transactions_max),
            bytes: bytes.saturating_sub(self.config.bytes_max),
        };
        let base_fee = self.head.next_base_fee;
        let newcomer = Newcomer {
            price: transaction.price(base_fee),
            rank: queue.rank_of(transaction, self.arrivals + 1, base_fee),
            replaced: replaced.map(|old| old.hash()),
        };
        victims::choose(Cheapest::new(&self.senders, &self.ranking), excess, newcomer)
    }

    /// The one way to change a sender's queue: keeps everything that is derived from the queues in step. `edit` returns
    /// the entries that it took out.
    fn edit(&mut self, sender: Address, edit: impl FnOnce(&mut SenderQueue) -> Vec<Entry>) -> Changes {
        let Some(mut queue) = self.senders.remove(&sender) else { return Changes::default() };
        self.pending -= queue.pending_count();
        if let Some(last) = queue.last(None) {
            self.ranking.remove(&(last.rank, sender));
        }
        let removed = edit(&mut queue);
        for entry in &removed {
            self.forget(&entry.transaction);
        }
        let promoted = queue.refresh(self.head.next_base_fee);
        self.pending += queue.pending_count();
        if let Some(last) = queue.last(None) {
            self.ranking.insert((last.rank, sender));
            self.senders.insert(sender, queue);
        }
        Changes { promoted, removed: removed.len() }
    }

    fn forget(&mut self, transaction: &PoolTransaction) {
        self.transactions.remove(&transaction.hash());
        self.bytes -= transaction.size();
        for authority in transaction.authorities() {
            if let Some(count) = self.authorities.get_mut(authority) {
                *count -= 1;
                if *count == 0 {
                    self.authorities.remove(authority);
                }
            }
        }
    }
}
