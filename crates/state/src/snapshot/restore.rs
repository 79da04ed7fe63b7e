//! From a staged state to the state of a chain: the rows are copied in bulk, and the tries built from them, which must
//! give the root that was promised. Parts of the key space are done at once.

use super::sorted::SortedRows;
use super::staging::Staging;
use crate::check::META_KEYS;
use crate::rebuild::{Rebuild, Top};
use crate::rows::{self, AccountKey, HEAD_KEY, OLDEST_KEY, ROOT_KEY, SlotKey, TrieId};
use crate::trie::branch::{Branch, hash_root};
use crate::{StateError, StateStore};
use alloy_primitives::{B256, KECCAK256_EMPTY};
use alloy_trie::nodes::RlpNode;
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieAccount};
use heddle_storage::{Batch, Database, Row, Rows, Snapshot, SstWriter, Table};
use parking_lot::Mutex;
use rayon::prelude::*;
use std::iter::Peekable;
use std::path::Path;

/// Every table of the state.
const TABLES: [Table; 7] = [
    Table::Accounts,
    Table::Storage,
    Table::Code,
    Table::TrieNodes,
    Table::ChangeSets,
    Table::AccountHistory,
    Table::StorageHistory,
];

/// How far a restoration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreProgress {
    /// Accounts done, with their storage.
    pub accounts_done: u64,
    /// Accounts there are.
    pub accounts: u64,
}

/// Told about progress, now and then, by several threads.
pub type RestoreObserver<'a> = &'a mut (dyn FnMut(RestoreProgress) + Send);

impl StateStore {
    /// Removes the state and its history, so that there is none. Not at once: a crash in between leaves a part of it, so
    /// the caller marks that first. Views from before keep what they see.
    ///
    /// # Errors
    /// The disk's.
    pub fn wipe(&self) -> Result<(), StateError> {
        let mut batch = Batch::new();
        META_KEYS.iter().for_each(|key| batch.delete(Table::Meta, key));
        self.database.commit(batch)?;
        self.caches.reset();
        TABLES.iter().try_for_each(|table| self.database.wipe(*table))?;
        Ok(())
    }

    /// Replaces whatever state there is by a staged one, which is whole, as the state after a block: without history.
    /// Files are written in the directory `scratch` first, best on the file system of the database. The state is there once
    /// the returned batch is committed; until then, and after an error, there is a part of it or none, so the caller marks
    /// that first, and [`Self::wipe`]s what a crash leaves.
    ///
    /// # Errors
    /// [`StateError::Corrupt`] when the staged rows do not make the root, or code is missing; the disk's.
    pub fn restore(
        &self,
        staging: &Staging,
        number: u64,
        expected_root: B256,
        scratch: &Path,
        observer: RestoreObserver<'_>,
    ) -> Result<Batch, StateError> {
        self.wipe()?;
        let snapshot = staging.database.snapshot();
        let (codes, codes_writer) = copy_code(&self.database, &snapshot, scratch)?;
        let accounts = staging.progress()?.accounts;
        let meter = Mutex::new((RestoreProgress { accounts_done: 0, accounts }, observer));
        let parts = parts(&snapshot)?;
        // A trie whose keys do not part at their first nibble has its first branch below it.
        let above = usize::from(parts.len() > 1);
        let work = parts.into_par_iter().map(|nibble| {
            let part = Part { snapshot: &snapshot, nibble: (above == 1).then_some(nibble), codes: &codes };
            Ok((nibble, part.restore(&self.database, scratch, &meter)?))
        });
        let done: Vec<_> = work.collect::<Result<_, StateError>>()?;
        let mut batch = Batch::new();
        let mut join = Join::default();
        let mut writers = [Table::Accounts, Table::Storage, Table::TrieNodes, Table::TrieNodes]
            .map(|table| SstWriter::new(&self.database, table, scratch));
        for (nibble, part) in done {
            join.add(nibble, part.top);
            for (all, writer) in writers.iter_mut().zip(part.writers) {
                all.append(writer)?;
            }
            part.late.iter().for_each(|late| batch.extend(late));
        }
        let root = join.finish(&mut batch);
        if root != expected_root {
            let reason = format!("the staged accounts make the state root {root}, expected {expected_root}");
            return Err(StateError::corrupt(Table::Accounts, &[], reason));
        }
        codes_writer.ingest()?;
        writers.into_iter().try_for_each(SstWriter::ingest)?;
        batch.put(Table::Meta, ROOT_KEY, root);
        batch.put(Table::Meta, HEAD_KEY, number.to_be_bytes());
        batch.put(Table::Meta, OLDEST_KEY, number.to_be_bytes());
        Ok(batch)
    }
}

