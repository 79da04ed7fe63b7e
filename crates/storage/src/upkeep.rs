//! Looking after a database: its size, its dead rows.

use crate::{Batch, Database, StorageError, Table};
use rocksdb::IteratorMode;

/// The size of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableStats {
    /// Which table.
    pub table: Table,
    /// About how many rows: exact once all is compacted, otherwise off by rows that were overwritten or removed since.
    pub rows_estimate: u64,
    /// Bytes of its live files, compressed as they are on disk.
    pub file_bytes: u64,
    /// Bytes written and not yet in a file.
    pub memory_bytes: u64,
}

impl Database {
    /// The sizes of all tables, in the order of [`Table::ALL`]. Cheap: nothing is read from disk.
    ///
    /// # Errors
    /// RocksDB's own.
    pub fn stats(&self) -> Result<Vec<TableStats>, StorageError> {
        Table::ALL.into_iter().map(|table| self.table_stats(table)).collect()
    }

    /// The size of a table.
    ///
    /// # Errors
    /// RocksDB's own.
    pub fn table_stats(&self, table: Table) -> Result<TableStats, StorageError> {
        let family = self.inner.family(table)?;
        let property = |name: &str| self.inner.db.property_int_value_cf(family, name).map(Option::unwrap_or_default);
        Ok(TableStats {
            table,
            rows_estimate: property("rocksdb.estimate-num-keys")?,
            file_bytes: property("rocksdb.live-sst-files-size")?,
            memory_bytes: property("rocksdb.cur-size-all-mem-tables")?,
        })
    }

    /// Removes every row of a table, durably, and returns their space. Snapshots keep what they see. Costs as much as
    /// reading the table, so not for one that is large and in use.
    ///
    /// # Errors
    /// The disk's.
    pub fn wipe(&self, table: Table) -> Result<(), StorageError> {
        let last = self.inner.db.iterator_cf(self.inner.family(table)?, IteratorMode::End).next().transpose()?;
        let Some((last, _)) = last else { return Ok(()) };
        let mut batch = Batch::new();
        batch.delete_range(table, [], [&last[..], &[0]].concat());
        self.commit(batch)?;
        // Files that are ingested go to the lowest level where nothing overlaps them, removed rows included.
        self.compact(table)
    }

    /// Rewrites a table without the rows that were removed, so that their space returns to the file system. Takes as
    /// long as reading and writing the table; reads and writes go on meanwhile.
    ///
    /// # Errors
    /// The disk's.
    pub fn compact(&self, table: Table) -> Result<(), StorageError> {
        let family = self.inner.family(table)?;
        self.inner.db.compact_range_cf(family, None::<&[u8]>, None::<&[u8]>);
        Ok(())
    }
}
