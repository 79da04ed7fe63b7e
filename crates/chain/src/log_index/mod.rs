//! Which blocks log an address or a topic: an index over stretches of blocks, made beside the commits.
//!
//! A stretch ([`Segment`]) is up to [`Bounds::blocks`] blocks in a row, fewer where they log much. Its rows are written in one
//! batch after its blocks, so it is there as a whole or not at all, and never changes. Stretches follow each other without
//! gaps, and grow at both ends: upwards with the chain, downwards when blocks before an adopted state come in. Blocks that
//! are in none, such as the newest ones, are searched by the blooms of their headers.

mod check;
mod gathering;
mod rows;
mod search;

pub(crate) use check::check;
pub(crate) use search::candidates;

use crate::block_store::missing;
use crate::{Chain, ChainError};
use gathering::{Bounds, Gathering};
use heddle_storage::{Batch, Table};
use rows::Segment;

/// Most blocks of one step.
const BLOCKS_PER_STEP: usize = 256;

/// What is being made of the index. The default is at the beginning of that, whatever is there.
#[derive(Default)]
pub(crate) struct Indexer {
    bounds: Bounds,
    /// First and last block of what is indexed, once that was looked up.
    covered: Option<Option<Segment>>,
    /// Blocks above it, and blocks below it, that do not make a stretch yet.
    above: Gathering,
    below: Gathering,
}

impl Chain {
    /// Indexes the logs of blocks that are not indexed yet: a bounded number of them. Returns whether nothing is left to do
    /// until other blocks come. Commits go on meanwhile.
    ///
    /// # Errors
    /// The database's, or a damaged row.
    pub fn index_logs(&self) -> Result<bool, ChainError> {
        let mut indexer = self.inner.log_indexer.lock();
        let covered = match indexer.covered {
            Some(covered) => covered,
            None => *indexer.covered.insert(rows::covered(&self.inner.database.snapshot())?),
        };
        // The head first: an adopted state says where its blocks begin before it becomes the head.
        let (head, bounds) = (self.head().header.number, indexer.bounds);
        let genesis = self.inner.genesis.header().number;
        let oldest = self.blocks_from().max(genesis.saturating_add(1));
        let next = indexer.above.last().or(covered.map(|covered| covered.last)).map_or(oldest, |last| last + 1);
        if self.gather(&mut indexer.above, bounds, (next..=head).take(BLOCKS_PER_STEP))? {
            let added = self.write_segment(&mut indexer.above)?;
            indexer.covered =
                Some(Some(Segment { first: covered.map_or(added.first, |covered| covered.first), ..added }));
            return Ok(false);
        }
        if head.checked_sub(next).is_some_and(|left| left >= BLOCKS_PER_STEP as u64) {
            return Ok(false);
        }
        match covered {
            Some(covered) => self.index_below(&mut indexer, covered, oldest),
            None => Ok(true),
        }
    }

    /// Indexes blocks that came in below what is indexed, the newest of them first.
    fn index_below(&self, indexer: &mut Indexer, covered: Segment, oldest: u64) -> Result<bool, ChainError> {
        let next = indexer.below.first().unwrap_or(covered.first);
        let is_full = self.gather(&mut indexer.below, indexer.bounds, (oldest..next).rev().take(BLOCKS_PER_STEP))?;
        let reached = indexer.below.first().unwrap_or(covered.first);
        let is_whole = reached == oldest && self.blocks_from() == self.inner.genesis.header().number;
        if is_full || (is_whole && reached < covered.first) {
            let added = self.write_segment(&mut indexer.below)?;
            indexer.covered = Some(Some(Segment { first: added.first, last: covered.last }));
            return Ok(false);
        }
        Ok(reached == oldest)
    }

    /// Adds blocks until there are no more of them, or enough for a stretch: whether that is so.
    fn gather(
        &self,
        gathering: &mut Gathering,
        bounds: Bounds,
        numbers: impl Iterator<Item = u64>,
    ) -> Result<bool, ChainError> {
        for number in numbers {
            let added = self
                .inner
                .database
                .with_row(Table::Receipts, number.to_be_bytes(), |row| gathering.add(number, row))?;
            added.ok_or_else(|| missing("receipts", number))??;
            if gathering.is_full(bounds) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes a stretch, and leaves an empty one to go on with.
    fn write_segment(&self, gathering: &mut Gathering) -> Result<Segment, ChainError> {
        let gathering = std::mem::take(gathering);
        let (first, last) = (gathering.first().unwrap_or_default(), gathering.last().unwrap_or_default());
        let mut batch = Batch::new();
        gathering.into_rows().for_each(|(key, row)| batch.put(Table::LogIndex, key, row));
        let database = &self.inner.database;
        // Never without its blocks, however these are written, and without waiting for the disk: it can be made again.
        match self.inner.config.commits_synced {
            true => database.commit_behind(batch)?,
            false => database.commit_unsynced(batch)?,
        }
        Ok(Segment { first, last })
    }
}

#[cfg(test)]
impl Indexer {
    /// With stretches of other lengths.
    pub(crate) fn with_bounds(blocks: u64, postings: usize) -> Self {
        Self { bounds: Bounds { blocks, postings }, ..Self::default() }
    }
}
