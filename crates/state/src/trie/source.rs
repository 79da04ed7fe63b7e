//! What a trie is read from.

use super::branch::Branch;
use crate::StateError;
use crate::caches::NodeCache;
use crate::rows::{self, TrieId};
use alloy_primitives::B256;
use alloy_trie::Nibbles;
use heddle_storage::{Snapshot, Table};
use std::borrow::Cow;
use std::sync::Arc;

/// A leaf: its whole key, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf<'a> {
    /// All nibbles of the key.
    pub(crate) key: Nibbles,
    /// The leaf's value: RLP of the account, or of the slot's value.
    pub(crate) value: Cow<'a, [u8]>,
}

/// A trie as it was before an update.
pub(crate) trait Source: Sync {
    /// The branch whose row is at a path.
    fn branch(&self, path: &Nibbles) -> Result<Option<Box<Branch>>, StateError>;

    /// The first leaf whose key starts with a prefix.
    fn leaf(&self, prefix: &Nibbles) -> Result<Option<Leaf<'static>>, StateError>;

    /// The error for a trie that contradicts itself or the changes at a path.
    fn corrupt(&self, path: &Nibbles, reason: &str) -> StateError;
}

/// A trie in the tables.
pub(crate) struct StoredTrie<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// Rows of the state after this block, which is the snapshot's; none before the first.
    pub(crate) cache: Option<(&'a NodeCache, u64)>,
    pub(crate) id: TrieId,
}

impl StoredTrie<'_> {
    fn row(&self, path: &Nibbles) -> Result<Option<Arc<[u8]>>, StateError> {
        let cached = self.cache.and_then(|(cache, head)| cache.get(head, &(self.id, *path)));
        if cached.is_some() {
            return Ok(cached);
        }
        let row: Option<Arc<[u8]>> = self.snapshot.get(Table::TrieNodes, self.id.node_key(path))?.map(Arc::from);
        if let (Some((cache, head)), Some(row)) = (self.cache, &row) {
            cache.insert(head, (self.id, *path), row.clone());
        }
        Ok(row)
    }
}

impl Source for StoredTrie<'_> {
    fn branch(&self, path: &Nibbles) -> Result<Option<Box<Branch>>, StateError> {
        let branch = self.row(path)?.map(|row| Branch::decode_row(&row, path.len())).transpose();
        branch.map_err(|reason| self.corrupt(path, reason))
    }

    fn leaf(&self, prefix: &Nibbles) -> Result<Option<Leaf<'static>>, StateError> {
        let (first, last) = key_range(prefix);
        let leaf = self.leaves(first, last)?.next().transpose()?;
        Ok(leaf.map(|(key, value)| Leaf { key: Nibbles::unpack_array(&key), value: value.into() }))
    }

    fn corrupt(&self, path: &Nibbles, reason: &str) -> StateError {
        StateError::corrupt(Table::TrieNodes, &self.id.node_key(path), reason)
    }
}

impl<'a> StoredTrie<'a> {
    /// The leaves from one key to another, both included, in order.
    pub(crate) fn leaves(
        &self,
        first: B256,
        last: B256,
    ) -> Result<impl Iterator<Item = Result<(B256, Vec<u8>), StateError>> + use<'a>, StateError> {
        let id = self.id;
        let from = id.leaf_key(first);
        // One zero byte behind the last key makes the bound, which is exclusive, include it.
        let to = [&id.leaf_key(last)[..], &[0]].concat();
        let rows = self.snapshot.range(id.leaf_table(), &from, Some(&to))?;
        Ok(rows.map(move |row| row.map_err(StateError::from).and_then(|(key, row)| id.read_leaf(&key, row))))
    }

    /// The value of the leaf with a key, if there is one.
    pub(crate) fn value(&self, key: B256) -> Result<Option<Vec<u8>>, StateError> {
        let key = self.id.leaf_key(key);
        let Some(row) = self.snapshot.get(self.id.leaf_table(), &key)? else { return Ok(None) };
        Ok(Some(self.id.read_leaf(&key, row)?.1))
    }
}

impl TrieId {
    /// The flat table that holds the leaves.
    pub(crate) fn leaf_table(&self) -> Table {
        match self {
            Self::Accounts => Table::Accounts,
            Self::Storage(_) => Table::Storage,
        }
    }

    /// The key of a leaf in that table.
    pub(crate) fn leaf_key(&self, key: B256) -> Vec<u8> {
        match self {
            Self::Accounts => key.to_vec(),
            Self::Storage(owner) => owner.slot(key).as_ref().to_vec(),
        }
    }

    /// The key and the value of the leaf that a row of that table is.
    fn read_leaf(&self, key: &[u8], row: Vec<u8>) -> Result<(B256, Vec<u8>), StateError> {
        let table = self.leaf_table();
        let hash = key.len().checked_sub(32).and_then(|from| B256::try_from(&key[from..]).ok());
        let hash = hash.ok_or_else(|| StateError::corrupt(table, key, "not a hash"))?;
        Ok(match self {
            Self::Accounts => (hash, row),
            Self::Storage(_) => (hash, alloy_rlp::encode(rows::decode_value(table, key, &row)?)),
        })
    }
}

/// The first and the last key that start with a prefix.
pub(crate) fn key_range(prefix: &Nibbles) -> (B256, B256) {
    let mut first = B256::ZERO;
    prefix.pack_to(first.as_mut_slice());
    let mut last = first;
    for (index, byte) in last.iter_mut().enumerate().skip(prefix.len() / 2) {
        *byte |= if 2 * index < prefix.len() { 0x0f } else { 0xff };
    }
    (first, last)
}
