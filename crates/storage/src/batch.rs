//! Atomic writes.

use crate::Table;

/// Writes that happen together or not at all, in the order given: a later one wins over an earlier one.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) operations: Vec<(Table, Operation)>,
}

/// One write.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Put { key: Vec<u8>, value: Vec<u8> },
    Delete { key: Vec<u8> },
    DeleteRange { from: Vec<u8>, to: Vec<u8> },
}

impl Batch {
    /// A batch that does nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a row.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.operations.push((table, Operation::Put { key: key.into(), value: value.into() }));
    }

    /// Removes a row, if it is there.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.operations.push((table, Operation::Delete { key: key.into() }));
    }

    /// Removes the rows with `from <= key < to`.
    pub fn delete_range(&mut self, table: Table, from: impl Into<Vec<u8>>, to: impl Into<Vec<u8>>) {
        self.operations.push((table, Operation::DeleteRange { from: from.into(), to: to.into() }));
    }

    /// Number of writes.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether it would write nothing.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }
}
