//! Keys and values of the tables that this crate owns.
//!
//! Accounts and slots are keyed by their Keccak-256 hashes, as the tries are: a flat table in its order is the leaves of
//! the tries in theirs, so the tries store no leaves of their own.

use crate::StateError;
use alloy_primitives::{Address, B256, Keccak256, U256, keccak256};
use alloy_rlp::{Encodable, RlpDecodable, RlpEncodable};
use alloy_trie::{Nibbles, TrieAccount};
use heddle_storage::{Snapshot, Table};

/// Row of [`Table::Meta`]: number of the block whose state the tables hold.
pub(crate) const HEAD_KEY: &[u8] = b"state.head";
/// Row of [`Table::Meta`]: number of the oldest block whose state history can restore.
pub(crate) const OLDEST_KEY: &[u8] = b"state.oldest";
/// Row of [`Table::Meta`]: root hash of the account trie.
pub(crate) const ROOT_KEY: &[u8] = b"state.root";

/// The highest key of any trie.
pub(crate) const LAST_KEY: B256 = B256::repeat_byte(0xff);

/// Reads a block number from [`Table::Meta`].
pub(crate) fn read_number(snapshot: &Snapshot, key: &[u8]) -> Result<Option<u64>, StateError> {
    Ok(read_meta(snapshot, key, "not a block number")?.map(u64::from_be_bytes))
}

/// Reads the root hash of the account trie; the empty trie's when no state was committed.
pub(crate) fn read_root(snapshot: &Snapshot) -> Result<B256, StateError> {
    Ok(read_meta_root(snapshot)?.unwrap_or(alloy_trie::EMPTY_ROOT_HASH))
}

/// Reads the root hash of the account trie, if it is recorded.
pub(crate) fn read_meta_root(snapshot: &Snapshot) -> Result<Option<B256>, StateError> {
    Ok(read_meta(snapshot, ROOT_KEY, "not a hash")?.map(B256::new))
}

fn read_meta<const N: usize>(snapshot: &Snapshot, key: &[u8], otherwise: &str) -> Result<Option<[u8; N]>, StateError> {
    let Some(row) = snapshot.get(Table::Meta, key)? else { return Ok(None) };
    row.try_into().map(Some).map_err(|_| StateError::corrupt(Table::Meta, key, otherwise))
}

/// Key of [`Table::Accounts`]: the hash of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AccountKey(pub(crate) B256);

impl AccountKey {
    pub(crate) fn of(address: Address) -> Self {
        Self(keccak256(address))
    }

    /// The key of a slot of this account.
    pub(crate) fn slot(self, slot: B256) -> SlotKey {
        let mut key = [0; 64];
        key[..32].copy_from_slice(self.0.as_slice());
        key[32..].copy_from_slice(slot.as_slice());
        SlotKey(key)
    }
}

impl AsRef<[u8]> for AccountKey {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// Key of [`Table::Storage`]: the hash of the address, then the hash of the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SlotKey([u8; 64]);

impl SlotKey {
    /// Reads a key of [`Table::Storage`].
    pub(crate) fn read(key: &[u8]) -> Result<Self, StateError> {
        let bytes = key.try_into().map_err(|_| StateError::corrupt(Table::Storage, key, "not two hashes"))?;
        Ok(Self(bytes))
    }

    /// The hash of the slot.
    pub(crate) fn slot(&self) -> B256 {
        B256::from_slice(&self.0[32..])
    }
}

impl AsRef<[u8]> for SlotKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The hash of a slot: its key in the storage trie.
pub(crate) fn hash_slot(slot: U256) -> B256 {
    keccak256(slot.to_be_bytes::<32>())
}

/// Value of [`Table::Storage`] and [`Table::StorageHistory`]: big-endian without leading zeros.
pub(crate) fn encode_value(value: U256) -> impl AsRef<[u8]> {
    Trimmed(value.to_be_bytes())
}

/// A big-endian number that is read without its leading zeros.
struct Trimmed([u8; 32]);

impl AsRef<[u8]> for Trimmed {
    fn as_ref(&self) -> &[u8] {
        let zeros = self.0.iter().take_while(|byte| **byte == 0).count();
        &self.0[zeros..]
    }
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
pub(crate) fn history_key(flat_key: impl AsRef<[u8]>, number: u64) -> Vec<u8> {
    [flat_key.as_ref(), &number.to_be_bytes()].concat()
}

/// A row of [`Table::ChangeSets`]: the history rows that a block wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(crate) struct ChangeSet {
    /// The changed accounts, in the order of their keys.
    pub(crate) accounts: Vec<ChangedAccount>,
    /// [`ReplacedDigest`] of the values of those rows, by which a damaged one is found.
    pub(crate) digest: B256,
}

/// An account with history rows of a block.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(crate) struct ChangedAccount {
    /// The hash of the address. The account has a history row: its storage root changes with any slot.
    pub(crate) account: B256,
    /// The hashes of its slots with a history row, in order.
    pub(crate) slots: Vec<B256>,
}

impl ChangedAccount {
    pub(crate) fn key(&self) -> AccountKey {
        AccountKey(self.account)
    }

    /// The keys of its slots in [`Table::Storage`].
    pub(crate) fn slot_keys(&self) -> impl Iterator<Item = SlotKey> + '_ {
        self.slots.iter().map(|slot| self.key().slot(*slot))
    }
}

/// Keccak-256 over the values of a block's history rows as RLP strings: each account's, then those of its slots.
#[derive(Clone, Default)]
pub(crate) struct ReplacedDigest {
    hasher: Keccak256,
    buffer: Vec<u8>,
}

impl ReplacedDigest {
    /// Adds the value of the next history row.
    pub(crate) fn add(&mut self, value: &[u8]) {
        self.buffer.clear();
        value.encode(&mut self.buffer);
        self.hasher.update(&self.buffer);
    }

    pub(crate) fn finish(self) -> B256 {
        self.hasher.finalize()
    }
}

/// Which trie a node belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TrieId {
    /// The trie of all accounts.
    Accounts,
    /// The storage trie of the account with this hashed address.
    Storage(AccountKey),
}

impl TrieId {
    /// Key of the node at a path in [`Table::TrieNodes`], one byte a nibble, so that a trie's nodes sort as a walk visits
    /// them. The tag keeps a storage trie's hash from being read as a path of the account trie.
    pub(crate) fn node_key(self, path: &Nibbles) -> Vec<u8> {
        let mut key = Vec::with_capacity(33 + path.len());
        match self {
            Self::Accounts => key.push(0),
            Self::Storage(owner) => {
                key.push(1);
                key.extend_from_slice(owner.as_ref());
            }
        }
        key.extend(path.iter());
        key
    }
}
