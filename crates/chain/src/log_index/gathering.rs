//! Blocks that are to become a stretch of the index.

use super::rows::{Posting, Segment, address_key, segment_rows, topic_key};
use crate::ChainError;
use crate::rlp_rows::{damaged, raw_receipts};
use alloy_rlp::Error;
use heddle_storage::Row;

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
pub(super) struct Gathering {
    blocks: Option<Segment>,
    postings: Vec<Posting>,
}

impl Gathering {
    /// Its first block; `None` when there is none.
    pub(super) fn first(&self) -> Option<u64> {
        self.blocks.map(|blocks| blocks.first)
    }

    /// Its last block; `None` when there is none.
    pub(super) fn last(&self) -> Option<u64> {
        self.blocks.map(|blocks| blocks.last)
    }

    /// Adds the block before the first or after the last, by the row of its receipts.
    pub(super) fn add(&mut self, number: u64, receipts: &[u8]) -> Result<(), ChainError> {
        let values = logged_values(receipts).map_err(damaged("receipts", number))?;
        self.postings.extend(values.into_iter().map(|value| Posting { value, number }));
        let Segment { first, last } = self.blocks.unwrap_or(Segment { first: number, last: number });
        self.blocks = Some(Segment { first: first.min(number), last: last.max(number) });
        Ok(())
    }

    /// Whether it is enough for a stretch.
    pub(super) fn is_full(&self, bounds: Bounds) -> bool {
        let blocks = self.blocks.map_or(0, |blocks| blocks.last - blocks.first + 1);
        blocks >= bounds.blocks || self.postings.len() >= bounds.postings
    }

    /// The rows of the stretch, in the order of their keys. There must be a block.
    pub(super) fn into_rows(mut self) -> impl Iterator<Item = Row> {
        self.postings.sort_unstable();
        segment_rows(self.blocks.unwrap_or_default(), self.postings)
    }
}

/// What a block logs, each value once.
fn logged_values(receipts: &[u8]) -> Result<Vec<u64>, Error> {
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
