//! What is cached of the last committed state, for execution and RPC alike.

use crate::cache::{HeadCache, HeapBytes};
use crate::rows::TrieId;
use crate::stats::{RowCounts, StateStats};
use alloy_primitives::{Address, B256, U256};
use alloy_trie::{Nibbles, TrieAccount};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Settings of [`StateStore`](crate::StateStore).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateConfig {
    /// Memory for hot accounts, slots and trie rows, in bytes; taken only as they are read or written.
    pub cache_bytes: usize,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self { cache_bytes: 256 << 20 }
    }
}

/// A row of a trie: which trie, and the path.
pub(crate) type NodeKey = (TrieId, Nibbles);

/// A cache of rows of tries.
pub(crate) type NodeCache = HeadCache<NodeKey, Arc<[u8]>>;

/// The caches of a [`StateStore`](crate::StateStore).
pub(crate) struct Caches {
    /// Accounts by address; `None` for an address without account.
    pub(crate) accounts: HeadCache<Address, Option<TrieAccount>>,
    /// Slots by address and number, those of value zero included.
    pub(crate) slots: HeadCache<(Address, U256), CachedSlot>,
    /// Rows of tries.
    pub(crate) nodes: NodeCache,
    /// What was committed since they were made.
    written: Mutex<RowCounts>,
}

impl HeapBytes for Option<TrieAccount> {}

/// A slot with its hash, which costs as much to compute as a read from memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CachedSlot {
    pub(crate) hash: B256,
    pub(crate) value: U256,
}

impl HeapBytes for CachedSlot {}

impl HeapBytes for Arc<[u8]> {
    fn heap_bytes(&self) -> usize {
        /// The two counts before the bytes, and what the allocator rounds up.
        const OVERHEAD_BYTES: usize = 24;
        self.len() + OVERHEAD_BYTES
    }
}

impl Caches {
    pub(crate) fn new(config: &StateConfig) -> Self {
        let quarter = config.cache_bytes / 4;
        // A block that changes an account with a few slots changes about twice as many bytes of trie rows.
        Self {
            accounts: HeadCache::new(quarter),
            slots: HeadCache::new(quarter),
            nodes: HeadCache::new(config.cache_bytes - 2 * quarter),
            written: Mutex::default(),
        }
    }

    /// Tells the caches the last committed block, if nobody did.
    pub(crate) fn start(&self, number: u64) {
        self.accounts.start(number);
        self.slots.start(number);
        self.nodes.start(number);
    }

    /// Forgets everything: the state is another one.
    pub(crate) fn reset(&self) {
        self.accounts.reset();
        self.slots.reset();
        self.nodes.reset();
    }

    /// Takes over what a commit changed.
    pub(crate) fn commit(&self, committed: CommittedState) {
        let CommittedState { number, accounts, slots, wiped, nodes } = committed;
        self.count(&RowCounts {
            accounts: accounts.len() as u64,
            slots: slots.len() as u64,
            trie_nodes: nodes.len() as u64,
        });
        let is_kept = |(address, _): &(Address, U256)| !wiped.contains(address);
        let kept: Option<&dyn Fn(&_) -> bool> = if wiped.is_empty() { None } else { Some(&is_kept) };
        self.accounts.commit(number, accounts.into_iter().map(|(key, value)| (key, Some(value))), None);
        self.slots.commit(number, slots.into_iter().map(|(key, value)| (key, Some(value))), kept);
        self.nodes.commit(number, nodes.into_iter(), None);
    }

    fn count(&self, rows: &RowCounts) {
        let mut written = self.written.lock();
        written.accounts += rows.accounts;
        written.slots += rows.slots;
        written.trie_nodes += rows.trie_nodes;
    }

    /// What the caches hold, what they were asked for, and what was committed.
    pub(crate) fn stats(&self) -> StateStats {
        StateStats {
            accounts: self.accounts.stats(),
            slots: self.slots.stats(),
            trie_nodes: self.nodes.stats(),
            written: *self.written.lock(),
        }
    }
}

impl fmt::Debug for Caches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caches").finish_non_exhaustive()
    }
}

/// What a block changed, for the caches: to be handed to [`StateStore::committed`](crate::StateStore::committed) once the
/// batch is committed. Dropping it costs the caches, and nothing else.
#[must_use = "the caches serve no later state until they are told what a commit changed"]
pub struct CommittedState {
    pub(crate) number: u64,
    pub(crate) accounts: Vec<(Address, Option<TrieAccount>)>,
    pub(crate) slots: Vec<((Address, U256), CachedSlot)>,
    /// Accounts that lost slots whose numbers are not known, only their hashes.
    pub(crate) wiped: BTreeSet<Address>,
    pub(crate) nodes: Vec<(NodeKey, Option<Arc<[u8]>>)>,
}

impl CommittedState {
    pub(crate) fn of(number: u64) -> Self {
        Self { number, accounts: Vec::new(), slots: Vec::new(), wiped: BTreeSet::new(), nodes: Vec::new() }
    }
}

impl fmt::Debug for CommittedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommittedState").field("number", &self.number).finish_non_exhaustive()
    }
}