/// Copies all code, and returns the hashes in order.
fn copy_code(database: &Database, snapshot: &Snapshot, scratch: &Path) -> Result<(Vec<B256>, SstWriter), StateError> {
    let mut writer = SstWriter::new(database, Table::Code, scratch);
    let mut hashes = Vec::new();
    for row in snapshot.scan(Table::Code, &[])? {
        let (key, code) = row?;
        writer.put(&key, &code)?;
        hashes.push(read_hash(Table::Code, &key)?);
    }
    Ok((hashes, writer))
}

fn read_hash(table: Table, key: &[u8]) -> Result<B256, StateError> {
    B256::try_from(key).map_err(|_| StateError::corrupt(table, key, "not a hash"))
}

/// The first nibbles that keys of accounts have.
fn parts(snapshot: &Snapshot) -> Result<Vec<u8>, StateError> {
    let mut parts = Vec::new();
    for nibble in 0..16 {
        if part_rows(snapshot, Table::Accounts, Some(nibble))?.next().transpose()?.is_some() {
            parts.push(nibble);
        }
    }
    Ok(parts)
}

/// The rows whose keys start with a nibble, or all.
fn part_rows(snapshot: &Snapshot, table: Table, nibble: Option<u8>) -> Result<Rows<'_>, StateError> {
    let Some(nibble) = nibble else { return Ok(snapshot.scan(table, &[])?) };
    let to = (nibble < 0x0f).then_some([(nibble + 1) << 4]);
    Ok(snapshot.range(table, &[nibble << 4], to.as_ref().map(|to| &to[..]))?)
}

/// Progress, and who is told.
type Meter<'a> = Mutex<(RestoreProgress, RestoreObserver<'a>)>;

/// The accounts whose keys start with a nibble, or all.
struct Part<'a> {
    snapshot: &'a Snapshot,
    nibble: Option<u8>,
    /// The hashes of all code, in order.
    codes: &'a [B256],
}

/// What a part comes to.
struct Restored {
    /// Accounts, storage, and the rows of the trie of accounts and of storage tries.
    writers: [SstWriter; 4],
    late: [Batch; 2],
    top: Option<Top>,
}

