//! Which blocks may hold logs that a filter wants: by the index, elsewhere by the blooms.

use super::gathering::Gathering;
use super::rows::{Segment, address_key, decode_numbers, row_key, segment_at, topic_key};
use crate::block_store::missing;
use crate::rlp_rows::{damaged, header_bloom};
use crate::{ChainError, LogMatcher};
use alloy_primitives::Bloom;
use heddle_storage::{Snapshot, Table};
use parking_lot::RwLock;

/// Most blocks whose blooms are looked at in one go.
const BLOOMS_MAX: u64 = 1_024;
/// Most rows of the index that are read for one stretch: the headers of a stretch of as many blocks are read as soon, and a
/// shorter one is short because its blocks log so much that their blooms let everything be there.
const ROWS_MAX: usize = BLOOMS_MAX as usize;

/// A search under way.
pub(crate) struct Search<'a> {
    snapshot: &'a Snapshot,
    /// What the newest blocks log.
    newest: &'a RwLock<Gathering>,
    matcher: &'a LogMatcher,
    /// What stands in the index for the filter's addresses, and for its topics at each position, where it names any.
    wanted: Vec<Vec<u64>>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, newest: &'a RwLock<Gathering>, matcher: &'a LogMatcher) -> Self {
        let addresses = matcher.addresses.iter().map(address_key).collect();
        let topics = matcher.topics.iter().enumerate();
        let topics = topics.map(|(position, any)| any.iter().map(|topic| topic_key(position, topic)).collect());
        let wanted = std::iter::once(addresses).chain(topics).filter(|any: &Vec<u64>| !any.is_empty()).collect();
        Self { snapshot, newest, matcher, wanted }
    }

    /// The beginning of a search from block `from` on: the blocks that may hold logs, in order, and the last block that they
    /// were looked for in, at most `to`.
    pub(crate) fn candidates(&self, from: u64, to: u64) -> Result<(Vec<u64>, u64), ChainError> {
        let stretch = segment_at(self.snapshot, from)?;
        if let Some(stretch) = stretch.filter(|stretch| stretch.first <= from && self.is_indexed()) {
            return Ok(within(self.indexed(stretch)?, (from, to), stretch));
        }
        let gathered = self.newest.read();
        let newest = gathered.blocks().filter(|newest| stretch.is_none() && from <= newest.last);
        if let Some(newest) = newest.filter(|newest| newest.first <= from && self.is_indexed()) {
            return Ok(within(self.gathered(&gathered), (from, to), newest));
        }
        drop(gathered);
        let end = match stretch.or(newest) {
            Some(next) if next.first > from => next.first - 1,
            Some(this) => this.last,
            None => to,
        };
        let end = end.min(to).min(from.saturating_add(BLOOMS_MAX - 1));
        Ok((self.by_bloom(from, end)?, end))
    }

    /// Whether the index says more, and sooner, than the blooms: not to whoever wants any log, or asks for too many values.
    fn is_indexed(&self) -> bool {
        let alternatives = self.wanted.iter().map(Vec::len).sum::<usize>();
        (1..=ROWS_MAX).contains(&alternatives)
    }

    /// The blocks of a stretch that log a value of each kind that is wanted.
    fn indexed(&self, stretch: Segment) -> Result<Vec<u64>, ChainError> {
        let keys = self.wanted.iter().flatten().map(|value| row_key(stretch.last, *value));
        let mut rows = self.snapshot.multi_get(Table::LogIndex, keys)?.into_iter();
        Ok(in_all(self.wanted.iter().map(|any| {
            let rows = rows.by_ref().take(any.len()).flatten();
            in_any(rows.map(|row| decode_numbers(stretch, &row)))
        })))
    }

    /// The same of the newest blocks.
    fn gathered(&self, gathered: &Gathering) -> Vec<u64> {
        in_all(self.wanted.iter().map(|any| in_any(any.iter().map(|value| gathered.logging(*value).to_vec()))))
    }

    /// The blocks whose blooms let a wanted log be there.
    fn by_bloom(&self, from: u64, to: u64) -> Result<Vec<u64>, ChainError> {
        let (mut numbers, mut expected) = (Vec::new(), from..=to);
        let end = to.saturating_add(1).to_be_bytes();
        for row in self.snapshot.range(Table::Headers, &from.to_be_bytes(), Some(&end))? {
            let ((key, header), number) = (row?, expected.next().unwrap_or(to));
            if key != number.to_be_bytes() {
                return Err(missing("header", number));
            }
            let bloom = Bloom::new(*header_bloom(&header).map_err(damaged("header", number))?);
            if !bloom.is_zero() && self.matcher.may_match(&bloom) {
                numbers.push(number);
            }
        }
        match expected.next() {
            Some(number) => Err(missing("header", number)),
            None => Ok(numbers),
        }
    }
}

/// What a stretch says of the blocks that are asked for, and the last of these.
fn within(mut numbers: Vec<u64>, (from, to): (u64, u64), stretch: Segment) -> (Vec<u64>, u64) {
    numbers.retain(|number| (from..=to).contains(number));
    (numbers, stretch.last.min(to))
}

/// The blocks of all these lists, in order: those of the shortest are looked up in the others.
fn in_all(lists: impl Iterator<Item = Vec<u64>>) -> Vec<u64> {
    let mut lists: Vec<_> = lists.collect();
    lists.sort_unstable_by_key(Vec::len);
    let mut lists = lists.into_iter();
    let (mut found, others) = (lists.next().unwrap_or_default(), lists.as_slice());
    found.retain(|number| others.iter().all(|list| list.binary_search(number).is_ok()));
    found
}

/// Blocks of any list, in order, each once.
fn in_any(lists: impl Iterator<Item = Vec<u64>>) -> Vec<u64> {
    let joined = lists.reduce(|mut numbers, list| {
        numbers.extend(list);
        numbers
    });
    let mut numbers = joined.unwrap_or_default();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}
