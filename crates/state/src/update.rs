//! From a block's changes to the rows that make them the state.

use crate::rows::{
    self, AccountKey, ChangeSet, ChangedAccount, HEAD_KEY, OLDEST_KEY, ROOT_KEY, ReplacedDigest, SlotKey, TrieId,
    history_key,
};
use crate::trie::{self, Change, StoredTrie, TrieUpdate};
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
        let snapshot = parent.as_head()?;
        let accounts = changes.accounts.par_iter();
        let accounts = accounts.map(|(address, change)| AccountUpdate::compute(snapshot, *address, change));
        let mut accounts = accounts.collect::<Result<Vec<_>, _>>()?;
        accounts.retain(|account| account.row != account.replaced);
        accounts.sort_unstable_by_key(|account| account.key);
        let leaves: Vec<_> = accounts.iter().map(AccountUpdate::leaf).collect();
        let trie = StoredTrie { snapshot, id: TrieId::Accounts };
        let trie = trie::update(&trie, rows::read_root(snapshot)?, &leaves)?;
        Ok(Self { state_root: trie.root, parent: parent.number(), accounts, trie, code: changes.code.clone() })
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
            for slot in account.slots {
                let row = Some(rows::encode_value(slot.value)).filter(|row| !row.is_empty());
                put_or_delete(batch, Table::Storage, slot.key.as_ref(), row);
            }
            write_trie(batch, TrieId::Storage(account.key), account.trie);
            put_or_delete(batch, Table::Accounts, account.key.as_ref(), account.row);
        }
        write_trie(batch, TrieId::Accounts, self.trie);
        for (hash, code) in self.code {
            batch.put(Table::Code, hash.to_vec(), code);
        }
        batch.put(Table::Meta, ROOT_KEY, self.state_root.to_vec());
        batch.put(Table::Meta, HEAD_KEY, number.to_be_bytes());
        Ok(())
    }

    fn write_history(&self, number: u64, batch: &mut Batch) {
        let mut accounts = Vec::with_capacity(self.accounts.len());
        let mut digest = ReplacedDigest::default();
        for AccountUpdate { key, replaced, slots, .. } in &self.accounts {
            let replaced = replaced.clone().unwrap_or_default();
            digest.add(&replaced);
            batch.put(Table::AccountHistory, history_key(key, number), replaced);
            for slot in slots {
                let replaced = rows::encode_value(slot.replaced);
                digest.add(&replaced);
                batch.put(Table::StorageHistory, history_key(slot.key, number), replaced);
            }
            let slots = slots.iter().map(|slot| slot.key.slot()).collect();
            accounts.push(ChangedAccount { account: key.0, slots });
        }
        let changes = ChangeSet { accounts, digest: digest.finish() };
        batch.put(Table::ChangeSets, number.to_be_bytes(), alloy_rlp::encode(changes));
    }
}

fn write_trie(batch: &mut Batch, id: TrieId, update: TrieUpdate) {
    for (path, row) in update.rows {
        put_or_delete(batch, Table::TrieNodes, id.node_key(&path), row);
    }
}

fn put_or_delete(batch: &mut Batch, table: Table, key: impl Into<Vec<u8>>, row: Option<Vec<u8>>) {
    match row {
        Some(row) => batch.put(table, key, row),
        None => batch.delete(table, key),
    }
}

/// What changes of one account come to.
#[derive(Debug)]
struct AccountUpdate {
    key: AccountKey,
    /// The new row, which is also the leaf of the account trie; `None` when the account no longer exists.
    row: Option<Vec<u8>>,
    /// The row before.
    replaced: Option<Vec<u8>>,
    /// Slots whose value differs, in the order of their keys.
    slots: Vec<SlotUpdate>,
    /// Changed nodes of the storage trie.
    trie: TrieUpdate,
}

#[derive(Clone, Copy, Debug)]
struct SlotUpdate {
    key: SlotKey,
    value: U256,
    replaced: U256,
}

impl AccountUpdate {
    fn compute(snapshot: &Snapshot, address: Address, change: &AccountChange) -> Result<Self, StateError> {
        let key = AccountKey::of(address);
        let replaced = snapshot.get(Table::Accounts, key)?;
        let before = replaced.as_ref().map(|row| rows::decode_account(Table::Accounts, key.as_ref(), row));
        let storage_root = before.transpose()?.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
        // An account that is gone takes its storage with it, and one without storage has nothing to wipe.
        let is_wiped = (change.storage_wiped || change.account.is_none()) && storage_root != EMPTY_ROOT_HASH;
        let slots = match change.account {
            Some(_) => slot_updates(snapshot, key, &change.storage, is_wiped)?,
            None => slot_updates(snapshot, key, &BTreeMap::new(), is_wiped)?,
        };
        let leaves: Vec<_> = slots.iter().map(SlotUpdate::leaf).collect();
        let trie = trie::update(&StoredTrie { snapshot, id: TrieId::Storage(key) }, storage_root, &leaves)?;
        let row = change.account.map(|account| {
            alloy_rlp::encode(TrieAccount::new(account.nonce, account.balance, trie.root, account.code_hash))
        });
        Ok(Self { key, row, replaced, slots, trie })
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
    fn leaf(&self) -> Change<'static> {
        Change {
            key: Nibbles::unpack_array(&self.key.slot()),
            value: (!self.value.is_zero()).then(|| alloy_rlp::encode(self.value).into()),
            existed: !self.replaced.is_zero(),
        }
    }
}

/// The slots that differ afterwards, in the order of their keys; with a wipe, `changed` is the whole storage.
fn slot_updates(
    snapshot: &Snapshot,
    account: AccountKey,
    changed: &BTreeMap<U256, U256>,
    is_wiped: bool,
) -> Result<Vec<SlotUpdate>, StateError> {
    let mut slots: Vec<_> =
        changed.iter().map(|(&slot, &value)| (account.slot(rows::hash_slot(slot)), value)).collect();
    slots.sort_unstable_by_key(|(key, _)| *key);
    let replaced = snapshot.multi_get(Table::Storage, slots.iter().map(|(key, _)| key))?;
    let mut updates = Vec::with_capacity(slots.len());
    for ((key, value), replaced) in slots.into_iter().zip(replaced) {
        let replaced = rows::decode_value(Table::Storage, key.as_ref(), &replaced.unwrap_or_default())?;
        updates.push(SlotUpdate { key, value, replaced });
    }
    if is_wiped {
        let set = updates.len();
        for row in snapshot.prefix(Table::Storage, account.as_ref())? {
            let (key, row) = row?;
            let replaced = rows::decode_value(Table::Storage, &key, &row)?;
            let key = SlotKey::read(&key)?;
            if updates[..set].binary_search_by_key(&key, |update| update.key).is_err() {
                updates.push(SlotUpdate { key, value: U256::ZERO, replaced });
            }
        }
        updates.sort_unstable_by_key(|update| update.key);
    }
    updates.retain(|slot| slot.value != slot.replaced);
    Ok(updates)
}
