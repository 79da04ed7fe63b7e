//! How the index is written.

use crate::ChainError;
use crate::block_store::decode;
use alloy_primitives::{Address, B256, keccak256};
use heddle_storage::{Row, Snapshot, Table};

/// First and last block of a stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// What stands for an emitting contract: 8 bytes of a hash, so that another value now and then looks the same. Whoever finds
/// a block looks at its logs.
pub(super) fn address_key(address: &Address) -> u64 {
    key(0, address.as_slice())
}

/// What stands for a topic at a position from 0.
pub(super) fn topic_key(position: usize, topic: &B256) -> u64 {
    key(1 + position as u8, topic.as_slice())
}

fn key(kind: u8, value: &[u8]) -> u64 {
    let mut bytes = [kind; 33];
    bytes.iter_mut().skip(1).zip(value).for_each(|(byte, value)| *byte = *value);
    let hash = keccak256(bytes.get(..=value.len()).unwrap_or(&bytes));
    u64::from_be_bytes(hash.first_chunk().copied().unwrap_or_default())
}

/// The key of the row with the blocks of a stretch that log a value.
pub(super) fn row_key(last: u64, value: u64) -> [u8; 16] {
    ((u128::from(last) << 64) | u128::from(value)).to_be_bytes()
}

/// The rows of a stretch, in order; so are the values, each with the blocks that log it.
pub(super) fn segment_rows(segment: Segment, logging: Vec<(u64, Vec<u64>)>) -> impl Iterator<Item = Row> {
    let stretch = (segment.last.to_be_bytes().to_vec(), alloy_rlp::encode(segment.first));
    let values = logging
        .into_iter()
        .map(move |(value, numbers)| (row_key(segment.last, value).to_vec(), encode_numbers(segment.first, &numbers)));
    std::iter::once(stretch).chain(values)
}

/// The first stretch that ends at a block or behind it.
pub(super) fn segment_at(snapshot: &Snapshot, number: u64) -> Result<Option<Segment>, ChainError> {
    let Some((key, row)) = snapshot.seek(Table::LogIndex, &number.to_be_bytes())? else { return Ok(None) };
    let last = key.as_slice().try_into().map(u64::from_be_bytes);
    let last =
        last.map_err(|_| ChainError::Corrupt(format!("the log index lacks the row of a stretch behind {number}")))?;
    Ok(Some(Segment { first: decode(&key, &row, "log index")?, last }))
}

/// The first and the last block of all stretches.
pub(super) fn covered(snapshot: &Snapshot) -> Result<Option<Segment>, ChainError> {
    let Some(mut covered) = segment_at(snapshot, 0)? else { return Ok(None) };
    while let Some(segment) = segment_at(snapshot, covered.last.saturating_add(1))? {
        covered.last = segment.last;
    }
    Ok(Some(covered))
}

/// Ascending numbers from `first` on: how far each is from the one before, seven bits a byte, the lowest first.
fn encode_numbers(first: u64, numbers: &[u64]) -> Vec<u8> {
    let (mut row, mut before) = (Vec::new(), first);
    for &number in numbers {
        let mut distance = number - before;
        before = number;
        while distance >= 0x80 {
            row.push(distance as u8 | 0x80);
            distance >>= 7;
        }
        row.push(distance as u8);
    }
    row
}

/// What [`encode_numbers`] wrote, as far as it lies in the stretch.
pub(super) fn decode_numbers(segment: Segment, row: &[u8]) -> Vec<u64> {
    let (mut numbers, mut number, mut distance, mut shift) = (Vec::new(), segment.first, 0u64, 0);
    for byte in row {
        distance |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
        shift += 7;
        if byte & 0x80 == 0 {
            number = number.saturating_add(distance);
            (distance, shift) = (0, 0);
            numbers.push(number);
        }
    }
    numbers.retain(|number| *number <= segment.last);
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        let segment = Segment { first: 1_000, last: u64::MAX };
        for numbers in [vec![], vec![1_000], vec![1_000, 1_001, 1_127, 1_128, 1_255, 1_256, 20_000, u64::MAX]] {
            assert_eq!(decode_numbers(segment, &encode_numbers(1_000, &numbers)), numbers);
        }
    }

    #[test]
    fn positions_of_one_value_differ() {
        let value = B256::repeat_byte(7);
        let mut keys: Vec<_> = (0..4).map(|position| topic_key(position, &value)).collect();
        keys.push(address_key(&Address::repeat_byte(7)));
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 5);
    }
}
