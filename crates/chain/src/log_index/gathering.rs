//! Blocks that are to become a stretch of the index.

use super::rows::{Segment, address_key, segment_rows, topic_key};
use crate::ChainError;
use crate::rlp_rows::{damaged, raw_receipts};
use alloy_rlp::Error;
use heddle_storage::Row;
use std::collections::HashMap;

/// When there is enough for a stretch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Most blocks: what a search asks for at once.
    pub(super) blocks: u64,
    /// Values of blocks from which on no more are added. One batch writes them, and whoever commits waits for that, a
    /// microsecond each.
    pub(super) postings: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { blocks: 1_024, postings: 1 << 15 }
    }
}

/// What consecutive blocks log. Blocks are added at either end.
#[derive(Default)]
pub(crate) struct Gathering {
    blocks: Option<Segment>,
    /// The blocks that log a value, in the order in which they were added.
    logging: HashMap<u64, Vec<u64>>,
    postings: usize,
}

impl Gathering {
    /// Its first and last block; `None` when there is none.
    pub(super) fn blocks(&self) -> Option<Segment> {
        self.blocks
    }

    /// Adds the block before the first or after the last, with what it logs, each value once.
    pub(super) fn add(&mut self, number: u64, values: Vec<u64>) {
        self.postings += values.len();
        for value in values {
            self.logging.entry(value).or_default().push(number);
        }
        let Segment { first, last } = self.blocks.unwrap_or(Segment { first: number, last: number });
        self.blocks = Some(Segment { first: first.min(number), last: last.max(number) });
    }

    /// The blocks that log a value.
    pub(super) fn logging(&self, value: u64) -> &[u64] {
        self.logging.get(&value).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether it is enough for a stretch.
    pub(super) fn is_full(&self, bounds: Bounds) -> bool {
        let blocks = self.blocks.map_or(0, |blocks| blocks.last - blocks.first + 1);
        blocks >= bounds.blocks || self.postings >= bounds.postings
    }

    /// The rows of the stretch, in the order of their keys. There must be a block.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> {
        let mut logging: Vec<_> = self.logging.iter().map(|(value, numbers)| (*value, numbers.clone())).collect();
        logging.sort_unstable();
        logging.iter_mut().for_each(|(_, numbers)| numbers.sort_unstable());
        segment_rows(self.blocks.unwrap_or_default(), logging)
    }
}

/// What a block logs, each value once, by the row of its receipts.
pub(super) fn logged_values(number: u64, receipts: &[u8]) -> Result<Vec<u64>, ChainError> {
    values_of(receipts).map_err(damaged("receipts", number))
}

fn values_of(receipts: &[u8]) -> Result<Vec<u64>, Error> {
    let mut values = Vec::new();
    for receipt in raw_receipts(receipts)? {
        for log in receipt?.logs() {
            let log = log?;
            values.push(address_key(&log.address));
            values.extend(log.topics().iter().enumerate().map(|(position, topic)| topic_key(position, topic)));
        }
    }
    values.sort_unstable();
    values.dedup();
    Ok(values)
}
