//! Searching the logs of committed blocks.

use crate::block_store::missing;
use crate::chain::Inner;
use crate::log_index::Search;
use crate::rlp_rows::{RawBody, RawReceipt, damaged, header_timestamp, raw_receipts};
use crate::{Chain, ChainError, LogEntry, LogFilter, LogLimits, LogMatcher};
use alloy_primitives::{B256, Log, keccak256};
use heddle_storage::Table;
use std::time::Instant;

/// What a log says of its block besides the number.
#[derive(Clone, Copy)]
pub(crate) struct Seal {
    hash: B256,
    /// In seconds.
    timestamp: u64,
}

/// A log in its block.
struct Found {
    log: Log,
    transaction: usize,
    place: u64,
}

impl Chain {
    /// The logs that `filter` wants, in order. Blocks beyond the head hold none.
    ///
    /// # Errors
    /// [`ChainError::LogRange`], [`ChainError::TooManyLogs`], [`ChainError::TooManyLogBytes`] and [`ChainError::SlowLogs`]
    /// when `limits` are passed, [`ChainError::AbsentBlock`] for a range that begins before the oldest block, or the
    /// database's.
    pub fn logs(&self, filter: &LogFilter, limits: LogLimits) -> Result<Vec<LogEntry>, ChainError> {
        let (from, to) = (filter.from, filter.to);
        if to.saturating_sub(from) >= limits.blocks_max {
            return Err(ChainError::LogRange { from, to, blocks_max: limits.blocks_max });
        }
        self.require_blocks(from, to)?;
        let to = to.min(self.head().header.number);
        let started = Instant::now();
        let snapshot = self.inner.database.snapshot();
        let matcher = LogMatcher::from(filter.clone());
        let search = Search::new(&snapshot, &self.inner.log_indexer.above, &matcher);
        let (mut logs, mut bytes, mut next) = (Vec::new(), 0, from);
        while next <= to {
            let (numbers, searched) = search.candidates(next, to)?;
            for number in numbers {
                limits.check_time(started, from, number)?;
                let found = self.block_logs(number, &matcher)?;
                bytes += found.iter().map(|entry| entry.log.data.data.len()).sum::<usize>();
                logs.extend(found);
                limits.check(from, number, logs.len(), bytes)?;
            }
            next = searched.saturating_add(1);
            if next <= to {
                limits.check_time(started, from, next)?;
            }
        }
        Ok(logs)
    }

    /// The logs of a block that `matcher` wants.
    fn block_logs(&self, number: u64, matcher: &LogMatcher) -> Result<Vec<LogEntry>, ChainError> {
        let (database, key) = (&self.inner.database, number.to_be_bytes());
        let found = database.with_row(Table::Receipts, key, |row| find(row, matcher))?;
        let found = found.ok_or_else(|| missing("receipts", number))?.map_err(damaged("receipts", number))?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let mut transactions: Vec<_> = found.iter().map(|found| found.transaction).collect();
        transactions.dedup();
        let hashes =
            database.with_row(Table::Bodies, key, |row| RawBody::read(row)?.hashes(transactions.iter().copied()))?;
        let hashes = hashes.ok_or_else(|| missing("body", number))?.map_err(damaged("body", number))?;
        let Seal { hash: block_hash, timestamp: block_timestamp } = self.seal(number)?;
        let entry = |Found { log, transaction, place }| {
            let hash = transactions.binary_search(&transaction).ok().and_then(|index| hashes.get(index));
            LogEntry {
                log,
                block_number: number,
                block_hash,
                block_timestamp,
                transaction_hash: hash.copied().unwrap_or_default(),
                transaction_index: transaction as u64,
                log_index: place,
            }
        };
        Ok(found.into_iter().map(entry).collect())
    }

    /// Of a committed block, which stays as it is.
    fn seal(&self, number: u64) -> Result<Seal, ChainError> {
        let Inner { database, seals, .. } = &*self.inner;
        if let Some(seal) = seals.lock().get(&number) {
            return Ok(*seal);
        }
        let read = |row: &[u8]| Ok(Seal { hash: keccak256(row), timestamp: header_timestamp(row)? });
        let seal = database.with_row(Table::Headers, number.to_be_bytes(), read)?;
        let seal = seal.ok_or_else(|| missing("header", number))?.map_err(damaged("header", number))?;
        seals.lock().put(number, seal);
        Ok(seal)
    }
}

/// The logs in a row of receipts that `matcher` wants.
fn find(row: &[u8], matcher: &LogMatcher) -> Result<Vec<Found>, alloy_rlp::Error> {
    let (mut found, mut place) = (Vec::new(), 0);
    for (transaction, receipt) in raw_receipts(row)?.enumerate() {
        for log in RawReceipt::logs(&receipt?) {
            let log = log?;
            if log.is_wanted(matcher) {
                found.push(Found { log: log.to_log(), transaction, place });
            }
            place += 1;
        }
    }
    Ok(found)
}

impl LogLimits {
    /// Whether the answer of a search from block `from` on may be as large as it is after block `number`.
    fn check(&self, from: u64, number: u64, logs: usize, bytes: usize) -> Result<(), ChainError> {
        let Self { logs_max, bytes_max, .. } = *self;
        if logs > logs_max {
            return Err(ChainError::TooManyLogs { logs_max, from, number });
        }
        if bytes > bytes_max {
            return Err(ChainError::TooManyLogBytes { bytes_max, from, number });
        }
        Ok(())
    }

    /// Whether a search from block `from` on that began then may look at block `number`, too.
    fn check_time(&self, started: Instant, from: u64, number: u64) -> Result<(), ChainError> {
        let time_max = self.time_max;
        if number > from && started.elapsed() >= time_max {
            return Err(ChainError::SlowLogs { time_max, from, number });
        }
        Ok(())
    }
}
