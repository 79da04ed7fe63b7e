//! A batch on its way to the disk, to be read before it is there.

use crate::batch::Operation;
use crate::{Batch, Table};
use std::sync::OnceLock;

/// A batch that a [`Snapshot`](crate::Snapshot) can be looked at through, as if it were committed; see
/// [`Database::snapshot_with`](crate::Database::snapshot_with).
#[derive(Debug)]
pub struct PendingBatch {
    batch: Batch,
    /// For each table the places of its writes of single rows, in the order of their keys, the last one of each key;
    /// made when the table is first read.
    rows: [OnceLock<Vec<usize>>; Table::ALL.len()],
    /// The places of the writes that remove ranges.
    ranges: Vec<usize>,
}

impl PendingBatch {
    /// Wraps a batch that is complete.
    pub fn new(batch: Batch) -> Self {
        let is_range = |(place, (_, operation)): (usize, (Table, Operation<'_>))| {
            matches!(operation, Operation::DeleteRange { .. }).then_some(place)
        };
        let ranges = batch.operations().enumerate().filter_map(is_range).collect();
        Self { batch, rows: Default::default(), ranges }
    }

    /// What the batch makes of a row: `None` leaves it as it is, `Some(None)` removes it.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Option<Option<&[u8]>> {
        let rows = self.rows(table);
        let at = rows.binary_search_by(|place| self.row(*place).0.cmp(key)).ok();
        let row = at.and_then(|at| rows.get(at)).copied();
        let removed = self.ranges.iter().copied().rev().find(|place| self.removes(*place, table, key));
        match row {
            Some(row) if removed.is_none_or(|removed| removed < row) => Some(self.row(row).1),
            _ => removed.map(|_| None),
        }
    }

    /// The rows that the batch sets with `from <= key < to`, in the order of their keys.
    pub(crate) fn range<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> PendingRows<'a> {
        let rows = self.rows(table);
        let start = rows.partition_point(|place| self.row(*place).0 < from);
        let end = to.map_or(rows.len(), |to| rows.partition_point(|place| self.row(*place).0 < to));
        PendingRows::new(self, table, rows.get(start..end).unwrap_or_default())
    }

    fn rows(&self, table: Table) -> &[usize] {
        self.rows[table as usize].get_or_init(|| {
            let writes = self.batch.operations().enumerate().filter(|(_, (of, _))| *of == table);
            let is_row = |operation: &Operation<'_>| !matches!(operation, Operation::DeleteRange { .. });
            let mut places: Vec<_> = writes.filter(|(_, (_, op))| is_row(op)).map(|(place, _)| place).collect();
            // Latest first among equals, and the first of equals is kept.
            places.sort_unstable_by(|a, b| self.row(*a).0.cmp(self.row(*b).0).then(b.cmp(a)));
            places.dedup_by(|later, kept| self.row(*later).0 == self.row(*kept).0);
            places
        })
    }

    /// Key and value of a write of a single row.
    fn row(&self, place: usize) -> (&[u8], Option<&[u8]>) {
        match self.batch.operation(place).1 {
            Operation::Put { key, value } => (key, Some(value)),
            Operation::Delete { key } | Operation::DeleteRange { from: key, .. } => (key, None),
        }
    }

    fn removes(&self, place: usize, in_table: Table, key: &[u8]) -> bool {
        match self.batch.operation(place) {
            (table, Operation::DeleteRange { from, to }) => table == in_table && (from..to).contains(&key),
            _ => false,
        }
    }
}

impl AsRef<Batch> for PendingBatch {
    fn as_ref(&self) -> &Batch {
        &self.batch
    }
}

/// Rows that a pending batch sets, in the order of their keys.
pub(crate) struct PendingRows<'a> {
    pending: &'a PendingBatch,
    table: Table,
    places: std::slice::Iter<'a, usize>,
    next: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> PendingRows<'a> {
    fn new(pending: &'a PendingBatch, table: Table, places: &'a [usize]) -> Self {
        let mut rows = Self { pending, table, places: places.iter(), next: None };
        rows.advance();
        rows
    }

    /// The key of the next row.
    pub(crate) fn key(&self) -> Option<&'a [u8]> {
        self.next.map(|(key, _)| key)
    }

    /// Whether the batch sets or removes the row with a key.
    pub(crate) fn hides(&self, key: &[u8]) -> bool {
        self.pending.get(self.table, key).is_some()
    }

    fn advance(&mut self) {
        let (pending, table) = (self.pending, self.table);
        let keys = self.places.by_ref().map(|place| pending.row(*place).0);
        self.next = { keys }.find_map(|key| pending.get(table, key).flatten().map(|value| (key, value)));
    }
}

impl<'a> Iterator for PendingRows<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.next?;
        self.advance();
        Some(row)
    }
}

#[cfg(test)]
mod tests;
