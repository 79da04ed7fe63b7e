//! Consistent reads.

use crate::database::Inner;
use crate::{StorageError, Table};
use rocksdb::{DBIterator, IteratorMode, PrefixRange, ReadOptions, Snapshot as RocksSnapshot};
use self_cell::self_cell;
use std::fmt;
use std::sync::Arc;

self_cell!(
    /// A RocksDB snapshot together with the database that it borrows from.
    struct OwnedSnapshot {
        owner: Arc<Inner>,
        #[covariant]
        dependent: RocksSnapshot,
    }
);

/// All tables as they were at one moment; clones share it.
#[derive(Clone)]
pub struct Snapshot {
    inner: Arc<OwnedSnapshot>,
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

impl Snapshot {
    pub(crate) fn of(inner: Arc<Inner>) -> Self {
        Self { inner: Arc::new(OwnedSnapshot::new(inner, |inner| inner.db.snapshot())) }
    }

    /// Reads a row.
    ///
    /// # Errors
    /// The disk's.
    pub fn get(&self, table: Table, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, StorageError> {
        let family = self.inner.borrow_owner().family(table)?;
        Ok(self.inner.borrow_dependent().get_cf(family, key)?)
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
        let family = self.inner.borrow_owner().family(table)?;
        let rows = self.inner.borrow_dependent().multi_get_cf(keys.into_iter().map(|key| (family, key)));
        Ok(rows.into_iter().collect::<Result<_, _>>()?)
    }

    /// The rows with `from <= key < to`, in the order of their keys; no `to` means to the end.
    ///
    /// # Errors
    /// The disk's, here and from the iterator.
    pub fn range(&self, table: Table, from: &[u8], to: Option<&[u8]>) -> Result<Rows<'_>, StorageError> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        if let Some(to) = to {
            options.set_iterate_upper_bound(to);
        }
        self.iterate(table, options)
    }

    /// The rows whose keys start with `prefix`, in the order of their keys.
    ///
    /// # Errors
    /// The disk's, here and from the iterator.
    pub fn prefix(&self, table: Table, prefix: &[u8]) -> Result<Rows<'_>, StorageError> {
        let mut options = ReadOptions::default();
        options.set_iterate_range(PrefixRange(prefix));
        self.iterate(table, options)
    }

    /// The first row at or after `key`.
    ///
    /// # Errors
    /// The disk's.
    pub fn seek(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StorageError> {
        self.range(table, key, None)?.next().transpose()
    }

    /// The rows from `from` to the end of the table, past the cache: for reading a whole table without driving out what
    /// others need.
    ///
    /// # Errors
    /// The disk's, here and from the iterator; a block that does not check is one.
    pub fn scan(&self, table: Table, from: &[u8]) -> Result<Rows<'_>, StorageError> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        options.set_iterate_lower_bound(from);
        self.iterate(table, options)
    }

    /// The rows whose keys start with `prefix`, past the cache as [`Self::scan`].
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub fn prefix_scan(&self, table: Table, prefix: &[u8]) -> Result<Rows<'_>, StorageError> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        options.set_iterate_range(PrefixRange(prefix));
        self.iterate(table, options)
    }

    /// Whether any table holds anything.
    pub(crate) fn has_rows(&self) -> Result<bool, StorageError> {
        for table in Table::ALL {
            if self.seek(table, &[])?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn iterate(&self, table: Table, options: ReadOptions) -> Result<Rows<'_>, StorageError> {
        let family = self.inner.borrow_owner().family(table)?;
        let rows = self.inner.borrow_dependent().iterator_cf_opt(family, options, IteratorMode::Start);
        Ok(Rows { rows })
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("sequence", &self.inner.borrow_dependent().sequence_number()).finish()
    }
}

/// Rows in the order of their keys.
pub struct Rows<'a> {
    rows: DBIterator<'a>,
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        Some(row.map(|(key, value)| (key.into_vec(), value.into_vec())).map_err(StorageError::from))
    }
}
