//! The database: open, read, commit.

use crate::batch::Operation;
use crate::migration::FORMAT;
use crate::{
    Batch, DatabaseConfig, DirectoryLock, PendingBatch, Snapshot, StorageError, Table, floor, manifest, options, wal,
};
use parking_lot::Mutex;
use rocksdb::{ColumnFamily, DB, Env, FlushOptions, IngestExternalFileOptions, Options, WriteBatch, WriteOptions};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most bytes that RocksDB adds to the key and the value of a write: its kind, its table, and two lengths.
const WRITE_OVERHEAD_BYTES: usize = 12;
/// RocksDB's file that exists once a database does.
const CURRENT_FILE: &str = "CURRENT";

/// A RocksDB database of the tables of [`Table`]; clones share it, and the last one closes it.
#[derive(Clone)]
pub struct Database {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    /// Dropped, and so closed, before the lock in the kind is released.
    pub(crate) db: DB,
    /// Where the files are, if not on disk.
    pub(crate) memory: Option<Env>,
    kind: Kind,
    /// Numbers the files that are made to be ingested.
    pub(crate) files: AtomicU64,
    /// Counts the writes that failed.
    pub(crate) write_errors: AtomicU64,
    /// Held by the one write at a time.
    writes: Mutex<Writes>,
}

