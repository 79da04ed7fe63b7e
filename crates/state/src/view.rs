//! Reads of one state.

use crate::rows::{self, AccountKey, HEAD_KEY};
use crate::{StateError, history};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use heddle_primitives::Account;
use heddle_storage::{Snapshot, Table};

/// The state after one block, unchanged for as long as the view lives; clones share it.
#[derive(Clone, Debug)]
pub struct StateView {
    pub(crate) snapshot: Snapshot,
    number: Option<u64>,
    /// Whether later blocks are committed, so that history decides before the flat tables do.
    is_past: bool,
}

impl StateView {
    /// The last committed state.
    pub(crate) fn last(snapshot: Snapshot) -> Result<Self, StateError> {
        let number = rows::read_number(&snapshot, HEAD_KEY)?;
        Ok(Self { snapshot, number, is_past: false })
    }

    /// The state after an earlier block.
    pub(crate) fn past(snapshot: Snapshot, number: u64) -> Self {
        Self { snapshot, number: Some(number), is_past: true }
    }

    /// The block after which the state is this; `None` for the empty state before the genesis block.
    pub fn number(&self) -> Option<u64> {
        self.number
    }

    /// Reads an account.
    ///
    /// # Errors
    /// The disk's.
    pub fn account(&self, address: Address) -> Result<Option<Account>, StateError> {
        let account = self.trie_account(address)?;
        Ok(account.map(|a| Account { nonce: a.nonce, balance: a.balance, code_hash: a.code_hash }))
    }

    /// Reads a storage slot; zero when the slot or the account does not exist.
    ///
    /// # Errors
    /// The disk's.
    pub fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        let key = AccountKey::of(address).slot(rows::hash_slot(slot));
        match self.row(Table::Storage, Table::StorageHistory, key.as_ref())? {
            Some(row) => rows::decode_value(Table::Storage, key.as_ref(), &row),
            None => Ok(U256::ZERO),
        }
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

    /// The view itself, if updates may build on it.
    pub(crate) fn as_head(&self) -> Result<&Snapshot, StateError> {
        match self.number {
            Some(number) if self.is_past => Err(StateError::NotHead { number }),
            _ => Ok(&self.snapshot),
        }
    }

    fn trie_account(&self, address: Address) -> Result<Option<TrieAccount>, StateError> {
        let key = AccountKey::of(address);
        let row = self.row(Table::Accounts, Table::AccountHistory, key.as_ref())?;
        row.map(|row| rows::decode_account(Table::Accounts, key.as_ref(), &row)).transpose()
    }

    /// The row as it was after this view's block.
    fn row(&self, flat: Table, history: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        if let Some(number) = self.number.filter(|_| self.is_past)
            && let Some(replaced) = history::replaced_after(&self.snapshot, history, key, number)?
        {
            return Ok(Some(replaced).filter(|row| !row.is_empty()));
        }
        Ok(self.snapshot.get(flat, key)?)
    }
}
