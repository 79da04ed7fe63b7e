//! From a block's changes to the rows that make them the state.

use crate::caches::{CachedSlot, CommittedState};
use crate::rows::{
    self, AccountKey, ChangeSet, ChangedAccount, HEAD_KEY, OLDEST_KEY, ROOT_KEY, ReplacedDigest, SlotKey, TrieId,
    history_key,
};
use crate::trie::{self, Change, TrieUpdate};
use crate::{StateError, StateView};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieAccount};
use heddle_primitives::{AccountChange, StateChanges};
use heddle_storage::{Batch, Snapshot, Table};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// What a block's changes make of its parent's state: the root now, the rows when the block is committed.
#[derive(Debug)]
pub struct StateUpdate {
    /// Root hash of the account trie after the block.
    pub state_root: B256,
    parent: Option<u64>,
    /// In the order of their keys.
    accounts: Vec<AccountUpdate>,
    trie: TrieUpdate,
    code: BTreeMap<B256, Bytes>,
}

impl StateUpdate {
    pub(crate) fn compute(parent: &StateView, changes: &StateChanges) -> Result<Self, StateError> {
        parent.require_head()?;
        let changed = changes.accounts.par_iter();
        let mut changed: Vec<_> =
            changed.map(|(address, change)| (AccountKey::of(*address), *address, change)).collect();
        changed.par_sort_unstable_by_key(|(key, ..)| *key);
        let accounts = changed.into_par_iter();
        let accounts = accounts.map(|(key, address, change)| AccountUpdate::compute(parent, key, address, change));
        let mut accounts = accounts.collect::<Result<Vec<_>, _>>()?;
        accounts.retain(|account| account.value != account.replaced);
        let leaves: Vec<_> = accounts.iter().map(AccountUpdate::leaf).collect();
        let trie = trie::update(&parent.trie(TrieId::Accounts), rows::read_root(&parent.snapshot)?, &leaves)?;
        Ok(Self { state_root: trie.root, parent: parent.number(), accounts, trie, code: changes.code.clone() })
    }

    /// Adds the rows to the batch that commits block `number`: flat state, code, trie nodes, and the replaced values.
    ///
    /// # Errors
    /// [`StateError::WrongNumber`] unless the block follows the one whose state this was computed on; the first state
    /// may have any number.
    pub fn write_into(self, number: u64, batch: &mut Batch) -> Result<CommittedState, StateError> {
        match self.parent {
            Some(parent) if parent.checked_add(1) != Some(number) => {
                return Err(StateError::WrongNumber { parent, number });
            }
            Some(_) => self.write_history(number, batch),
            // Nothing was there to be replaced, and no earlier state can be asked for.
            None => batch.put(Table::Meta, OLDEST_KEY, number.to_be_bytes()),
        }
        let mut committed = CommittedState::of(number);
        for account in self.accounts {
            committed.accounts.push((account.address, account.value));
            for slot in account.slots {
                let row = (!slot.value.is_zero()).then(|| rows::encode_value(slot.value));
                put_or_delete(batch, Table::Storage, slot.key, row);
                let cached = CachedSlot { hash: slot.key.slot(), value: slot.value };
                match slot.slot {
                    Some(number) => committed.slots.push(((account.address, number), cached)),
                    None => drop(committed.wiped.insert(account.address)),
                }
            }
            write_trie(batch, &mut committed, TrieId::Storage(account.key), account.trie);
            put_or_delete(batch, Table::Accounts, account.key, account.row);
        }
        write_trie(batch, &mut committed, TrieId::Accounts, self.trie);
        for (hash, code) in self.code {
            batch.put(Table::Code, hash, code);
        }
        batch.put(Table::Meta, ROOT_KEY, self.state_root);
        batch.put(Table::Meta, HEAD_KEY, number.to_be_bytes());
        Ok(committed)
    }

    fn write_history(&self, number: u64, batch: &mut Batch) {
        let mut accounts = Vec::with_capacity(self.accounts.len());
        let mut digest = ReplacedDigest::default();
        for AccountUpdate { key, replaced, slots, .. } in &self.accounts {
            let replaced = replaced.as_ref().map(alloy_rlp::encode).unwrap_or_default();
            digest.add(&replaced);
            batch.put(Table::AccountHistory, history_key(key, number), replaced);
            for slot in slots {
                let replaced = rows::encode_value(slot.replaced);
                digest.add(replaced.as_ref());
                batch.put(Table::StorageHistory, history_key(slot.key, number), replaced);
            }
            let slots = slots.iter().map(|slot| slot.key.slot()).collect();
            accounts.push(ChangedAccount { account: key.0, slots });
        }
        let changes = ChangeSet { accounts, digest: digest.finish() };
        batch.put(Table::ChangeSets, number.to_be_bytes(), alloy_rlp::encode(changes));
    }
}

