//! From a block's changes to the rows that make them the state.

use crate::rows::{self, ChangedKeys, HEAD_KEY, OLDEST_KEY, TrieId, history_key, storage_key};
use crate::trie::{Trie, TrieUpdate};
use crate::{StateError, StateView};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
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
    accounts: Vec<AccountUpdate>,
    nodes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    code: BTreeMap<B256, Bytes>,
}

impl StateUpdate {
    pub(crate) fn compute(parent: &StateView, changes: &StateChanges) -> Result<Self, StateError> {
        let snapshot = parent.as_head()?;
        let accounts = changes.accounts.par_iter();
        let accounts = accounts.map(|(address, change)| AccountUpdate::compute(snapshot, *address, change));
        let mut accounts = accounts.collect::<Result<Vec<_>, _>>()?;
        accounts.retain(|account| account.row != account.replaced);
        let mut trie = Trie::open(snapshot, TrieId::Accounts)?;
        trie.apply(accounts.iter().map(|account| (keccak256(account.address), account.row.clone())).collect())?;
        let TrieUpdate { root, mut nodes } = trie.finish();
        for account in &mut accounts {
            nodes.append(&mut account.nodes);
        }
        Ok(Self { state_root: root, parent: parent.number(), accounts, nodes, code: changes.code.clone() })
    }

    /// Adds the rows to the batch that commits block `number`: flat state, code, trie nodes, and the replaced values.
    ///
    /// # Errors
    /// [`StateError::WrongNumber`] unless the block follows the one whose state this was computed on; the first state
    /// may have any number.
    pub fn write_into(self, number: u64, batch: &mut Batch) -> Result<(), StateError> {
        match self.parent {
            Some(parent) if parent.checked_add(1) != Some(number) => {
                return Err(StateError::WrongNumber { parent, number });
            }
            Some(_) => self.write_history(number, batch),
            // Nothing was there to be replaced, and no earlier state can be asked for.
            None => batch.put(Table::Meta, OLDEST_KEY, number.to_be_bytes()),
        }
        for account in self.accounts {
            put_or_delete(batch, Table::Accounts, account.address.to_vec(), account.row);
            for slot in account.slots {
                let row = Some(rows::encode_value(slot.value)).filter(|row| !row.is_empty());
                put_or_delete(batch, Table::Storage, storage_key(account.address, slot.slot), row);
            }
        }
        for (key, node) in self.nodes {
            put_or_delete(batch, Table::TrieNodes, key, node);
        }
        for (hash, code) in self.code {
            batch.put(Table::Code, hash.to_vec(), code);
        }
        batch.put(Table::Meta, HEAD_KEY, number.to_be_bytes());
        Ok(())
    }

    fn write_history(&self, number: u64, batch: &mut Batch) {
        let mut changed = Vec::with_capacity(self.accounts.len());
        for AccountUpdate { address, replaced, slots, .. } in &self.accounts {
            let replaced = replaced.clone().unwrap_or_default();
            batch.put(Table::AccountHistory, history_key(address.as_slice(), number), replaced);
            for slot in slots {
                let key = history_key(&storage_key(*address, slot.slot), number);
                batch.put(Table::StorageHistory, key, rows::encode_value(slot.replaced));
            }
            changed.push(ChangedKeys { address: *address, slots: slots.iter().map(|slot| slot.slot).collect() });
        }
        batch.put(Table::ChangeSets, number.to_be_bytes(), alloy_rlp::encode(changed));
    }
}

fn put_or_delete(batch: &mut Batch, table: Table, key: Vec<u8>, row: Option<Vec<u8>>) {
    match row {
        Some(row) => batch.put(table, key, row),
        None => batch.delete(table, key),
    }
}

/// What changes of one account come to.
#[derive(Debug)]
struct AccountUpdate {
    address: Address,
    /// The new row, which is also the leaf of the account trie; `None` when the account no longer exists.
    row: Option<Vec<u8>>,
    /// The row before.
    replaced: Option<Vec<u8>>,
    /// Slots whose value differs.
    slots: Vec<SlotUpdate>,
    /// Changed nodes of the storage trie.
    nodes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

#[derive(Clone, Copy, Debug)]
struct SlotUpdate {
    slot: U256,
    value: U256,
    replaced: U256,
}

impl AccountUpdate {
    fn compute(snapshot: &Snapshot, address: Address, change: &AccountChange) -> Result<Self, StateError> {
        let replaced = snapshot.get(Table::Accounts, address)?;
        let before = replaced.as_ref().map(|row| rows::decode_account(Table::Accounts, address.as_slice(), row));
        let storage_root = before.transpose()?.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
        // An account that is gone takes its storage with it, and one without storage has nothing to wipe.
        let is_wiped = (change.storage_wiped || change.account.is_none()) && storage_root != EMPTY_ROOT_HASH;
        let slots = match change.account {
            Some(_) => slot_updates(snapshot, address, &change.storage, is_wiped)?,
            None => slot_updates(snapshot, address, &BTreeMap::new(), is_wiped)?,
        };
        let storage = match slots.is_empty() {
            true => TrieUpdate { root: storage_root, nodes: Vec::new() },
            false => update_storage_trie(snapshot, address, &slots)?,
        };
        let row = change.account.map(|account| {
            alloy_rlp::encode(TrieAccount::new(account.nonce, account.balance, storage.root, account.code_hash))
        });
        Ok(Self { address, row, replaced, slots, nodes: storage.nodes })
    }
}

/// The slots that differ afterwards, in order; with a wipe, `changed` is the whole storage.
fn slot_updates(
    snapshot: &Snapshot,
    address: Address,
    changed: &BTreeMap<U256, U256>,
    is_wiped: bool,
) -> Result<Vec<SlotUpdate>, StateError> {
    let mut slots = BTreeMap::new();
    if is_wiped {
        for row in snapshot.prefix(Table::Storage, address.as_slice())? {
            let (key, row) = row?;
            let slot = rows::slot_of_key(&key)?;
            let replaced = rows::decode_value(Table::Storage, &key, &row)?;
            slots.insert(slot, SlotUpdate { slot, value: U256::ZERO, replaced });
        }
        for (&slot, &value) in changed {
            slots.entry(slot).or_insert(SlotUpdate { slot, value, replaced: U256::ZERO }).value = value;
        }
    } else {
        let keys: Vec<_> = changed.keys().map(|slot| storage_key(address, *slot)).collect();
        let rows = snapshot.multi_get(Table::Storage, &keys)?;
        for ((key, row), (&slot, &value)) in keys.iter().zip(rows).zip(changed) {
            let replaced = rows::decode_value(Table::Storage, key, &row.unwrap_or_default())?;
            slots.insert(slot, SlotUpdate { slot, value, replaced });
        }
    }
    Ok(slots.into_values().filter(|slot| slot.value != slot.replaced).collect())
}

fn update_storage_trie(snapshot: &Snapshot, address: Address, slots: &[SlotUpdate]) -> Result<TrieUpdate, StateError> {
    let mut trie = Trie::open(snapshot, TrieId::Storage(keccak256(address)))?;
    let changes = slots.iter().map(|SlotUpdate { slot, value, .. }| {
        let value = (!value.is_zero()).then(|| alloy_rlp::encode(value));
        (keccak256(slot.to_be_bytes::<32>()), value)
    });
    trie.apply(changes.collect())?;
    Ok(trie.finish())
}
