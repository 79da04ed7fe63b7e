//! The state root, computed anew from every account and slot of a node's database.

use alloy_primitives::{B256, U256, keccak256};
use alloy_trie::root::{state_root, storage_root};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use heddle_primitives::{AccountChange, StateChanges};
use heddle_storage::{Snapshot, Table};
use std::collections::BTreeMap;

/// The root over the flat tables, which hold the leaves, after `changes`: nothing that the node hashed is used.
///
/// # Errors
/// A row that is not what the table's description says.
pub fn recompute(snapshot: &Snapshot, changes: &StateChanges) -> Result<B256, String> {
    let changed = changes.accounts.iter().map(|(address, change)| (keccak256(address), change));
    let changed: BTreeMap<B256, &AccountChange> = changed.collect();
    let mut accounts = BTreeMap::new();
    for row in snapshot.scan(Table::Accounts, &[]).map_err(|error| error.to_string())? {
        let (key, value) = row.map_err(|error| error.to_string())?;
        let account: TrieAccount = alloy_rlp::decode_exact(&value).map_err(|error| error.to_string())?;
        let key = hash(&key)?;
        if !changed.contains_key(&key) {
            accounts.insert(key, TrieAccount { storage_root: recompute_storage(snapshot, key, None)?, ..account });
        }
    }
    for (key, change) in changed {
        let storage_root = recompute_storage(snapshot, key, Some(change))?;
        accounts.extend(change.account.map(|account| {
            let (nonce, balance, code_hash) = (account.nonce, account.balance, account.code_hash);
            (key, TrieAccount { nonce, balance, storage_root, code_hash })
        }));
    }
    Ok(if accounts.is_empty() { EMPTY_ROOT_HASH } else { state_root(accounts) })
}

fn recompute_storage(snapshot: &Snapshot, account: B256, change: Option<&AccountChange>) -> Result<B256, String> {
    let mut slots = BTreeMap::new();
    let account = account.as_slice();
    for row in snapshot.prefix_scan(Table::Storage, account).map_err(|error| error.to_string())? {
        let (key, value) = row.map_err(|error| error.to_string())?;
        let value = U256::try_from_be_slice(&value).ok_or("a slot of more than 32 bytes")?;
        slots.insert(hash(&key[account.len()..])?, value);
    }
    if let Some(change) = change {
        if change.storage_wiped {
            slots.clear();
        }
        slots.extend(change.storage.iter().map(|(slot, value)| (keccak256(slot.to_be_bytes::<32>()), *value)));
    }
    slots.retain(|_, value| !value.is_zero());
    Ok(storage_root(slots))
}

fn hash(key: &[u8]) -> Result<B256, String> {
    B256::try_from(key).map_err(|_| "a key that is no hash".to_owned())
}