fn write_trie(batch: &mut Batch, committed: &mut CommittedState, id: TrieId, update: TrieUpdate) {
    for (path, row) in update.rows {
        put_or_delete(batch, Table::TrieNodes, id.node_key(&path), row.as_ref());
        committed.nodes.push(((id, path), row));
    }
}

fn put_or_delete(batch: &mut Batch, table: Table, key: impl AsRef<[u8]>, row: Option<impl AsRef<[u8]>>) {
    match row {
        Some(row) => batch.put(table, key, row),
        None => batch.delete(table, key),
    }
}

/// What changes of one account come to.
#[derive(Debug)]
struct AccountUpdate {
    address: Address,
    key: AccountKey,
    /// The account afterwards; `None` when it no longer exists.
    value: Option<TrieAccount>,
    /// The account before.
    replaced: Option<TrieAccount>,
    /// The new row, which is also the leaf of the account trie.
    row: Option<Vec<u8>>,
    /// Slots whose value differs, in the order of their keys.
    slots: Vec<SlotUpdate>,
    /// Changed nodes of the storage trie.
    trie: TrieUpdate,
}

#[derive(Clone, Copy, Debug)]
struct SlotUpdate {
    key: SlotKey,
    /// Its number; `None` when only the hash is known, of a slot that a wipe found.
    slot: Option<U256>,
    value: U256,
    replaced: U256,
}

impl AccountUpdate {
    fn compute(
        parent: &StateView,
        key: AccountKey,
        address: Address,
        change: &AccountChange,
    ) -> Result<Self, StateError> {
        let replaced = parent.trie_account(address)?;
        let storage_root = replaced.as_ref().map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
        // An account that is gone takes its storage with it, and one without storage has nothing to wipe.
        let is_wiped = (change.storage_wiped || change.account.is_none()) && storage_root != EMPTY_ROOT_HASH;
        let changed = change.account.iter().flat_map(|_| &change.storage);
        let mut slots = changed
            .map(|(slot, value)| SlotUpdate::compute(parent, address, key, *slot, *value))
            .collect::<Result<Vec<_>, _>>()?;
        slots.sort_unstable_by_key(|slot| slot.key);
        if is_wiped {
            wipe(&parent.snapshot, key, &mut slots)?;
        }
        slots.retain(|slot| slot.value != slot.replaced);
        let values: Vec<_> = slots.iter().map(|slot| alloy_rlp::encode_fixed_size(&slot.value)).collect();
        let leaves: Vec<_> = slots.iter().zip(&values).map(|(slot, value)| slot.leaf(value)).collect();
        let trie = trie::update(&parent.trie(TrieId::Storage(key)), storage_root, &leaves)?;
        let value = change
            .account
            .map(|account| TrieAccount::new(account.nonce, account.balance, trie.root, account.code_hash));
        Ok(Self { address, key, row: value.as_ref().map(alloy_rlp::encode), value, replaced, slots, trie })
    }

    fn leaf(&self) -> Change<'_> {
        Change {
            key: Nibbles::unpack_array(&self.key.0),
            value: self.row.as_deref().map(Into::into),
            existed: self.replaced.is_some(),
        }
    }
}

impl SlotUpdate {
    fn compute(
        parent: &StateView,
        address: Address,
        account: AccountKey,
        slot: U256,
        value: U256,
    ) -> Result<Self, StateError> {
        let replaced = parent.slot(address, slot, || account)?;
        Ok(Self { key: account.slot(replaced.hash), slot: Some(slot), value, replaced: replaced.value })
    }

    /// The change of the leaf, whose value is RLP of this slot's.
    fn leaf<'a>(&self, value: &'a [u8]) -> Change<'a> {
        Change {
            key: Nibbles::unpack_array(&self.key.slot()),
            value: (!self.value.is_zero()).then(|| value.into()),
            existed: !self.replaced.is_zero(),
        }
    }
}

/// Adds the removal of all stored slots that are not among `slots`, which are sorted and stay so.
fn wipe(snapshot: &Snapshot, account: AccountKey, slots: &mut Vec<SlotUpdate>) -> Result<(), StateError> {
    let set = slots.len();
    for row in snapshot.prefix(Table::Storage, account.as_ref())? {
        let (key, row) = row?;
        let replaced = rows::decode_value(Table::Storage, &key, &row)?;
        let key = SlotKey::read(&key)?;
        if slots[..set].binary_search_by_key(&key, |slot| slot.key).is_err() {
            slots.push(SlotUpdate { key, slot: None, value: U256::ZERO, replaced });
        }
    }
    slots.sort_unstable_by_key(|slot| slot.key);
    Ok(())
}
