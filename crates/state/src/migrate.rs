//! From format 1 to 2: keys become hashes, change sets get digests, and the tries are built anew, because they no longer
//! store leaves.
//!
//! Old and new keys differ in length, so they may stand in one table while it is rewritten. Every batch moves a cursor
//! along, by which a run that was killed goes on; only the building of the tries, the last part, starts over. Memory is
//! that of a batch.

use crate::StateError;
use crate::rebuild::Rebuild;
use crate::rows::{
    AccountKey, ChangeSet, ChangedAccount, HEAD_KEY, ROOT_KEY, ReplacedDigest, TrieId, decode_account, decode_value,
    hash_slot, history_key,
};
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_rlp::RlpDecodable;
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use heddle_storage::{Batch, Database, Migration, MigrationObserver, MigrationProgress, Row, Snapshot, Table};
use std::error::Error;

/// Brings the state's tables from format 1 to format 2.
pub const HASHED_KEYS: Migration = Migration { from: 1, step: migrate };

/// Row of [`Table::Meta`] while the migration runs: the part it is in, then the last key that is done.
const CURSOR_KEY: &[u8] = b"state.migration";
/// Rows read for one batch.
const BATCH_ROWS: usize = if cfg!(test) { 40 } else { 10_000 };
/// Bytes of an address, and of an address and a slot.
const OLD_ACCOUNT_BYTES: usize = 20;
const OLD_SLOT_BYTES: usize = 52;
/// Bytes of the block number behind the key in a history table.
const NUMBER_BYTES: usize = 8;

/// The parts in their order; change sets come after the history whose values they bind.
const PARTS: [(Table, Rewrite); 5] = [
    (Table::Accounts, |_, row, batch| rewrite_key(Table::Accounts, OLD_ACCOUNT_BYTES, row, batch)),
    (Table::Storage, |_, row, batch| rewrite_key(Table::Storage, OLD_SLOT_BYTES, row, batch)),
    (Table::AccountHistory, |_, row, batch| {
        rewrite_key(Table::AccountHistory, OLD_ACCOUNT_BYTES + NUMBER_BYTES, row, batch)
    }),
    (Table::StorageHistory, |_, row, batch| {
        rewrite_key(Table::StorageHistory, OLD_SLOT_BYTES + NUMBER_BYTES, row, batch)
    }),
    (Table::ChangeSets, rewrite_change_set),
];
/// The cursor's part while the tries are built.
const TRIES_PART: u8 = PARTS.len() as u8;

/// Adds to the batch what becomes of an old row.
type Rewrite = fn(&Database, Row, &mut Batch) -> Result<(), StateError>;

/// An entry of an old change set.
#[derive(RlpDecodable)]
struct OldChange {
    address: Address,
    slots: Vec<U256>,
}

fn migrate(
    database: &Database,
    observer: MigrationObserver<'_>,
) -> Result<Batch, Box<dyn Error + Send + Sync + 'static>> {
    let (part, mut last) = match database.get(Table::Meta, CURSOR_KEY)? {
        None => (0, Vec::new()),
        Some(cursor) => cursor.split_first().map(|(part, key)| (*part, key.to_vec())).unwrap_or_default(),
    };
    for ((table, rewrite), number) in PARTS.into_iter().zip(0..).skip(part.into()) {
        rewrite_table(database, (number, table), rewrite, std::mem::take(&mut last), observer)?;
    }
    Ok(build_tries(database, observer)?)
}

fn rewrite_table(
    database: &Database,
    (part, table): (u8, Table),
    rewrite: Rewrite,
    last: Vec<u8>,
    observer: MigrationObserver<'_>,
) -> Result<(), StateError> {
    let snapshot = database.snapshot();
    let mut progress = progress(database, table)?;
    // Behind the last key: the cursor's own row is done.
    let from = if last.is_empty() { last } else { [&last[..], &[0]].concat() };
    let mut rows = snapshot.scan(table, &from)?;
    loop {
        let mut batch = Batch::new();
        let mut cursor = vec![part];
        for row in rows.by_ref().take(BATCH_ROWS) {
            let row = row?;
            cursor.truncate(1);
            cursor.extend_from_slice(&row.0);
            rewrite(database, row, &mut batch)?;
            progress.rows_done += 1;
        }
        let is_done = cursor.len() == 1;
        let cursor = if is_done { vec![part + 1] } else { cursor };
        batch.put(Table::Meta, CURSOR_KEY, cursor);
        database.commit_unsynced(batch)?;
        observer(progress);
        if is_done {
            return Ok(());
        }
    }
}

/// Puts a row under its new key, if its key is an old one.
fn rewrite_key(table: Table, old_bytes: usize, (key, value): Row, batch: &mut Batch) -> Result<(), StateError> {
    if key.len() != old_bytes {
        return Ok(());
    }
    let (address, rest) = key.split_at(OLD_ACCOUNT_BYTES);
    let mut new = keccak256(address).to_vec();
    match rest.split_at_checked(OLD_SLOT_BYTES - OLD_ACCOUNT_BYTES) {
        Some((slot, number)) => new.extend_from_slice(&[keccak256(slot).as_slice(), number].concat()),
        None => new.extend_from_slice(rest),
    }
    batch.put(table, new, value);
    batch.delete(table, key);
    Ok(())
}

