//! Reads of one state.

use crate::cache::{HeadCache, HeapBytes};
use crate::caches::{CachedSlot, Caches};
use crate::rows::{self, AccountKey, HEAD_KEY, TrieId};
use crate::trie::StoredTrie;
use crate::{StateError, history};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use heddle_primitives::Account;
use heddle_storage::{Snapshot, Table};
use std::hash::Hash;
use std::sync::Arc;

/// The state after one block, unchanged for as long as the view lives; clones share it.
#[derive(Clone, Debug)]
pub struct StateView {
    pub(crate) snapshot: Snapshot,
    caches: Arc<Caches>,
    number: Option<u64>,
    /// The last committed block when the view was made. When it is a later one, history decides before the flat tables.
    head: Option<u64>,
}

impl StateView {
    /// The last committed state.
    pub(crate) fn last(snapshot: Snapshot, caches: Arc<Caches>) -> Result<Self, StateError> {
        let number = rows::read_number(&snapshot, HEAD_KEY)?;
        if let Some(number) = number {
            caches.start(number);
        }
        Ok(Self { snapshot, caches, number, head: number })
    }

    /// The same database as it was after an earlier block, whose state history can restore.
    pub(crate) fn at(self, number: u64) -> Self {
        Self { number: Some(number), ..self }
    }

    /// The block after which the state is this; `None` for the empty state before the genesis block.
    pub fn number(&self) -> Option<u64> {
        self.number
    }

    /// All tables as the view sees them.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Reads an account.
    ///
    /// # Errors
    /// The disk's.
    pub fn account(&self, address: Address) -> Result<Option<Account>, StateError> {
        let account = self.trie_account(address)?;
        Ok(account.map(|a| Account { nonce: a.nonce, balance: a.balance, code_hash: a.code_hash }))
    }

    /// The account, if it can be told from memory: `Some(None)` for one that does not exist.
    pub fn cached_account(&self, address: Address) -> Option<Option<Account>> {
        let account = self.caches.accounts.get(self.number?, &address)?;
        Some(account.map(|a| Account { nonce: a.nonce, balance: a.balance, code_hash: a.code_hash }))
    }

    /// The slot's value, if it can be told from memory.
    pub fn cached_storage(&self, address: Address, slot: U256) -> Option<U256> {
        Some(self.caches.slots.get(self.number?, &(address, slot))?.value)
    }

    /// Reads a storage slot; zero when the slot or the account does not exist.
    ///
    /// # Errors
    /// The disk's.
    pub fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        Ok(self.slot(address, slot, || AccountKey::of(address))?.value)
    }

    /// The root of an account's storage trie; the empty trie's for an account that does not exist.
    ///
    /// # Errors
    /// The disk's.
    pub fn storage_root(&self, address: Address) -> Result<B256, StateError> {
        Ok(self.trie_account(address)?.map_or(EMPTY_ROOT_HASH, |account| account.storage_root))
    }

    /// Reads code by its hash; empty for [`KECCAK256_EMPTY`].
    ///
    /// # Errors
    /// [`StateError::MissingCode`] for a hash that no account has had.
    pub fn code(&self, hash: B256) -> Result<Bytes, StateError> {
        if hash == KECCAK256_EMPTY {
            return Ok(Bytes::new());
        }
        self.snapshot.get(Table::Code, hash)?.map(Bytes::from).ok_or(StateError::MissingCode(hash))
    }

    /// Whether it is the last committed state of the database as the view sees it, so that updates may build on it.
    pub(crate) fn require_head(&self) -> Result<(), StateError> {
        match self.number {
            Some(number) if self.is_past() => Err(StateError::NotHead { number }),
            _ => Ok(()),
        }
    }

    /// A trie of the last committed state of the database as the view sees it.
    pub(crate) fn trie(&self, id: TrieId) -> StoredTrie<'_> {
        StoredTrie { snapshot: &self.snapshot, cache: self.head.map(|head| (&self.caches.nodes, head)), id }
    }

    /// Reads an account with its storage root.
    pub(crate) fn trie_account(&self, address: Address) -> Result<Option<TrieAccount>, StateError> {
        self.read(&self.caches.accounts, address, || {
            let key = AccountKey::of(address);
            let row = self.account_row(key)?;
            row.map(|row| rows::decode_account(Table::Accounts, key.as_ref(), &row)).transpose()
        })
    }

    /// Reads a slot; the account's key is asked for unless the slot is cached.
    pub(crate) fn slot(
        &self,
        address: Address,
        slot: U256,
        account: impl FnOnce() -> AccountKey,
    ) -> Result<CachedSlot, StateError> {
        self.read(&self.caches.slots, (address, slot), || {
            let hash = rows::hash_slot(slot);
            let key = account().slot(hash);
            let row = self.row(Table::Storage, Table::StorageHistory, key.as_ref())?;
            let value = rows::decode_value(Table::Storage, key.as_ref(), &row.unwrap_or_default())?;
            Ok(CachedSlot { hash, value })
        })
    }

    /// Reads through a cache.
    fn read<K: Hash + Eq, V: Clone + HeapBytes>(
        &self,
        cache: &HeadCache<K, V>,
        key: K,
        read: impl FnOnce() -> Result<V, StateError>,
    ) -> Result<V, StateError> {
        let Some(number) = self.number else { return read() };
        if let Some(value) = cache.get(number, &key) {
            return Ok(value);
        }
        let value = read()?;
        if !self.is_past() {
            cache.insert(number, key, value.clone());
        }
        Ok(value)
    }

    /// The row of an account in this state.
    pub(crate) fn account_row(&self, key: AccountKey) -> Result<Option<Vec<u8>>, StateError> {
        self.row(Table::Accounts, Table::AccountHistory, key.as_ref())
    }

    /// The block after which the state is this, when later ones are committed.
    pub(crate) fn past_number(&self) -> Option<u64> {
        self.number.filter(|_| self.is_past())
    }

    fn is_past(&self) -> bool {
        self.number != self.head
    }

    /// The row as it was after this view's block.
    fn row(&self, flat: Table, history: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        if let Some(number) = self.past_number()
            && let Some(replaced) = history::replaced_after(&self.snapshot, history, key, number)?
        {
            return Ok(Some(replaced).filter(|row| !row.is_empty()));
        }
        Ok(self.snapshot.get(flat, key)?)
    }
}
