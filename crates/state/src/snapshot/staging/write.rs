//! A piece on its way into the tables: the rows, their marks and the counts, in one batch.

use super::marks::Counts;
use super::{Accepted, Staging};
use crate::StateError;
use alloy_primitives::B256;
use heddle_primitives::StateTask;
use heddle_storage::{Batch, Database, Snapshot};
use parking_lot::MutexGuard;
use std::collections::BTreeSet;
use std::iter::Peekable;

/// What is read is as before the write.
pub(super) struct Write<'a> {
    database: &'a Database,
    pub(super) snapshot: Snapshot,
    pub(super) batch: Batch,
    pub(super) counts: Counts,
    pub(super) accepted: Accepted,
    /// Codes that this write found to be missing, and ones that it found to be there.
    pub(super) codes: BTreeSet<B256>,
    pub(super) present: BTreeSet<B256>,
    staged: MutexGuard<'a, Counts>,
}

impl Staging {
    /// Begins a write, which is the only one.
    pub(super) fn write(&self) -> Write<'_> {
        let staged = self.counts.lock();
        Write {
            database: &self.database,
            snapshot: self.database.snapshot(),
            batch: Batch::new(),
            counts: *staged,
            accepted: Accepted::default(),
            codes: BTreeSet::new(),
            present: BTreeSet::new(),
            staged,
        }
    }
}

impl Write<'_> {
    /// Commits it. What follows is found in the tables as they are then.
    pub(super) fn commit(
        mut self,
        follow: impl FnOnce(&Snapshot, &mut Vec<StateTask>) -> Result<(), StateError>,
    ) -> Result<Accepted, StateError> {
        self.counts.write(&mut self.batch);
        self.database.commit(&self.batch)?;
        *self.staged = self.counts;
        super::plan::code_tasks(self.codes, &mut self.accepted.tasks);
        follow(&self.database.snapshot(), &mut self.accepted.tasks)?;
        Ok(self.accepted)
    }
}

/// Goes through leaves that are staged and leaves that replace them, both in order, by key.
pub(super) fn pair<N>(
    staged: impl Iterator<Item = Result<(B256, Vec<u8>), StateError>>,
    new: impl IntoIterator<Item = (B256, N)>,
    mut each: impl FnMut(B256, Option<Vec<u8>>, Option<N>) -> Result<(), StateError>,
) -> Result<(), StateError> {
    let mut staged = staged.peekable();
    for (key, new) in new {
        while let Some((gone, leaf)) = next_if(&mut staged, |staged| staged < key)? {
            each(gone, Some(leaf), None)?;
        }
        let same = next_if(&mut staged, |staged| staged == key)?;
        each(key, same.map(|(_, leaf)| leaf), Some(new))?;
    }
    staged.try_for_each(|leaf| leaf.and_then(|(gone, leaf)| each(gone, Some(leaf), None)))
}

fn next_if(
    staged: &mut Peekable<impl Iterator<Item = Result<(B256, Vec<u8>), StateError>>>,
    is_wanted: impl Fn(B256) -> bool,
) -> Result<Option<(B256, Vec<u8>)>, StateError> {
    staged.next_if(|leaf| leaf.as_ref().map_or(true, |(key, _)| is_wanted(*key))).transpose()
}