fn rewrite_change_set(database: &Database, (key, row): Row, batch: &mut Batch) -> Result<(), StateError> {
    let corrupt = |reason: String| StateError::corrupt(Table::ChangeSets, &key, reason);
    let number = key.as_slice().try_into().map(u64::from_be_bytes).map_err(|_| corrupt("not a number".to_owned()))?;
    let old: Vec<OldChange> = alloy_rlp::decode_exact(&row).map_err(|error| corrupt(error.to_string()))?;
    let mut accounts: Vec<_> = old
        .into_iter()
        .map(|change| {
            let mut slots: Vec<_> = change.slots.into_iter().map(hash_slot).collect();
            slots.sort_unstable();
            ChangedAccount { account: AccountKey::of(change.address).0, slots }
        })
        .collect();
    accounts.sort_unstable_by_key(|changed| changed.account);
    let mut digest = ReplacedDigest::default();
    let mut add = |table, key: Vec<u8>| {
        let row = database.get(table, &key)?;
        digest.add(&row.ok_or_else(|| StateError::corrupt(table, &key, "the row is missing"))?);
        Ok::<_, StateError>(())
    };
    for changed in &accounts {
        add(Table::AccountHistory, history_key(changed.key(), number))?;
        changed.slot_keys().try_for_each(|slot| add(Table::StorageHistory, history_key(slot, number)))?;
    }
    let changes = ChangeSet { accounts, digest: digest.finish() };
    batch.put(Table::ChangeSets, key, alloy_rlp::encode(changes));
    Ok(())
}

/// Replaces the nodes of all tries by the rows that the flat tables make, checked against the roots that were stored.
fn build_tries(database: &Database, observer: MigrationObserver<'_>) -> Result<Batch, StateError> {
    let mut last = Batch::new();
    last.delete(Table::Meta, CURSOR_KEY);
    if database.get(Table::Meta, HEAD_KEY)?.is_none() {
        return Ok(last);
    }
    let root = remove_tries(database)?;
    let snapshot = database.snapshot();
    let mut progress = progress(database, Table::Accounts)?;
    let mut batch = Batch::new();
    let mut accounts = Rebuild::default();
    for row in snapshot.scan(Table::Accounts, &[])? {
        let (key, leaf) = row?;
        let hash =
            B256::try_from(key.as_slice()).map_err(|_| StateError::corrupt(Table::Accounts, &key, "not a hash"))?;
        let expected = decode_account(Table::Accounts, &key, &leaf)?.storage_root;
        let found = build_storage_trie(database, &snapshot, AccountKey(hash), &mut batch)?;
        if found != expected {
            return Err(StateError::corrupt(Table::Accounts, &key, "its slots do not make its storage root"));
        }
        accounts.add(hash, leaf, &mut put_rows(TrieId::Accounts, &mut batch))?;
        progress.rows_done += 1;
        if commit_full(database, &mut batch)? {
            observer(progress);
        }
    }
    let found = accounts.finish(&mut put_rows(TrieId::Accounts, &mut batch))?;
    if found != root {
        return Err(StateError::corrupt(Table::Meta, ROOT_KEY, "the accounts do not make the state root"));
    }
    database.commit_unsynced(batch)?;
    observer(progress);
    Ok(last)
}

/// Removes every node, and returns the state root, which was only in the topmost one.
fn remove_tries(database: &Database) -> Result<B256, StateError> {
    let root = match crate::rows::read_meta_root(&database.snapshot())? {
        Some(root) => root,
        None => {
            let node = database.get(Table::TrieNodes, TrieId::Accounts.node_key(&Nibbles::new()))?;
            node.map_or(EMPTY_ROOT_HASH, keccak256)
        }
    };
    let mut batch = Batch::new();
    batch.delete_range(Table::TrieNodes, [], [0xff]);
    batch.put(Table::Meta, ROOT_KEY, root);
    batch.put(Table::Meta, CURSOR_KEY, [TRIES_PART]);
    database.commit_unsynced(batch)?;
    Ok(root)
}

fn build_storage_trie(
    database: &Database,
    snapshot: &Snapshot,
    owner: AccountKey,
    batch: &mut Batch,
) -> Result<B256, StateError> {
    let mut trie = Rebuild::default();
    for row in snapshot.prefix(Table::Storage, owner.as_ref())? {
        let (key, row) = row?;
        let slot = crate::rows::SlotKey::read(&key)?.slot();
        let leaf = alloy_rlp::encode(decode_value(Table::Storage, &key, &row)?);
        trie.add(slot, leaf, &mut put_rows(TrieId::Storage(owner), batch))?;
        commit_full(database, batch)?;
    }
    trie.finish(&mut put_rows(TrieId::Storage(owner), batch))
}

fn put_rows(id: TrieId, batch: &mut Batch) -> impl FnMut(&Nibbles, Vec<u8>) -> Result<(), StateError> {
    move |path, row| {
        batch.put(Table::TrieNodes, id.node_key(path), row);
        Ok(())
    }
}

fn commit_full(database: &Database, batch: &mut Batch) -> Result<bool, StateError> {
    let is_full = batch.len() >= BATCH_ROWS;
    if is_full {
        database.commit_unsynced(std::mem::take(batch))?;
    }
    Ok(is_full)
}

fn progress(database: &Database, table: Table) -> Result<MigrationProgress, StateError> {
    let rows_estimate = database.table_stats(table)?.rows_estimate;
    Ok(MigrationProgress { from: HASHED_KEYS.from, table, rows_done: 0, rows_estimate })
}

#[cfg(test)]
mod tests;
