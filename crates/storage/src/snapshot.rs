//! Consistent reads.

use crate::database::Inner;
use crate::pending::PendingRows;
use crate::{PendingBatch, StorageError, Table};
use rocksdb::{DBIterator, IteratorMode, ReadOptions, Snapshot as RocksSnapshot};
use self_cell::self_cell;
use std::fmt;
use std::iter::Peekable;
use std::sync::Arc;

self_cell!(
    /// A RocksDB snapshot together with the database that it borrows from.
    struct OwnedSnapshot {
        owner: Arc<Inner>,
        #[covariant]
        dependent: RocksSnapshot,
    }
);

/// All tables as they were at one moment, or as they will be once a pending batch is committed; clones share it.
#[derive(Clone)]
pub struct Snapshot {
    inner: Arc<OwnedSnapshot>,
    pending: Option<Arc<PendingBatch>>,
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

impl Snapshot {
    pub(crate) fn of(inner: Arc<Inner>, pending: Option<Arc<PendingBatch>>) -> Self {
        Self { inner: Arc::new(OwnedSnapshot::new(inner, |inner| inner.db.snapshot())), pending }
    }

    /// Reads a row.
    ///
    /// # Errors
    /// The disk's.
    pub fn get(&self, table: Table, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, StorageError> {
        if let Some(row) = self.pending.as_ref().and_then(|pending| pending.get(table, key.as_ref())) {
            return Ok(row.map(<[u8]>::to_vec));
        }
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
        if self.pending.is_some() {
            return keys.into_iter().map(|key| self.get(table, key)).collect();
        }
        let family = self.inner.borrow_owner().family(table)?;
        let rows = self.inner.borrow_dependent().multi_get_cf(keys.into_iter().map(|key| (family, key)));
        Ok(rows.into_iter().collect::<Result<_, _>>()?)
    }

    /// The rows with `from <= key < to`, in the order of their keys; no `to` means to the end.
    ///
    /// # Errors
    /// The disk's, here and from the iterator.
    pub fn range(&self, table: Table, from: &[u8], to: Option<&[u8]>) -> Result<Rows<'_>, StorageError> {
        self.iterate(table, from, to, ReadOptions::default())
    }

    /// The rows whose keys start with `prefix`, in the order of their keys.
    ///
    /// # Errors
    /// The disk's, here and from the iterator.
    pub fn prefix(&self, table: Table, prefix: &[u8]) -> Result<Rows<'_>, StorageError> {
        self.range(table, prefix, prefix_end(prefix).as_deref())
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
        self.iterate(table, from, None, past_cache())
    }

    /// The rows whose keys start with `prefix`, past the cache as [`Self::scan`].
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub fn prefix_scan(&self, table: Table, prefix: &[u8]) -> Result<Rows<'_>, StorageError> {
        self.iterate(table, prefix, prefix_end(prefix).as_deref(), past_cache())
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

    fn iterate(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        mut options: ReadOptions,
    ) -> Result<Rows<'_>, StorageError> {
        options.set_iterate_lower_bound(from);
        if let Some(to) = to {
            options.set_iterate_upper_bound(to);
        }
        let family = self.inner.borrow_owner().family(table)?;
        let committed = self.inner.borrow_dependent().iterator_cf_opt(family, options, IteratorMode::Start);
        let pending = self.pending.as_deref().map(|pending| pending.range(table, from, to));
        Ok(Rows { committed: committed.peekable(), pending })
    }
}

fn past_cache() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.fill_cache(false);
    options
}

/// The first key behind all that start with `prefix`; `None` when there is none.
fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    *end.last_mut()? += 1;
    Some(end)
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("sequence", &self.inner.borrow_dependent().sequence_number()).finish()
    }
}

/// Rows in the order of their keys.
pub struct Rows<'a> {
    committed: Peekable<DBIterator<'a>>,
    pending: Option<PendingRows<'a>>,
}

impl Rows<'_> {
    /// The pending row that comes next; `None` when it is a committed one, or none.
    fn next_pending(&mut self) -> Option<Row> {
        let pending = self.pending.as_mut()?;
        while let Some(Ok((key, _))) = self.committed.peek()
            && pending.hides(key)
        {
            self.committed.next();
        }
        let is_first = match self.committed.peek() {
            Some(Ok((committed, _))) => pending.key().is_some_and(|key| key < &**committed),
            // Told where it stands.
            Some(Err(_)) => false,
            None => true,
        };
        let (key, value) = if is_first { pending.next()? } else { return None };
        Some((key.to_vec(), value.to_vec()))
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(row) = self.next_pending() {
            return Some(Ok(row));
        }
        let row = self.committed.next()?;
        Some(row.map(|(key, value)| (key.into_vec(), value.into_vec())).map_err(StorageError::from))
    }
}
