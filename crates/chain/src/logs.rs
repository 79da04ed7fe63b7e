//! Finding logs: what to look for, and where it was found.

use crate::CommittedBlock;
use alloy_primitives::map::{AddressSet, B256Set};
use alloy_primitives::{Address, B256, Bloom, BloomInput, Log, keccak256};
use std::time::Duration;

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
    /// How many addresses and topics it names.
    pub fn alternatives(&self) -> usize {
        self.addresses.len() + self.topics.iter().map(Vec::len).sum::<usize>()
    }
}

/// A filter made ready for many blocks: what it looks for in blooms is hashed once, not once a block.
#[derive(Clone, Debug)]
pub struct LogMatcher {
    /// As the filter's.
    pub(crate) addresses: AddressSet,
    /// As the filter's.
    pub(crate) topics: Vec<B256Set>,
    /// Hashes of the addresses, then of the topics at each position; a block must hold one of each that is not empty.
    hashes: Vec<Vec<B256>>,
}

impl LogMatcher {
    /// Whether a block with this bloom can hold a matching log; no false negatives.
    pub fn may_match(&self, bloom: &Bloom) -> bool {
        let contains = |hash: &B256| bloom.contains_input(BloomInput::Hash(*hash));
        self.hashes.iter().all(|any| any.is_empty() || any.iter().any(contains))
    }

    /// Whether a log of this contract with these topics is wanted; its block is not looked at.
    pub(crate) fn wants(&self, address: &Address, topics: &[B256]) -> bool {
        (self.addresses.is_empty() || self.addresses.contains(address))
            && self.topics.len() <= topics.len()
            && self.topics.iter().zip(topics).all(|(any, topic)| any.is_empty() || any.contains(topic))
    }
}

impl From<LogFilter> for LogMatcher {
    fn from(filter: LogFilter) -> Self {
        let addresses = filter.addresses.iter().map(keccak256).collect();
        let topics = filter.topics.iter().map(|any| any.iter().map(keccak256).collect());
        let hashes = std::iter::once(addresses).chain(topics).collect();
        let topics = filter.topics.into_iter().map(B256Set::from_iter).collect();
        Self { addresses: AddressSet::from_iter(filter.addresses), topics, hashes }
    }
}

/// Bounds on one search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Most blocks in the range.
    pub blocks_max: u64,
    /// Most logs in the answer.
    pub logs_max: usize,
    /// Most bytes of data in the answer's logs; in JSON each takes two.
    pub bytes_max: usize,
    /// Most time, however little is found; at least the first block is searched.
    pub time_max: Duration,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { blocks_max: 10_000, logs_max: 20_000, bytes_max: 12_000_000, time_max: Duration::from_secs(5) }
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
    /// The block's logs that `matcher` wants, in order; the filter's range is not looked at.
    pub fn logs(&self, matcher: &LogMatcher) -> Vec<LogEntry> {
        self.some_logs(matcher, 0, usize::MAX)
    }

    /// At most `most` of them, after the first `skipped`.
    pub fn some_logs(&self, matcher: &LogMatcher, skipped: usize, most: usize) -> Vec<LogEntry> {
        let header = &self.header;
        if !matcher.may_match(&header.logs_bloom) {
            return Vec::new();
        }
        let transactions = self.block.body.transactions.iter().zip(&self.receipts).zip(0..);
        let logs = transactions.flat_map(|((transaction, receipt), index)| {
            receipt.logs().iter().map(move |log| (transaction, index, log))
        });
        let wanted = logs.zip(0..).filter(|((_, _, log), _)| matcher.wants(&log.address, log.topics()));
        wanted
            .skip(skipped)
            .take(most)
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
}