/// What a database is for, and so what it promises.
pub(crate) enum Kind {
    /// Every batch survives, and where the files end is recorded.
    Durable(#[expect(dead_code, reason = "held, not read")] DirectoryLock),
    /// What a power loss leaves is the beginning of what was written.
    Scratch(#[expect(dead_code, reason = "held, not read")] DirectoryLock),
    /// Nothing is to survive: in memory, or nothing can be written.
    Transient,
}

/// What became of the writes so far.
#[derive(Default)]
struct Writes {
    /// Whether [`Database::commit_unsynced`] wrote what the disk has not confirmed.
    unsynced: bool,
    /// Whether one failed, so that nobody knows how far the files reach.
    failed: bool,
}

impl Database {
    /// Opens the database in `directory`, creating it if there is none, and keeps other processes out.
    ///
    /// # Errors
    /// [`StorageError::Locked`]; [`StorageError::Format`] for a database of another version; [`StorageError::Corrupt`]
    /// or [`StorageError::RolledBack`] when committed batches are gone, other than a last one that a crash tore while
    /// it was written; or RocksDB's own.
    pub fn open(directory: &Path, config: &DatabaseConfig) -> Result<Self, StorageError> {
        Self::open_migrating(directory, config, &[], &mut |_| {})
    }

    /// Opens it whatever its format, except one with unknown tables.
    pub(crate) fn open_files(directory: &Path, config: &DatabaseConfig) -> Result<Self, StorageError> {
        let lock = DirectoryLock::acquire(directory)?;
        let options = options::database(config);
        manifest::check(directory)?;
        refuse_unknown_tables(directory, &options)?;
        refuse_damaged_log(directory, &options, config)?;
        let expected = floor::read(directory)?;
        let db = DB::open_cf_descriptors(&options, directory, options::tables(config))?;
        let database = Self::of(db, Kind::Durable(lock), None);
        let found = database.inner.db.latest_sequence_number();
        if found < expected {
            return Err(StorageError::RolledBack { directory: directory.to_owned(), found, expected });
        }
        manifest::note(directory)?;
        Ok(database)
    }

    /// An empty database that lives in memory and is gone with its last handle: for tests and for tools that look at a
    /// state once. Opening takes a few milliseconds. Promises of durability mean nothing here.
    ///
    /// # Errors
    /// RocksDB's own.
    pub fn open_in_memory(config: &DatabaseConfig) -> Result<Self, StorageError> {
        let mut options = options::database(config);
        let memory = Env::mem_env()?;
        options.set_env(&memory);
        // RocksDB's binding creates the directory on disk, so it is one that exists; the files are in memory.
        let directory = std::env::temp_dir();
        let db = DB::open_cf_descriptors(&options, &directory, options::tables(config))?;
        let database = Self::of(db, Kind::Transient, Some(memory));
        database.migrate(&directory, &[], &mut |_| {})?;
        Ok(database)
    }

    pub(crate) fn of(db: DB, kind: Kind, memory: Option<Env>) -> Self {
        let (files, write_errors, writes) = Default::default();
        Self { inner: Arc::new(Inner { db, memory, kind, files, write_errors, writes }) }
    }

    /// Reads a row.
    ///
    /// # Errors
    /// The disk's.
    pub fn get(&self, table: Table, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.inner.db.get_cf(self.inner.family(table)?, key)?)
    }

    /// Reads a row where it lies, without copying it: of a long row only a part may be wanted.
    ///
    /// # Errors
    /// The disk's.
    pub fn with_row<T>(
        &self,
        table: Table,
        key: impl AsRef<[u8]>,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, StorageError> {
        Ok(self.inner.db.get_pinned_cf(self.inner.family(table)?, key)?.map(|row| read(&row)))
    }

    /// Reads several rows of a table, in the order of the keys.
    ///
    /// # Errors
    /// The disk's.
    pub fn multi_get<K: AsRef<[u8]>>(
        &self,
        table: Table,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        let family = self.inner.family(table)?;
        let rows = self.inner.db.multi_get_cf(keys.into_iter().map(|key| (family, key)));
        Ok(rows.into_iter().collect::<Result<_, _>>()?)
    }

    /// A consistent view of all tables as they are now. While it lives, what it sees is kept on disk.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.inner.clone(), None)
    }

    /// As [`Self::snapshot`], with a batch that is not committed yet looking as if it were: for work on what is still
    /// being written. Such a view is ahead of what a crash leaves.
    pub fn snapshot_with(&self, pending: Arc<PendingBatch>) -> Snapshot {
        Snapshot::of(self.inner.clone(), Some(pending))
    }

    /// Writes a batch: after `Ok` it survives a power loss, whole, and so does every earlier one; after an error the
    /// database must be reopened.
    ///
    /// # Errors
    /// The disk's.
    pub fn commit(&self, batch: impl AsRef<Batch>) -> Result<(), StorageError> {
        self.inner.exclusively(|inner, writes| {
            // Otherwise a crash could keep this batch and lose an earlier one.
            inner.flush(writes)?;
            let mut options = WriteOptions::default();
            options.set_sync(inner.is_durable());
            inner.write(batch.as_ref(), &options)
        })
    }

    /// Writes a batch that is visible at once, survives the end of the process, and is durable with the next
    /// [`Self::commit`], which it does not hold up: for what can be made again. A power loss before that loses whole
    /// batches, the last ones first.
    ///
    /// # Errors
    /// The disk's.
    pub fn commit_behind(&self, batch: impl AsRef<Batch>) -> Result<(), StorageError> {
        self.inner.exclusively(|inner, writes| {
            // Otherwise a crash could keep this batch and lose an earlier one.
            inner.flush(writes)?;
            inner.write(batch.as_ref(), &WriteOptions::default())
        })
    }

    /// Writes a batch that is visible at once and durable with the next [`Self::sync`] or [`Self::commit`], or by
    /// itself when memory is full. A crash before that, of the process alone too, loses whole batches, the last ones
    /// first. For bulk imports, which can repeat what is lost: nothing is written twice, to a log and to a table.
    ///
    /// # Errors
    /// The disk's.
    pub fn commit_unsynced(&self, batch: impl AsRef<Batch>) -> Result<(), StorageError> {
        self.inner.exclusively(|inner, writes| {
            writes.unsynced = true;
            let mut options = WriteOptions::default();
            options.disable_wal(true);
            inner.write(batch.as_ref(), &options)
        })
    }

    /// Makes every batch written before durable: one small file a table that changed, so not after every batch.
    ///
    /// # Errors
    /// The disk's.
    pub fn sync(&self) -> Result<(), StorageError> {
        self.inner.exclusively(Inner::flush)
    }

    /// Adds files that hold rows of a table, each sorted and no two with keys between each other's, in the place of these
    /// files. They are durable afterwards, and so is every earlier batch.
    pub(crate) fn ingest_files(&self, table: Table, files: Vec<&Path>) -> Result<(), StorageError> {
        self.inner.exclusively(|inner, writes| {
            inner.flush(writes)?;
            let mut options = IngestExternalFileOptions::default();
            options.set_move_files(true);
            Ok(inner.db.ingest_external_file_cf_opts(inner.family(table)?, &options, files)?)
        })
    }
}

impl Inner {
    fn is_durable(&self) -> bool {
        matches!(self.kind, Kind::Durable(_))
    }