impl Part<'_> {
    fn restore(&self, database: &Database, scratch: &Path, meter: &Meter<'_>) -> Result<Restored, StateError> {
        /// Accounts between reports.
        const STEP: u64 = 1 << 12;
        let mut accounts = SstWriter::new(database, Table::Accounts, scratch);
        let mut storage = Slots {
            rows: self.rows(Table::Storage)?.peekable(),
            writer: SstWriter::new(database, Table::Storage, scratch),
        };
        let mut account_rows = SortedRows::new(database, scratch);
        let mut storage_rows = SortedRows::new(database, scratch);
        let mut trie = Rebuild::below(usize::from(self.nibble.is_some()));
        let mut count = 0;
        for row in self.rows(Table::Accounts)? {
            let (key, leaf) = row?;
            let hash = read_hash(Table::Accounts, &key)?;
            let account = rows::decode_account(Table::Accounts, &key, &leaf)?;
            self.check_code(&account)?;
            let root = storage.trie(AccountKey(hash), &mut storage_rows)?;
            if root != account.storage_root {
                return Err(StateError::corrupt(
                    Table::Accounts,
                    &key,
                    "its staged slots do not make its storage root",
                ));
            }
            accounts.put(&key, &leaf)?;
            trie.add(hash, leaf, &mut |path, row| account_rows.add(TrieId::Accounts, path, row))?;
            count += 1;
            if count % STEP == 0 {
                report(meter, STEP);
            }
        }
        let top = trie.finish_top(&mut |path, row| account_rows.add(TrieId::Accounts, path, row))?;
        let mut storage = storage.finish()?;
        accounts.complete()?;
        storage.complete()?;
        report(meter, count % STEP);
        let ((account_rows, late_accounts), (storage_rows, late_storage)) =
            (account_rows.finish()?, storage_rows.finish()?);
        let writers = [accounts, storage, account_rows, storage_rows];
        Ok(Restored { writers, late: [late_accounts, late_storage], top })
    }

    fn rows(&self, table: Table) -> Result<Rows<'_>, StateError> {
        part_rows(self.snapshot, table, self.nibble)
    }

    fn check_code(&self, account: &TrieAccount) -> Result<(), StateError> {
        let hash = account.code_hash;
        match hash == KECCAK256_EMPTY || self.codes.binary_search(&hash).is_ok() {
            true => Ok(()),
            false => Err(StateError::MissingCode(hash)),
        }
    }
}

fn report(meter: &Meter<'_>, accounts: u64) {
    let (progress, observer) = &mut *meter.lock();
    progress.accounts_done += accounts;
    observer(*progress);
}

/// The slots of a part.
struct Slots<'a> {
    rows: Peekable<Rows<'a>>,
    writer: SstWriter,
}

impl Slots<'_> {
    /// Copies the slots of the next account, and returns the root of its storage trie.
    fn trie(&mut self, owner: AccountKey, sorted: &mut SortedRows) -> Result<B256, StateError> {
        let id = TrieId::Storage(owner);
        let mut trie = Rebuild::default();
        while let Some((key, row)) = self.next_of(owner)? {
            let value = rows::decode_value(Table::Storage, &key, &row)?;
            let slot = SlotKey::read(&key)?.slot();
            self.writer.put(&key, &row)?;
            trie.add(slot, alloy_rlp::encode(value), &mut |path, row| sorted.add(id, path, row))?;
        }
        trie.finish(&mut |path, row| sorted.add(id, path, row))
    }

    fn next_of(&mut self, owner: AccountKey) -> Result<Option<Row>, StateError> {
        let is_of = |key: &[u8]| key.starts_with(owner.as_ref());
        Ok(self.rows.next_if(|row| row.as_ref().map_or(true, |(key, _)| is_of(key))).transpose()?)
    }

    fn finish(mut self) -> Result<SstWriter, StateError> {
        match self.rows.next().transpose()? {
            None => Ok(self.writer),
            Some((key, _)) => Err(StateError::corrupt(Table::Storage, &key, "a staged slot of no account")),
        }
    }
}

/// Puts the parts of the trie of accounts together.
#[derive(Default)]
struct Join {
    branch: Box<Branch>,
    tops: Vec<Top>,
}

impl Join {
    fn add(&mut self, nibble: u8, top: Option<Top>) {
        let Some(top) = top else { return };
        self.branch.set_child(nibble, RlpNode::from_rlp(&top.node), top.is_leaf);
        self.tops.push(top);
    }

    /// The root hash. The branch above several parts is theirs; one part is the whole trie.
    fn finish(self, batch: &mut Batch) -> B256 {
        match &self.tops[..] {
            [] => EMPTY_ROOT_HASH,
            [top] => hash_root(&top.node),
            _ => {
                batch.put(Table::TrieNodes, TrieId::Accounts.node_key(&Nibbles::new()), self.branch.encode_row());
                hash_root(&self.branch.encode_top())
            }
        }
    }
}
