//! Which blocks log an address or a topic: an index over stretches of blocks, made beside the commits.
//!
//! A stretch ([`Segment`]) is up to [`Bounds::blocks`] blocks in a row, fewer where they log much. Its rows are written in one
//! batch after its blocks, so it is there as a whole or not at all, and never changes. Stretches follow each other without
//! gaps, and grow at both ends: upwards with the chain, downwards when blocks before an adopted state come in. Blocks that
//! are in none are searched by the blooms of their headers, but for the newest ones: what they log is gathered in memory.

mod check;
mod gathering;
mod rows;
mod search;

pub(crate) use check::check;
pub(crate) use search::Search;

use crate::block_store::missing;
use crate::{Chain, ChainError};
use gathering::{Bounds, Gathering, logged_values};
use heddle_storage::{Batch, Table};
use parking_lot::{Mutex, RwLock};
use rows::Segment;

/// Most blocks of one step.
const BLOCKS_PER_STEP: usize = 256;

/// What is being made of the index. The default is at the beginning of that, whatever is there.
#[derive(Default)]
pub(crate) struct Indexer {
    /// Held by the one who indexes.
    work: Mutex<Work>,
    /// Blocks above what is indexed that do not make a stretch yet: searched here meanwhile.
    pub(crate) above: RwLock<Gathering>,
    /// Blocks below it that do not.
    below: RwLock<Gathering>,
}

#[derive(Default)]
struct Work {
    bounds: Bounds,
    /// First and last block of what is indexed, once that was looked up.
    covered: Option<Option<Segment>>,
}

impl Chain {
    /// Indexes the logs of blocks that are not indexed yet: a bounded number of them. Returns whether nothing is left to do
    /// until other blocks come. Commits go on meanwhile.
    ///
    /// # Errors
    /// The database's, or a damaged row.
    pub fn index_logs(&self) -> Result<bool, ChainError> {
        let Indexer { work, above, below: _ } = &self.inner.log_indexer;
        let mut work = work.lock();
        let covered = match work.covered {
            Some(covered) => covered,
            None => *work.covered.insert(rows::covered(&self.inner.database.snapshot())?),
        };
        // The head first: an adopted state says where its blocks begin before it becomes the head.
        let (head, bounds) = (self.head().header.number, work.bounds);
        let genesis = self.inner.genesis.header().number;
        let oldest = self.blocks_from().max(genesis.saturating_add(1));
        let done = above.read().blocks().or(covered);
        let next = done.map_or(oldest, |done| done.last + 1);
        if self.gather(above, bounds, (next..=head).take(BLOCKS_PER_STEP))? {
            let added = self.write_segment(above)?;
            work.covered = Some(Some(Segment { first: covered.map_or(added.first, |covered| covered.first), ..added }));
            return Ok(false);
        }
        if head.checked_sub(next).is_some_and(|left| left >= BLOCKS_PER_STEP as u64) {
            return Ok(false);
        }
        match covered {
            Some(covered) => self.index_below(&mut work, covered, oldest),
            None => Ok(true),
        }
    }

    /// Indexes blocks that came in below what is indexed, the newest of them first.
    fn index_below(&self, work: &mut Work, covered: Segment, oldest: u64) -> Result<bool, ChainError> {
        let below = &self.inner.log_indexer.below;
        let reached = || below.read().blocks().map_or(covered.first, |blocks| blocks.first);
        let is_full = self.gather(below, work.bounds, (oldest..reached()).rev().take(BLOCKS_PER_STEP))?;
        let reached = reached();
        let is_whole = reached == oldest && self.blocks_from() == self.inner.genesis.header().number;
        if is_full || (is_whole && reached < covered.first) {
            let added = self.write_segment(below)?;
            work.covered = Some(Some(Segment { first: added.first, last: covered.last }));
            return Ok(false);
        }
        Ok(reached == oldest)
    }

    /// Adds blocks until there are no more of them, or enough for a stretch: whether that is so.
    fn gather(
        &self,
        gathering: &RwLock<Gathering>,
        bounds: Bounds,
        numbers: impl Iterator<Item = u64>,
    ) -> Result<bool, ChainError> {
        let database = &self.inner.database;
        for number in numbers {
            let values = database.with_row(Table::Receipts, number.to_be_bytes(), |row| logged_values(number, row))?;
            let values = values.ok_or_else(|| missing("receipts", number))??;
            let mut gathering = gathering.write();
            gathering.add(number, values);
            if gathering.is_full(bounds) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes a stretch, and leaves an empty one to go on with.
    fn write_segment(&self, gathering: &RwLock<Gathering>) -> Result<Segment, ChainError> {
        let (added, mut batch) = (gathering.read().blocks().unwrap_or_default(), Batch::new());
        gathering.read().rows().for_each(|(key, row)| batch.put(Table::LogIndex, key, row));
        let database = &self.inner.database;
        // Never without its blocks, however these are written, and without waiting for the disk: it can be made again.
        match self.inner.config.commits_synced {
            true => database.commit_behind(batch)?,
            false => database.commit_unsynced(batch)?,
        }
        drop(std::mem::take(&mut *gathering.write()));
        Ok(added)
    }
}

#[cfg(test)]
impl Indexer {
    /// Begins anew, with stretches of other lengths.
    pub(crate) fn restart(&self, blocks: u64, postings: usize) {
        *self.work.lock() = Work { bounds: Bounds { blocks, postings }, ..Work::default() };
        *self.above.write() = Gathering::default();
        *self.below.write() = Gathering::default();
    }
}
