//! The database: open, read, commit.

use crate::batch::Operation;
use crate::snapshot::rows_exist;
use crate::{Batch, DatabaseConfig, DirectoryLock, Snapshot, StorageError, Table};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, LogLevel, Options,
    WriteBatch, WriteOptions,
};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Raised whenever the meaning of a row changes.
const FORMAT: u32 = 1;
/// Row of [`Table::Meta`] that holds the format, 4 bytes big-endian.
const FORMAT_KEY: &[u8] = b"storage.format";
/// RocksDB's file that exists once a database does.
const CURRENT_FILE: &str = "CURRENT";

/// A RocksDB database of the tables of [`Table`]; clones share it, and the last one closes it.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    /// Dropped, and so closed, before the lock is released.
    pub(crate) db: DB,
    _lock: DirectoryLock,
}

impl Database {
    /// Opens the database in `directory`, creating it if there is none, and keeps other processes out.
    ///
    /// # Errors
    /// [`StorageError::Locked`], [`StorageError::Format`] for a database of another version, or RocksDB's own.
    pub fn open(directory: &Path, config: &DatabaseConfig) -> Result<Self, StorageError> {
        let lock = DirectoryLock::acquire(directory)?;
        let options = database_options(config);
        refuse_unknown_tables(directory, &options)?;
        let cache = Cache::new_lru_cache(config.block_cache_bytes);
        let tables = Table::ALL.map(|table| ColumnFamilyDescriptor::new(table.name(), table_options(table, &cache)));
        let db = DB::open_cf_descriptors(&options, directory, tables)?;
        let database = Self { inner: Arc::new(Inner { db, _lock: lock }) };
        database.check_format(directory)?;
        Ok(database)
    }

    /// Reads a row.
    ///
    /// # Errors
    /// The disk's.
    pub fn get(&self, table: Table, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.inner.db.get_cf(self.inner.family(table)?, key)?)
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
        Snapshot::of(self.inner.clone())
    }

    /// Writes a batch: after `Ok` it survives a power loss, whole; after an error the database must be reopened.
    ///
    /// # Errors
    /// The disk's.
    pub fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        let mut write = WriteBatch::default();
        for (table, operation) in batch.operations {
            let family = self.inner.family(table)?;
            match operation {
                Operation::Put { key, value } => write.put_cf(family, key, value),
                Operation::Delete { key } => write.delete_cf(family, key),
                Operation::DeleteRange { from, to } => write.delete_range_cf(family, from, to),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        Ok(self.inner.db.write_opt(write, &options)?)
    }

    /// Writes the format to an empty database; otherwise checks that it is ours.
    fn check_format(&self, directory: &Path) -> Result<(), StorageError> {
        let found = match self.get(Table::Meta, FORMAT_KEY)? {
            Some(row) if row == FORMAT.to_be_bytes() => return Ok(()),
            Some(row) => match <[u8; 4]>::try_from(row.as_slice()) {
                Ok(bytes) => u32::from_be_bytes(bytes).to_string(),
                Err(_) => "of an unknown kind".to_owned(),
            },
            None if rows_exist(&self.snapshot())? => "that is not recorded".to_owned(),
            None => {
                let mut batch = Batch::new();
                batch.put(Table::Meta, FORMAT_KEY, FORMAT.to_be_bytes());
                return self.commit(batch);
            }
        };
        Err(StorageError::Format { directory: directory.to_owned(), found, supported: FORMAT })
    }
}

impl Inner {
    pub(crate) fn family(&self, table: Table) -> Result<&ColumnFamily, StorageError> {
        // Every table was opened, so RocksDB always knows it; an error costs no more than a panic here.
        self.db.cf_handle(table.name()).ok_or_else(|| StorageError::UnknownTable(table.name()))
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("directory", &self.inner.db.path()).finish()
    }
}

/// A table that this version does not know means a newer format, which RocksDB's own message would not say.
fn refuse_unknown_tables(directory: &Path, options: &Options) -> Result<(), StorageError> {
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

fn database_options(config: &DatabaseConfig) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_max_background_jobs(2);
    options.set_max_open_files(i32::from(config.open_files_max));
    options.set_db_write_buffer_size(config.write_buffer_bytes);
    // A table that is rarely written would otherwise keep old write-ahead logs alive for ever.
    options.set_max_total_wal_size(4 * config.write_buffer_bytes as u64);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_bytes_per_sync(1024 * 1024);
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(1024 * 1024);
    options.set_keep_log_file_num(2);
    options
}

fn table_options(table: Table, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_block_size(16 * 1024);
    // Filters and indices count against the cache's bound instead of growing with the database.
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    if table.is_probed() {
        blocks.set_bloom_filter(10.0, false);
    }
    let mut options = Options::default();
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_block_based_table_factory(&blocks);
    options
}

#[cfg(test)]
mod tests;
