//! A trie as it was: the stored one, and over it what putting earlier values back changes.

use super::ProofLimits;
use crate::StateError;
use crate::history::{head_number, read_change_set};
use crate::rows::{AccountKey, ChangeSet, decode_value, history_key};
use crate::trie::branch::Branch;
use crate::trie::source::{Leaf, Source, key_range};
use crate::trie::{Change, StoredTrie, update};
use alloy_primitives::B256;
use alloy_trie::Nibbles;
use heddle_storage::{Snapshot, Table};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Leaves by key; `None` where there is none.
pub(super) type Leaves = BTreeMap<B256, Option<Vec<u8>>>;

/// A trie of some state.
pub(crate) struct TrieAt<'a> {
    pub(crate) root: B256,
    stored: StoredTrie<'a>,
    /// Rows that differ from the stored ones.
    rows: BTreeMap<Nibbles, Option<Arc<[u8]>>>,
    /// Leaves that differ from the stored ones.
    changed: Leaves,
}

impl<'a> TrieAt<'a> {
    /// The trie of the last committed state.
    pub(super) fn stored(stored: StoredTrie<'a>, root: B256) -> Self {
        Self { root, stored, rows: BTreeMap::new(), changed: Leaves::new() }
    }

    /// The stored trie with other leaves.
    pub(super) fn put_back(mut self, leaves: Leaves) -> Result<Self, StateError> {
        let mut changes = Vec::with_capacity(leaves.len());
        for (key, value) in &leaves {
            let before = self.stored.value(*key)?;
            if before != *value {
                let value = value.as_deref().map(Into::into);
                changes.push(Change { key: Nibbles::unpack_array(key), value, existed: before.is_some() });
            }
        }
        let update = update(&self.stored, self.root, &changes)?;
        self.root = update.root;
        self.rows = update.rows.into_iter().collect();
        self.changed = leaves;
        Ok(self)
    }

    /// The leaves from one key to another, both included, in order.
    pub(crate) fn leaves(
        &self,
        first: B256,
        last: B256,
    ) -> Result<impl Iterator<Item = Result<(B256, Vec<u8>), StateError>>, StateError> {
        let is_kept =
            |leaf: &Result<(B256, _), _>| leaf.as_ref().map_or(true, |(key, _)| !self.changed.contains_key(key));
        let mut stored = self.stored.leaves(first, last)?.filter(is_kept).peekable();
        let changed = self.changed.range(first..=last);
        let mut changed = changed.filter_map(|(key, value)| Some((*key, value.clone()?))).peekable();
        Ok(std::iter::from_fn(move || match (stored.peek(), changed.peek()) {
            (Some(Ok((one, _))), Some((other, _))) if other < one => changed.next().map(Ok),
            (None, _) => changed.next().map(Ok),
            _ => stored.next(),
        }))
    }
}

impl Source for TrieAt<'_> {
    fn branch(&self, path: &Nibbles) -> Result<Option<Box<Branch>>, StateError> {
        let Some(row) = self.rows.get(path) else { return self.stored.branch(path) };
        let branch = row.as_ref().map(|row| Branch::decode_row(row, path.len()));
        branch.transpose().map_err(|reason| self.corrupt(path, reason))
    }

    fn leaf(&self, prefix: &Nibbles) -> Result<Option<Leaf<'static>>, StateError> {
        let (first, last) = key_range(prefix);
        let leaf = self.leaves(first, last)?.next().transpose()?;
        Ok(leaf.map(|(key, value)| Leaf { key: Nibbles::unpack_array(&key), value: value.into() }))
    }

    fn corrupt(&self, path: &Nibbles, reason: &str) -> StateError {
        self.stored.corrupt(path, reason)
    }
}

/// The accounts after block `number` that later blocks changed.
pub(super) fn replaced_accounts(snapshot: &Snapshot, number: u64, limits: &ProofLimits) -> Result<Leaves, StateError> {
    replaced(snapshot, number, limits, Table::AccountHistory, |changes| {
        changes.accounts.iter().map(|changed| (changed.account, changed.account.to_vec())).collect()
    })
}

/// The slots of an account after block `number` that later blocks changed.
pub(super) fn replaced_slots(
    snapshot: &Snapshot,
    account: AccountKey,
    number: u64,
    limits: &ProofLimits,
) -> Result<Leaves, StateError> {
    let mut leaves = replaced(snapshot, number, limits, Table::StorageHistory, |changes| {
        let changed = changes.accounts.binary_search_by_key(&account.0, |changed| changed.account);
        let slots = changed.ok().map(|index| changes.accounts[index].slots.as_slice()).unwrap_or_default();
        slots.iter().map(|slot| (*slot, account.slot(*slot).as_ref().to_vec())).collect()
    })?;
    for (slot, row) in &mut leaves {
        if let Some(row) = row {
            let key = account.slot(*slot);
            *row = alloy_rlp::encode(decode_value(Table::StorageHistory, key.as_ref(), row)?);
        }
    }
    Ok(leaves)
}

/// What the blocks after `number` replaced first, for those keys of their change sets that `select` gives as leaf key
/// and flat key. From the last block back, so that the earliest value stays, and the error can say how far it goes.
fn replaced(
    snapshot: &Snapshot,
    number: u64,
    limits: &ProofLimits,
    history: Table,
    select: impl Fn(&ChangeSet) -> Vec<(B256, Vec<u8>)>,
) -> Result<Leaves, StateError> {
    let head = head_number(snapshot)?;
    let oldest = head.saturating_sub(limits.blocks_max);
    if number < oldest {
        return Err(StateError::ProofTooOld { number, oldest });
    }
    let mut leaves = Leaves::new();
    for later in (number + 1..=head).rev() {
        let keys = select(&read_change_set(snapshot, later)?);
        let rows = snapshot.multi_get(history, keys.iter().map(|(_, flat_key)| history_key(flat_key, later)))?;
        for ((key, flat_key), row) in keys.into_iter().zip(rows) {
            let missing = || StateError::corrupt(history, &history_key(flat_key, later), "the row is missing");
            leaves.insert(key, Some(row.ok_or_else(missing)?).filter(|row| !row.is_empty()));
        }
        if leaves.len() > limits.keys_max {
            return Err(StateError::ProofTooOld { number, oldest: later });
        }
    }
    Ok(leaves)
}
