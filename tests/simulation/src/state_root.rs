//! The state root, computed anew from every account and slot of a node's database.

use alloy_primitives::{B256, U256};
use alloy_trie::TrieAccount;
use alloy_trie::root::{state_root, storage_root};
use heddle_storage::{Snapshot, Table};

/// The root over the flat tables, which hold the leaves: nothing that the node hashed is used.
///
/// # Errors
/// A row that is not what the table's description says.
pub fn recompute(snapshot: &Snapshot) -> Result<B256, String> {
    let mut accounts = Vec::new();
    for row in snapshot.scan(Table::Accounts, &[]).map_err(|error| error.to_string())? {
        let (key, value) = row.map_err(|error| error.to_string())?;
        let account: TrieAccount = alloy_rlp::decode_exact(&value).map_err(|error| error.to_string())?;
        let storage_root = recompute_storage(snapshot, &key)?;
        accounts.push((hash(&key)?, TrieAccount { storage_root, ..account }));
    }
    Ok(state_root(accounts))
}

fn recompute_storage(snapshot: &Snapshot, account: &[u8]) -> Result<B256, String> {
    let mut slots = Vec::new();
    for row in snapshot.prefix_scan(Table::Storage, account).map_err(|error| error.to_string())? {
        let (key, value) = row.map_err(|error| error.to_string())?;
        let value = U256::try_from_be_slice(&value).ok_or("a slot of more than 32 bytes")?;
        slots.push((hash(&key[account.len()..])?, value));
    }
    Ok(storage_root(slots))
}

fn hash(key: &[u8]) -> Result<B256, String> {
    B256::try_from(key).map_err(|_| "a key that is no hash".to_owned())
}
