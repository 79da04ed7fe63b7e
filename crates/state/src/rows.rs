//! Keys and values of the tables that this crate owns.

use crate::StateError;
use alloy_primitives::{Address, B256, U256};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use alloy_trie::{Nibbles, TrieAccount};
use heddle_storage::{Snapshot, Table};

/// Row of [`Table::Meta`]: number of the block whose state the tables hold.
pub(crate) const HEAD_KEY: &[u8] = b"state.head";
/// Row of [`Table::Meta`]: number of the oldest block whose state history can restore.
pub(crate) const OLDEST_KEY: &[u8] = b"state.oldest";

/// Reads a block number from [`Table::Meta`].
pub(crate) fn read_number(snapshot: &Snapshot, key: &[u8]) -> Result<Option<u64>, StateError> {
    let Some(row) = snapshot.get(Table::Meta, key)? else { return Ok(None) };
    let bytes = row.try_into().map_err(|_| StateError::corrupt(Table::Meta, key, "not a block number"))?;
    Ok(Some(u64::from_be_bytes(bytes)))
}

/// Key of [`Table::Storage`].
pub(crate) fn storage_key(address: Address, slot: U256) -> Vec<u8> {
    [address.as_slice(), &slot.to_be_bytes::<32>()].concat()
}

const ADDRESS_BYTES: usize = 20;

/// The slot in a key of [`Table::Storage`].
pub(crate) fn slot_of_key(key: &[u8]) -> Result<U256, StateError> {
    let slot = key.get(ADDRESS_BYTES..).and_then(|slot| <[u8; 32]>::try_from(slot).ok());
    slot.map(U256::from_be_bytes).ok_or_else(|| StateError::corrupt(Table::Storage, key, "not an address and a slot"))
}

/// Value of [`Table::Storage`] and [`Table::StorageHistory`]: big-endian without leading zeros.
pub(crate) fn encode_value(value: U256) -> Vec<u8> {
    value.to_be_bytes_trimmed_vec()
}

/// Reads what [`encode_value`] wrote.
pub(crate) fn decode_value(table: Table, key: &[u8], row: &[u8]) -> Result<U256, StateError> {
    U256::try_from_be_slice(row).ok_or_else(|| StateError::corrupt(table, key, "more than 32 bytes"))
}

/// Reads a value of [`Table::Accounts`] or [`Table::AccountHistory`]: the leaf of the account trie.
pub(crate) fn decode_account(table: Table, key: &[u8], row: &[u8]) -> Result<TrieAccount, StateError> {
    alloy_rlp::decode_exact(row).map_err(|error| StateError::corrupt(table, key, error))
}

/// Key of a history table: the key of the flat table, then the block that replaced the value.
pub(crate) fn history_key(flat_key: &[u8], number: u64) -> Vec<u8> {
    [flat_key, &number.to_be_bytes()].concat()
}

/// An entry of a [`Table::ChangeSets`] row: history rows that the block wrote.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(crate) struct ChangedKeys {
    /// The account, which has a history row: its storage root changes with any slot.
    pub(crate) address: Address,
    /// Its slots with a history row.
    pub(crate) slots: Vec<U256>,
}

/// Which trie a node belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrieId {
    /// The trie of all accounts.
    Accounts,
    /// The storage trie of the account with this hashed address.
    Storage(B256),
}

impl TrieId {
    /// Key of the node at a path in [`Table::TrieNodes`], one byte a nibble, so that a trie's nodes sort as a walk visits
    /// them. The tag keeps a storage trie's hash from being read as a path of the account trie.
    pub(crate) fn node_key(self, path: &Nibbles) -> Vec<u8> {
        let mut key = match self {
            Self::Accounts => vec![0],
            Self::Storage(owner) => [&[1], owner.as_slice()].concat(),
        };
        key.extend(path.iter());
        key
    }
}
