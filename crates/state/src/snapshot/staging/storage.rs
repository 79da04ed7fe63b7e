//! Slots.

use super::marks::{self, Missing};
use super::spans::{self, Span};
use super::write::{Write, pair};
use super::{AcceptError, Accepted, Staging, plan, proven_account, storage_of};
use crate::StateError;
use crate::rows::{AccountKey, LAST_KEY, encode_value};
use crate::snapshot::verify_storage;
use crate::trie::StoredTrie;
use alloy_primitives::B256;
use heddle_primitives::{Pivot, SlotLeaf, StateTask, StorageRanges};
use heddle_storage::{Snapshot, Table};

/// All keys of a trie.
const WHOLE: (B256, B256) = (B256::ZERO, LAST_KEY);

impl Staging {
    pub(super) fn accept_storage(
        &self,
        pivot: Pivot,
        accounts: &[B256],
        (first, last): (B256, B256),
        answer: &StorageRanges,
    ) -> Result<Accepted, AcceptError> {
        let Some(roots) = roots(&self.database.snapshot(), pivot, accounts)? else { return Ok(Accepted::default()) };
        let known = verify_storage(&roots, first, last, answer)?;
        let mut write = self.write();
        if self::roots(&write.snapshot, pivot, accounts)?.as_ref() != Some(&roots) {
            return Ok(Accepted::default());
        }
        let end = answer.accounts.len().saturating_sub(1);
        for (index, ((account, root), slots)) in accounts.iter().zip(&roots).zip(&answer.accounts).enumerate() {
            let from = if index == 0 && end == 0 { first } else { B256::ZERO };
            let to = if index == end { known } else { LAST_KEY };
            write.slots(*account, *root, (from, to), slots)?;
        }
        write.accepted.tasks.extend(rest(accounts, (first, last), end, known));
        Ok(write.commit(|_, _| Ok(()))?)
    }
}

/// What an answer that ends with the account at `end`, of which slots are known up to a key, leaves of the task.
fn rest(accounts: &[B256], (first, last): (B256, B256), end: usize, known: B256) -> Vec<StateTask> {
    let mut tasks = Vec::new();
    let is_last = end + 1 == accounts.len();
    let last_of_end = if is_last { last } else { LAST_KEY };
    if let (Some(account), Some(next)) = (accounts.get(end), spans::after(known).filter(|next| *next <= last_of_end)) {
        let task = |(first, last)| StateTask::Storage { accounts: vec![*account], first, last };
        // More than one answer holds: others can be asked for a part of it at the same time.
        let is_first_part = end > 0 || (first, last_of_end) == WHOLE;
        match is_first_part {
            true => tasks.extend(plan::cut((next, last_of_end)).map(task)),
            false => tasks.push(task((next, last_of_end))),
        }
    }
    if !is_last {
        let accounts = accounts.iter().skip(end + 1).copied().collect();
        tasks.push(StateTask::Storage { accounts, first: B256::ZERO, last });
    }
    tasks
}

/// The storage roots of accounts, unless one of them is not proven to be an account of the pivot's state.
fn roots(snapshot: &Snapshot, pivot: Pivot, accounts: &[B256]) -> Result<Option<Vec<B256>>, StateError> {
    let mut span = None;
    let root = |key: &B256| Ok(proven_account(snapshot, pivot, *key, &mut span)?.map(|account| account.storage_root));
    accounts.iter().map(root).collect()
}

impl Write<'_> {
    /// Makes the slots from `first` to `last` of an account these, which are those of the storage trie with this root;
    /// behind `last` they may go on. Nothing happens to storage that is whole.
    fn slots(
        &mut self,
        account: B256,
        root: B256,
        (first, last): (B256, B256),
        slots: &[SlotLeaf],
    ) -> Result<(), StateError> {
        let Some(missing) = marks::missing_storage(&self.snapshot, account)? else { return Ok(()) };
        let slots = slots.iter().map(|slot| (slot.key, slot)).take_while(|(key, _)| *key <= last);
        if missing == Missing::All {
            slots.for_each(|(_, slot)| self.slot(account, slot, false));
        } else {
            let snapshot = self.snapshot.clone();
            let staged = StoredTrie { snapshot: &snapshot, cache: None, id: storage_of(account) };
            pair(staged.leaves(first, last)?, slots, |key, staged, slot| {
                match slot {
                    Some(slot) => self.slot(account, slot, staged.is_some()),
                    None => {
                        self.batch.delete(Table::Storage, AccountKey(account).slot(key));
                        self.counts.slots = self.counts.slots.saturating_sub(1);
                    }
                }
                Ok(())
            })?;
        }
        if (first, last) == WHOLE && missing == Missing::All {
            marks::set_missing_storage(&mut self.batch, account, None);
            return Ok(());
        }
        self.storage_proven(account, (first, last), [Span { first, last, root }])
    }

    fn slot(&mut self, account: B256, slot: &SlotLeaf, is_staged: bool) {
        let key = AccountKey(account).slot(slot.key);
        let value = encode_value(slot.value);
        let bytes = (key.as_ref().len() + value.as_ref().len()) as u64;
        self.batch.put(Table::Storage, key, value);
        self.accepted.slots += 1;
        self.accepted.bytes += bytes;
        if !is_staged {
            self.counts.slots += 1;
            self.counts.bytes += bytes;
        }
    }

    /// Notes which spans of an account's storage are proven; `spans` are all of them from `first` to `last`.
    pub(super) fn storage_proven(
        &mut self,
        account: B256,
        (first, last): (B256, B256),
        spans: impl IntoIterator<Item = Span>,
    ) -> Result<(), StateError> {
        let change = spans::replace(&self.snapshot, storage_of(account), (first, last), spans)?;
        if change.is_whole() {
            return self.storage_is_whole(account);
        }
        change.write(&mut self.batch);
        marks::set_missing_storage(&mut self.batch, account, Some(Missing::Some));
        Ok(())
    }

    /// Storage that is whole needs no marks.
    pub(super) fn storage_is_whole(&mut self, account: B256) -> Result<(), StateError> {
        marks::set_missing_storage(&mut self.batch, account, None);
        spans::replace(&self.snapshot, storage_of(account), WHOLE, [])?.write(&mut self.batch);
        Ok(())
    }

    /// Removes the slots of an account and all marks of them.
    pub(super) fn remove_storage(&mut self, account: B256) -> Result<(), StateError> {
        /// Up to so many rows are removed one by one, because a removed range slows all reads down.
        const ROWS_MAX: u64 = 4096;
        self.storage_is_whole(account)?;
        let mut rows = 0;
        for row in self.snapshot.prefix_scan(Table::Storage, account.as_slice())? {
            let (key, value) = row?;
            rows += 1;
            self.counts.bytes = self.counts.bytes.saturating_sub((key.len() + value.len()) as u64);
            if rows <= ROWS_MAX {
                self.batch.delete(Table::Storage, key);
            }
        }
        if rows > ROWS_MAX {
            let end = [AccountKey(account).slot(LAST_KEY).as_ref(), &[0]].concat();
            self.batch.delete_range(Table::Storage, account, end);
        }
        self.counts.slots = self.counts.slots.saturating_sub(rows);
        Ok(())
    }
}
