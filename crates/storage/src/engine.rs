//! What RocksDB says of itself, for whoever watches a running node.

use crate::{Database, StorageError, Table};
use std::sync::atomic::Ordering;

/// The state of a running database. All of it is in memory: asking costs no read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineStats {
    /// Every table, in the order of [`Table::ALL`].
    pub tables: Vec<TableEngine>,
    /// Bytes of the block cache that are in use; all tables share it.
    pub block_cache_bytes: u64,
    /// Bytes that the block cache may use.
    pub block_cache_capacity_bytes: u64,
    /// Whether writes wait until flushes or compactions come after.
    pub is_write_stopped: bool,
    /// Bytes a second that writes are held to, so that compactions keep up; 0 when they are not.
    pub delayed_write_rate: u64,
    /// Compactions that are running.
    pub compactions_running: u64,
    /// Flushes that are running.
    pub flushes_running: u64,
    /// Failures of flushes and compactions since the database was opened.
    pub background_errors: u64,
    /// Writes that failed since the database was opened, to the write-ahead log or to tables: after one it must be reopened.
    pub write_errors: u64,
}

/// The state of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableEngine {
    /// Which table.
    pub table: Table,
    /// About how many bytes of its files are rows that are neither overwritten nor removed.
    pub live_bytes: u64,
    /// Bytes of its files, compressed as they are on disk.
    pub file_bytes: u64,
    /// Bytes written and not yet in a file.
    pub memtable_bytes: u64,
    /// About how many bytes compactions still have to rewrite.
    pub pending_compaction_bytes: u64,
    /// Files that are not sorted among each other yet: the more, the slower reads are, until writes are slowed down.
    pub level0_files: u64,
}

impl Database {
    /// What RocksDB says of itself.
    ///
    /// # Errors
    /// RocksDB's own.
    pub fn engine_stats(&self) -> Result<EngineStats, StorageError> {
        let tables = Table::ALL.into_iter().map(|table| self.table_engine(table)).collect::<Result<_, _>>()?;
        // The same for every table: the cache is shared, and the rest is of the database as a whole.
        let whole = |name: &str| self.property(Table::Meta, name);
        Ok(EngineStats {
            tables,
            block_cache_bytes: whole("rocksdb.block-cache-usage")?,
            block_cache_capacity_bytes: whole("rocksdb.block-cache-capacity")?,
            is_write_stopped: whole("rocksdb.is-write-stopped")? > 0,
            delayed_write_rate: whole("rocksdb.actual-delayed-write-rate")?,
            compactions_running: whole("rocksdb.num-running-compactions")?,
            flushes_running: whole("rocksdb.num-running-flushes")?,
            background_errors: whole("rocksdb.background-errors")?,
            write_errors: self.inner.write_errors.load(Ordering::Relaxed),
        })
    }

    fn table_engine(&self, table: Table) -> Result<TableEngine, StorageError> {
        let of = |name: &str| self.property(table, name);
        // A text, unlike the others.
        let level0 = self.inner.db.property_value_cf(self.inner.family(table)?, "rocksdb.num-files-at-level0")?;
        Ok(TableEngine {
            table,
            live_bytes: of("rocksdb.estimate-live-data-size")?,
            file_bytes: of("rocksdb.live-sst-files-size")?,
            memtable_bytes: of("rocksdb.cur-size-all-mem-tables")?,
            pending_compaction_bytes: of("rocksdb.estimate-pending-compaction-bytes")?,
            level0_files: level0.and_then(|text| text.trim().parse().ok()).unwrap_or_default(),
        })
    }

    fn property(&self, table: Table, name: &str) -> Result<u64, StorageError> {
        Ok(self.inner.db.property_int_value_cf(self.inner.family(table)?, name)?.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::{Batch, DatabaseConfig};

    #[test]
    fn what_is_written_shows_in_its_table() {
        let directory = tempfile::tempdir().unwrap();
        let config = DatabaseConfig { block_cache_bytes: 1 << 20, ..DatabaseConfig::default() };
        let database = Database::open(directory.path(), &config).unwrap();
        let of = |stats: &EngineStats, table: Table| stats.tables[table as usize];
        let before = database.engine_stats().unwrap();
        assert_eq!((before.write_errors, before.background_errors), (0, 0));
        assert_eq!(before.block_cache_capacity_bytes, 1 << 20);

        let mut batch = Batch::new();
        batch.put(Table::Code, [1], vec![7; 100_000]);
        database.commit(batch).unwrap();
        let written = database.engine_stats().unwrap();
        assert!(of(&written, Table::Code).memtable_bytes > of(&before, Table::Code).memtable_bytes + 90_000);
        assert_eq!(of(&written, Table::Headers), of(&before, Table::Headers));

        let families = [database.inner.family(Table::Code).unwrap()];
        database.inner.db.flush_cfs_opt(&families, &Default::default()).unwrap();
        let flushed = of(&database.engine_stats().unwrap(), Table::Code);
        assert_eq!(flushed.level0_files, 1);
        assert!(flushed.file_bytes > 0 && flushed.live_bytes > 0, "{flushed:?}");
    }
}
