//! Rows of tries for a file, whose order is another than that in which they are made.
//!
//! A trie built from its leaves gives each row after those below it, while in a file the key of a row comes before theirs.
//! So rows are held and sorted, and written when they are many. A row whose descendants were written by then is late: there
//! are only as many as a path has at each time of writing, and they go another way.

use crate::StateError;
use crate::rows::TrieId;
use alloy_trie::Nibbles;
use heddle_storage::{Batch, Database, SstWriter, Table};
use std::path::Path;

/// From how many bytes on rows are written.
const HELD_BYTES: usize = if cfg!(test) { 2000 } else { 16 * 1024 * 1024 };

/// Takes the rows of tries, these in order, and each after those below it.
pub(super) struct SortedRows {
    writer: SstWriter,
    held: Vec<(Vec<u8>, Vec<u8>)>,
    bytes: usize,
    /// Nothing more is written up to here.
    written: Vec<u8>,
    late: Batch,
}

impl SortedRows {
    pub(super) fn new(database: &Database, scratch: &Path) -> Self {
        let writer = SstWriter::new(database, Table::TrieNodes, scratch);
        Self { writer, held: Vec::new(), bytes: 0, written: Vec::new(), late: Batch::new() }
    }

    /// Takes the row at a path of a trie.
    pub(super) fn add(&mut self, trie: TrieId, path: &Nibbles, row: Vec<u8>) -> Result<(), StateError> {
        let key = trie.node_key(path);
        if key <= self.written {
            self.late.put(Table::TrieNodes, key, row);
            return Ok(());
        }
        self.bytes += key.len() + row.len();
        self.held.push((key, row));
        if self.bytes >= HELD_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), StateError> {
        self.held.sort_unstable();
        for (key, row) in self.held.drain(..) {
            self.writer.put(&key, &row)?;
            self.written = key;
        }
        self.bytes = 0;
        Ok(())
    }

    /// The files, complete, and the rows that came late.
    pub(super) fn finish(mut self) -> Result<(SstWriter, Batch), StateError> {
        self.write()?;
        self.writer.complete()?;
        Ok((self.writer, self.late))
    }
}
