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
    fn branch(&self, path: &Nibbles) -> Result<Option<Branch>, StateError>;

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
    fn branch(&self, path: &Nibbles) -> Result<Option<Branch>, StateError> {
        let branch = self.row(path)?.map(|row| Branch::decode_row(&row, path.len())).transpose();
        branch.map_err(|reason| self.corrupt(path, reason))
    }

    fn leaf(&self, prefix: &Nibbles) -> Result<Option<Leaf<'static>>, StateError> {
        let (table, owner) = match &self.id {
            TrieId::Accounts => (Table::Accounts, &[][..]),
            TrieId::Storage(owner) => (Table::Storage, owner.as_ref()),
        };
        let (first, last) = key_range(prefix);
        let from = [owner, first.as_slice()].concat();
        // One zero byte behind the last key makes the bound, which is exclusive, include it.
        let to = [owner, last.as_slice(), &[0]].concat();
        let Some((key, row)) = self.snapshot.range(table, &from, Some(&to))?.next().transpose()? else {
            return Ok(None);
        };
        let hash = B256::try_from(&key[owner.len()..]).map_err(|_| StateError::corrupt(table, &key, "not a hash"))?;
        let value = match self.id {
            TrieId::Accounts => row,
            TrieId::Storage(_) => alloy_rlp::encode(rows::decode_value(table, &key, &row)?),
        };
        Ok(Some(Leaf { key: Nibbles::unpack_array(&hash), value: value.into() }))
    }

    fn corrupt(&self, path: &Nibbles, reason: &str) -> StateError {
        StateError::corrupt(Table::TrieNodes, &self.id.node_key(path), reason)
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
