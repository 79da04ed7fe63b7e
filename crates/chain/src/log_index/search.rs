//! Which blocks may hold logs that a filter wants: by the index, elsewhere by the blooms.

use super::rows::{Segment, address_key, decode_numbers, row_key, segment_at, topic_key};
use crate::block_store::missing;
use crate::rlp_rows::{damaged, header_bloom};
use crate::{ChainError, LogFilter, LogMatcher};
use alloy_primitives::Bloom;
use heddle_storage::{Snapshot, Table};

/// Most blocks whose blooms are looked at in one go.
const BLOOMS_MAX: u64 = 1_024;

/// The beginning of a search from block `from` on: the blocks that may hold logs, in order, and the last block that they were
/// looked for in, at most `to`.
pub(crate) fn candidates(
    snapshot: &Snapshot,
    matcher: &LogMatcher,
    from: u64,
    to: u64,
) -> Result<(Vec<u64>, u64), ChainError> {
    let filter = matcher.filter();
    let segment = segment_at(snapshot, from)?;
    if let Some(segment) = segment.filter(|segment| segment.first <= from && is_indexed(filter, *segment)) {
        let mut numbers = indexed(snapshot, filter, segment)?;
        numbers.retain(|number| (from..=to).contains(number));
        return Ok((numbers, segment.last.min(to)));
    }
    let end = match segment {
        Some(segment) if segment.first > from => segment.first - 1,
        Some(segment) => segment.last,
        None => to,
    };
    let end = end.min(to).min(from.saturating_add(BLOOMS_MAX - 1));
    Ok((by_bloom(snapshot, matcher, from, end)?, end))
}

/// Whether the index says more, and sooner, than the blooms: not to whoever wants any log, or asks for more values than there
/// are blocks.
fn is_indexed(filter: &LogFilter, segment: Segment) -> bool {
    let alternatives = filter.addresses.len() + filter.topics.iter().map(Vec::len).sum::<usize>();
    alternatives > 0 && alternatives as u64 <= segment.last - segment.first + 1
}

/// The blocks of a stretch that log a value of each kind that is wanted.
fn indexed(snapshot: &Snapshot, filter: &LogFilter, segment: Segment) -> Result<Vec<u64>, ChainError> {
    let addresses = filter.addresses.iter().map(address_key).collect();
    let topics = filter.topics.iter().enumerate();
    let topics = topics.map(|(position, any)| any.iter().map(|topic| topic_key(position, topic)).collect());
    let wanted = std::iter::once(addresses).chain(topics).filter(|any: &Vec<u64>| !any.is_empty());
    let mut found: Option<Vec<u64>> = None;
    for any in wanted {
        let logging = logging_any(snapshot, segment, &any)?;
        let both = match found {
            Some(found) => found.into_iter().filter(|number| logging.binary_search(number).is_ok()).collect(),
            None => logging,
        };
        if both.is_empty() {
            return Ok(both);
        }
        found = Some(both);
    }
    Ok(found.unwrap_or_default())
}

/// The blocks of a stretch that log any of these values, in order.
fn logging_any(snapshot: &Snapshot, segment: Segment, values: &[u64]) -> Result<Vec<u64>, ChainError> {
    let rows = snapshot.multi_get(Table::LogIndex, values.iter().map(|value| row_key(segment.last, *value)))?;
    let mut numbers: Vec<_> = rows.iter().flatten().flat_map(|row| decode_numbers(segment, row)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// The blocks whose blooms let a wanted log be there.
fn by_bloom(snapshot: &Snapshot, matcher: &LogMatcher, from: u64, to: u64) -> Result<Vec<u64>, ChainError> {
    let (mut numbers, mut expected) = (Vec::new(), from..=to);
    for row in snapshot.range(Table::Headers, &from.to_be_bytes(), Some(&to.saturating_add(1).to_be_bytes()))? {
        let ((key, header), number) = (row?, expected.next().unwrap_or(to));
        if key != number.to_be_bytes() {
            return Err(missing("header", number));
        }
        let bloom = Bloom::new(*header_bloom(&header).map_err(damaged("header", number))?);
        if !bloom.is_zero() && matcher.may_match(&bloom) {
            numbers.push(number);
        }
    }
    match expected.next() {
        Some(number) => Err(missing("header", number)),
        None => Ok(numbers),
    }
}
