//! Atomic writes.

use crate::Table;

/// Writes that happen together or not at all, in the order given: a later one wins over an earlier one.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    writes: Vec<Write>,
    /// Keys and values of all writes, one behind the other: a block writes tens of thousands of short ones.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Write {
    table: Table,
    kind: Kind,
    /// Where its key starts, where its value starts, and where that ends.
    key: usize,
    value: usize,
    end: usize,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Put,
    Delete,
    DeleteRange,
}

/// One write.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation<'a> {
    Put { key: &'a [u8], value: &'a [u8] },
    Delete { key: &'a [u8] },
    DeleteRange { from: &'a [u8], to: &'a [u8] },
}

impl Batch {
    /// A batch that does nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a row.
    pub fn put(&mut self, table: Table, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.add(table, Kind::Put, key.as_ref(), value.as_ref());
    }

    /// Removes a row, if it is there.
    pub fn delete(&mut self, table: Table, key: impl AsRef<[u8]>) {
        self.add(table, Kind::Delete, key.as_ref(), &[]);
    }

    /// Removes the rows with `from <= key < to`.
    pub fn delete_range(&mut self, table: Table, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) {
        self.add(table, Kind::DeleteRange, from.as_ref(), to.as_ref());
    }

    /// Adds the writes of another batch behind its own.
    pub fn extend(&mut self, other: &Self) {
        for (table, operation) in other.operations() {
            match operation {
                Operation::Put { key, value } => self.put(table, key, value),
                Operation::Delete { key } => self.delete(table, key),
                Operation::DeleteRange { from, to } => self.delete_range(table, from, to),
            }
        }
    }

    fn add(&mut self, table: Table, kind: Kind, key: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.writes.push(Write { table, kind, key: start, value: start + key.len(), end: self.bytes.len() });
    }

    /// Number of writes.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether it would write nothing.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Bytes of all keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The writes in their order.
    pub(crate) fn operations(&self) -> impl Iterator<Item = (Table, Operation<'_>)> {
        (0..self.writes.len()).map(|place| self.operation(place))
    }

    /// The write at a place, below [`Self::len`].
    pub(crate) fn operation(&self, place: usize) -> (Table, Operation<'_>) {
        let write = &self.writes[place];
        let (key, value) = (&self.bytes[write.key..write.value], &self.bytes[write.value..write.end]);
        let operation = match write.kind {
            Kind::Put => Operation::Put { key, value },
            Kind::Delete => Operation::Delete { key },
            Kind::DeleteRange => Operation::DeleteRange { from: key, to: value },
        };
        (write.table, operation)
    }
}

impl AsRef<Self> for Batch {
    fn as_ref(&self) -> &Self {
        self
    }
}