    fn exclusively(
        &self,
        write: impl FnOnce(&Self, &mut Writes) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let mut writes = self.writes.lock();
        let result = write(self, &mut writes);
        if result.is_err() {
            writes.failed = true;
            self.write_errors.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    fn write(&self, batch: &Batch, options: &WriteOptions) -> Result<(), StorageError> {
        let mut write = WriteBatch::with_capacity_bytes(batch.bytes() + WRITE_OVERHEAD_BYTES * batch.len());
        let families = Table::ALL.iter().map(|table| self.family(*table)).collect::<Result<Vec<_>, _>>()?;
        for (table, operation) in batch.operations() {
            let family = families[table as usize];
            match operation {
                Operation::Put { key, value } => write.put_cf(family, key, value),
                Operation::Delete { key } => write.delete_cf(family, key),
                Operation::DeleteRange { from, to } => write.delete_range_cf(family, from, to),
            }
        }
        Ok(self.db.write_opt(write, options)?)
    }

    /// Writes to tables what is in no log: all tables at once ([`options::database`] asks for that), so that what
    /// survives a crash ends at a batch.
    fn flush(&self, writes: &mut Writes) -> Result<(), StorageError> {
        if writes.unsynced && !matches!(self.kind, Kind::Transient) {
            let families = Table::ALL.iter().map(|table| self.family(*table)).collect::<Result<Vec<_>, _>>()?;
            let mut options = FlushOptions::default();
            options.set_wait(true);
            self.db.flush_cfs_opt(&families, &options)?;
        }
        writes.unsynced = false;
        Ok(())
    }

    pub(crate) fn family(&self, table: Table) -> Result<&ColumnFamily, StorageError> {
        // Every table was opened, so RocksDB always knows it; an error costs no more than a panic here.
        self.db.cf_handle(table.name()).ok_or_else(|| StorageError::UnknownTable(table.name()))
    }
}

impl Drop for Inner {
    /// Records how far the database came, and in which files. Nobody is left to be told of an error, and without the record the next
    /// opening only knows less.
    fn drop(&mut self) {
        let is_whole = self.exclusively(Self::flush).is_ok() && !self.writes.get_mut().failed;
        if self.is_durable() && is_whole {
            let _ = floor::raise(self.db.path(), self.db.latest_sequence_number());
            let _ = manifest::note(self.db.path());
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("directory", &self.inner.db.path()).finish()
    }
}

/// A table that this version does not know means a newer format, which RocksDB's own message would not say.
pub(crate) fn refuse_unknown_tables(directory: &Path, options: &Options) -> Result<(), StorageError> {
    if !directory.join(CURRENT_FILE).exists() {
        return Ok(());
    }
    let is_known = |name: &String| name == "default" || Table::ALL.iter().any(|table| table.name() == name);
    match DB::list_cf(options, directory)?.into_iter().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => Err(StorageError::Format {
            directory: directory.to_owned(),
            found: format!("with an unknown table `{name}`"),
            supported: FORMAT,
        }),
    }
}

/// Damage in the middle of the log loses what follows it, unless that is in tables already. RocksDB would not say so,
/// and would remove the evidence, therefore it is asked read-only how far it would come.
fn refuse_damaged_log(directory: &Path, options: &Options, config: &DatabaseConfig) -> Result<(), StorageError> {
    let Some(damage) = wal::find_damage(directory)? else { return Ok(()) };
    let db = open_files_read_only(directory, options, config)?;
    if db.latest_sequence_number() >= damage.sequence {
        return Ok(());
    }
    let reason = "intact writes follow, so no crash cut it off";
    Err(StorageError::Corrupt { path: damage.path, offset: damage.offset, reason })
}

/// Opens the files without writing to any.
pub(crate) fn open_files_read_only(
    directory: &Path,
    options: &Options,
    config: &DatabaseConfig,
) -> Result<DB, StorageError> {
    // A database of an earlier version may lack a table, which reading alone does not make.
    let existing = DB::list_cf(options, directory)?;
    let tables = options::tables(config).into_iter().filter(|table| existing.iter().any(|name| name == table.name()));
    Ok(DB::open_cf_descriptors_read_only(options, directory, tables, false)?)
}

#[cfg(test)]
mod recovery_tests;
#[cfg(test)]
mod tests;
