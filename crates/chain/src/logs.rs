//! Finding logs: what to look for, and where it was found.

use alloy_primitives::{Address, B256, Bloom, BloomInput, Log};

use crate::{CommittedBlock, StoredBlock};
use heddle_primitives::{Receipt, SealedHeader, Transaction};

/// Which logs are wanted, with the meaning of `eth_getLogs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// First block.
    pub from: u64,
    /// Last block, inclusive.
    pub to: u64,
    /// Emitting contracts; empty: any.
    pub addresses: Vec<Address>,
    /// Alternatives for each topic by position; an empty list of alternatives: anything, but the topic must exist.
    pub topics: Vec<Vec<B256>>,
}

impl LogFilter {
    /// Whether a block with this bloom can hold a matching log; no false negatives.
    pub fn may_match(&self, bloom: &Bloom) -> bool {
        let contains = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
        let address = self.addresses.is_empty() || self.addresses.iter().any(|a| contains(a.as_slice()));
        address && self.topics.iter().all(|any| any.is_empty() || any.iter().any(|topic| contains(topic.as_slice())))
    }

    /// Whether this log is wanted; its block is not looked at.
    pub fn matches(&self, log: &Log) -> bool {
        let topics = log.topics();
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && self.topics.len() <= topics.len()
            && self.topics.iter().zip(topics).all(|(any, topic)| any.is_empty() || any.contains(topic))
    }
}

/// Bounds on one search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Most blocks in the range.
    pub blocks_max: u64,
    /// Most logs in the answer.
    pub logs_max: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { blocks_max: 100_000, logs_max: 20_000 }
    }
}

/// A log and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// What the contract emitted.
    pub log: Log,
    /// Number of its block.
    pub block_number: u64,
    /// Hash of its block.
    pub block_hash: B256,
    /// Timestamp of its block, in seconds.
    pub block_timestamp: u64,
    /// Its transaction.
    pub transaction_hash: B256,
    /// Position of the transaction in the block.
    pub transaction_index: u64,
    /// Position of the log in the block, over all transactions.
    pub log_index: u64,
}

impl CommittedBlock {
    /// The block's logs that `filter` wants, in order; the filter's range is not looked at.
    pub fn logs(&self, filter: &LogFilter) -> Vec<LogEntry> {
        select(filter, &self.header, &self.block.body.transactions, &self.receipts)
    }
}

impl StoredBlock {
    /// The block's logs that `filter` wants, given its receipts.
    pub(crate) fn logs(&self, filter: &LogFilter, receipts: &[Receipt]) -> Vec<LogEntry> {
        select(filter, &self.header, &self.block.body.transactions, receipts)
    }
}

fn select(
    filter: &LogFilter,
    header: &SealedHeader,
    transactions: &[Transaction],
    receipts: &[Receipt],
) -> Vec<LogEntry> {
    let logs =
        transactions.iter().zip(receipts).zip(0..).flat_map(|((transaction, receipt), index)| {
            receipt.logs().iter().map(move |log| (transaction, index, log))
        });
    let wanted = logs.zip(0..).filter(|((_, _, log), _)| filter.matches(log));
    wanted
        .map(|((transaction, transaction_index, log), log_index)| LogEntry {
            log: log.clone(),
            block_number: header.number,
            block_hash: header.seal(),
            block_timestamp: header.timestamp,
            transaction_hash: *transaction.tx_hash(),
            transaction_index,
            log_index,
        })
        .collect()
}
