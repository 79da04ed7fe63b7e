//! The root that changes make of a state, also of an earlier one.

use super::ProofLimits;
use crate::history::head_number;
use crate::rows::{AccountKey, hash_slot};
use crate::trie::{Change, update};
use crate::{StateError, StateView};
use alloy_primitives::B256;
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieAccount};
use heddle_primitives::{AccountChange, StateChanges};

/// Most change sets that one root reads: each account with changed storage reads them all again.
const CHANGE_SETS_MAX: u64 = 100_000;

impl StateView {
    /// The root of the state after `changes` to this one. Nothing is kept: [`StateStore::compute`](crate::StateStore)
    /// is for what may be committed, on the last state.
    ///
    /// # Errors
    /// As [`Self::proof`].
    pub fn root_with(&self, changes: &StateChanges, limits: &ProofLimits) -> Result<B256, StateError> {
        self.require_near(changes)?;
        let mut leaves = Vec::with_capacity(changes.accounts.len());
        for (address, change) in &changes.accounts {
            let (key, before) = (AccountKey::of(*address), self.trie_account(*address)?);
            let after = match change.account {
                Some(account) => {
                    let root = self.storage_root_with(key, before, change, limits)?;
                    Some(TrieAccount::new(account.nonce, account.balance, root, account.code_hash))
                }
                None => None,
            };
            leaves.push((key.0, after.as_ref().map(alloy_rlp::encode), before.is_some()));
        }
        let accounts = self.accounts_trie(limits)?;
        Ok(update(&accounts, accounts.root, &sorted(&mut leaves))?.root)
    }

    /// Refuses what would read too much.
    fn require_near(&self, changes: &StateChanges) -> Result<(), StateError> {
        let Some(number) = self.past_number() else { return Ok(()) };
        let scans = 1 + changes.accounts.values().filter(|change| !change.storage.is_empty()).count() as u64;
        let oldest = head_number(&self.snapshot)?.saturating_sub(CHANGE_SETS_MAX / scans);
        if number < oldest { Err(StateError::ProofTooOld { number, oldest }) } else { Ok(()) }
    }

    fn storage_root_with(
        &self,
        key: AccountKey,
        before: Option<TrieAccount>,
        change: &AccountChange,
        limits: &ProofLimits,
    ) -> Result<B256, StateError> {
        let root = before.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
        let kept = if change.storage_wiped { EMPTY_ROOT_HASH } else { root };
        if change.storage.is_empty() {
            return Ok(kept);
        }
        let trie = self.storage_trie(key, root, limits)?;
        let mut leaves = Vec::with_capacity(change.storage.len());
        for (slot, value) in &change.storage {
            let hash = hash_slot(*slot);
            let existed = kept != EMPTY_ROOT_HASH && trie.leaves(hash, hash)?.next().transpose()?.is_some();
            leaves.push((hash, (!value.is_zero()).then(|| alloy_rlp::encode(value)), existed));
        }
        Ok(update(&trie, kept, &sorted(&mut leaves))?.root)
    }
}

/// A leaf's key, its value afterwards, and whether it is there before.
type Leaf = (B256, Option<Vec<u8>>, bool);

fn sorted(leaves: &mut [Leaf]) -> Vec<Change<'_>> {
    leaves.sort_unstable_by_key(|(key, ..)| *key);
    let changed = leaves.iter().filter(|(_, value, existed)| value.is_some() || *existed);
    let changes = changed.map(|(key, value, existed)| Change {
        key: Nibbles::unpack_array(&key.0),
        value: value.as_deref().map(Into::into),
        existed: *existed,
    });
    changes.collect()
}
