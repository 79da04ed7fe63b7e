//! Accounts: each brings with it that its storage and its code are wanted.

use super::marks::{self, Missing};
use super::spans::{self, Span};
use super::write::{Write, pair};
use super::{AcceptError, Accepted, Staging, plan, storage_of};
use crate::StateError;
use crate::rows::{LAST_KEY, TrieId, decode_account};
use crate::snapshot::verify_accounts;
use crate::trie::StoredTrie;
use alloy_primitives::{B256, KECCAK256_EMPTY};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use heddle_primitives::{AccountLeaf, AccountRange, Pivot, StateTask};
use heddle_storage::Table;

impl Staging {
    pub(super) fn accept_accounts(
        &self,
        pivot: Pivot,
        (first, last): (B256, B256),
        answer: &AccountRange,
    ) -> Result<Accepted, AcceptError> {
        let known = verify_accounts(pivot.state_root, first, last, answer)?;
        let mut write = self.write();
        write.accounts((first, known), &answer.accounts)?;
        let span = Span { first, last: known, root: pivot.state_root };
        spans::replace(&write.snapshot, TrieId::Accounts, (first, known), [span])?.write(&mut write.batch);
        if let Some(first) = spans::after(known).filter(|first| *first <= last) {
            write.accepted.tasks.push(StateTask::Accounts { first, last });
        }
        Ok(write.commit(|snapshot, tasks| plan::storage_tasks(snapshot, (first, known), tasks))?)
    }
}

impl Write<'_> {
    /// Makes the accounts from `first` to `last` these; behind `last` they may go on.
    fn accounts(&mut self, (first, last): (B256, B256), accounts: &[AccountLeaf]) -> Result<(), StateError> {
        let snapshot = self.snapshot.clone();
        let staged = StoredTrie { snapshot: &snapshot, cache: None, id: TrieId::Accounts };
        let accounts = accounts.iter().map(|leaf| (leaf.key, &leaf.account)).take_while(|(key, _)| *key <= last);
        pair(staged.leaves(first, last)?, accounts, |key, staged, account| {
            let staged = staged.map(|row| decode_account(Table::Accounts, key.as_slice(), &row)).transpose()?;
            match account {
                Some(account) => self.account(key, staged, account),
                None => staged.map_or(Ok(()), |staged| self.remove_account(key, staged)),
            }
        })
    }

    fn account(&mut self, key: B256, staged: Option<TrieAccount>, account: &TrieAccount) -> Result<(), StateError> {
        let row = alloy_rlp::encode(account);
        let bytes = (key.len() + row.len()) as u64;
        self.batch.put(Table::Accounts, key, row);
        self.accepted.accounts += 1;
        self.accepted.bytes += bytes;
        if staged.is_none() {
            self.counts.accounts += 1;
            self.counts.bytes += bytes;
        }
        self.code_of(key, staged.map(|staged| staged.code_hash), Some(account.code_hash))?;
        let staged_root = staged.map_or(EMPTY_ROOT_HASH, |staged| staged.storage_root);
        match (staged_root, account.storage_root) {
            (one, other) if one == other => Ok(()),
            (_, EMPTY_ROOT_HASH) => self.remove_storage(key),
            (EMPTY_ROOT_HASH, _) => {
                marks::set_missing_storage(&mut self.batch, key, Some(Missing::All));
                Ok(())
            }
            (staged, root) => self.storage_moved(key, staged, root),
        }
    }

    fn remove_account(&mut self, key: B256, staged: TrieAccount) -> Result<(), StateError> {
        self.batch.delete(Table::Accounts, key);
        self.counts.accounts = self.counts.accounts.saturating_sub(1);
        let bytes = key.len() + alloy_rlp::Encodable::length(&staged);
        self.counts.bytes = self.counts.bytes.saturating_sub(bytes as u64);
        self.code_of(key, Some(staged.code_hash), None)?;
        if staged.storage_root != EMPTY_ROOT_HASH {
            self.remove_storage(key)?;
        }
        Ok(())
    }

    /// Notes which code an account has instead of another.
    fn code_of(&mut self, account: B256, staged: Option<B256>, hash: Option<B256>) -> Result<(), StateError> {
        let wanted = |hash: Option<B256>| hash.filter(|hash| *hash != KECCAK256_EMPTY);
        let (staged, hash) = (wanted(staged), wanted(hash));
        if let Some(staged) = staged.filter(|_| staged != hash) {
            marks::set_missing_code(&mut self.batch, staged, account, false);
        }
        let Some(hash) = hash else { return Ok(()) };
        if self.is_present(hash)? {
            return Ok(());
        }
        if staged != Some(hash) {
            marks::set_missing_code(&mut self.batch, hash, account, true);
        }
        // Whoever has it too asked for it already, but for this account perhaps only before a crash.
        if staged == Some(hash) || marks::missing_codes(&self.snapshot, Some(hash))?.next().transpose()?.is_none() {
            self.codes.insert(hash);
        }
        Ok(())
    }

    /// Whether a code is there. Many accounts have the same.
    fn is_present(&mut self, hash: B256) -> Result<bool, StateError> {
        if self.present.contains(&hash) {
            return Ok(true);
        }
        let is_present = self.snapshot.get(Table::Code, hash)?.is_some();
        if is_present {
            self.present.insert(hash);
        }
        Ok(is_present)
    }

    /// The storage that is there is of another root than the account's now.
    fn storage_moved(&mut self, account: B256, staged: B256, root: B256) -> Result<(), StateError> {
        /// Up to so many slots it is less to send them again than to prove them.
        const SLOTS_FEW: usize = if cfg!(test) { 4 } else { 512 };
        let whole = (B256::ZERO, LAST_KEY);
        let trie = storage_of(account);
        let snapshot = self.snapshot.clone();
        if marks::missing_storage(&snapshot, account)?.is_some() {
            // What spans of it there are say themselves which root they are of, perhaps this one.
            let spans: Vec<_> = spans::overlapping(&snapshot, trie, whole)?.collect::<Result<_, _>>()?;
            if spans == [Span { first: whole.0, last: whole.1, root }] {
                self.storage_is_whole(account)?;
            }
            return Ok(());
        }
        let leaves = StoredTrie { snapshot: &snapshot, cache: None, id: trie }.leaves(whole.0, whole.1)?;
        if leaves.take(SLOTS_FEW + 1).count() > SLOTS_FEW {
            let span = Span { first: whole.0, last: whole.1, root: staged };
            spans::replace(&snapshot, trie, whole, [span])?.write(&mut self.batch);
            marks::set_missing_storage(&mut self.batch, account, Some(Missing::Some));
        } else {
            self.remove_storage(account)?;
            marks::set_missing_storage(&mut self.batch, account, Some(Missing::All));
        }
        Ok(())
    }
}
