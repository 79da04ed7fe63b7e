//! Filters: what is new since the caller last asked, for those who cannot be pushed to. A filter is a position in the
//! chain or in what became pending: it holds nothing, and costs nothing until it is asked.

use super::{logs, transactions};
use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert::{self, FoundTransaction};
use crate::error::MethodError;
use crate::filters::{Kind, NotFound};
use crate::log_query::LogQuery;
use crate::registry::Registry;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{B256, U128};
use alloy_rpc_types_eth::{FilterBlockOption, Log};
use jsonrpsee::server::RegisterMethodError;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// Whole transactions of one answer.
const TRANSACTIONS_MAX: usize = 4_096;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.memory("eth_newFilter", &["filter"], new_filter)?;
    registry.memory("eth_newBlockFilter", &[], new_block_filter)?;
    registry.memory("eth_newPendingTransactionFilter", &["fullTransactions"], new_pending_filter)?;
    registry.scan("eth_getFilterChanges", &["filterId"], changes)?;
    registry.scan("eth_getFilterLogs", &["filterId"], filter_logs)?;
    registry.memory("eth_uninstallFilter", &["filterId"], uninstall)
}

impl From<NotFound> for MethodError {
    fn from(NotFound: NotFound) -> Self {
        Self::Rejected("filter not found".to_owned())
    }
}

/// What is new.
#[derive(Serialize)]
#[serde(untagged)]
enum Changes {
    Hashes(Vec<B256>),
    Logs(Vec<Log>),
    Transactions(Vec<FoundTransaction>),
}

fn new_filter(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<U128, MethodError> {
    let query: LogQuery = arguments.required()?;
    let alternatives = query.within(0, 0)?.alternatives();
    let next = backend.head_number() + 1;
    let (from, last) = match query.blocks()? {
        // The logs of one block are never news.
        FilterBlockOption::AtBlockHash(_) => (next, 0),
        FilterBlockOption::Range { from_block, to_block } => {
            let number = |tag: Option<BlockNumberOrTag>| tag.and_then(|tag| tag.as_number());
            let (from, last) = (number(from_block), number(to_block));
            if from.zip(last).is_some_and(|(from, last)| from > last) {
                return Err(MethodError::InvalidParams("invalid block range params".to_owned()));
            }
            (from.unwrap_or(0).max(next), last.unwrap_or(u64::MAX))
        }
    };
    add(backend, Kind::Logs { query: Arc::new(query), last }, from, alternatives)
}

fn new_block_filter(backend: &Backend, _: &mut Arguments<'_>) -> Result<U128, MethodError> {
    add(backend, Kind::Blocks, backend.head_number() + 1, 0)
}

fn new_pending_filter(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<U128, MethodError> {
    let full: Option<bool> = arguments.optional()?;
    let kind = Kind::Pending { full: full.unwrap_or_default() };
    add(backend, kind, backend.mempool.pending_position(), 0)
}

fn add(backend: &Backend, kind: Kind, next: u64, alternatives: usize) -> Result<U128, MethodError> {
    let id = U128::from(rand::random::<u128>());
    let added = backend.filters.lock().add(id, kind, next, alternatives, Instant::now());
    added.map(|()| id).map_err(|full| MethodError::LimitExceeded(full.to_string()))
}

fn uninstall(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<bool, MethodError> {
    Ok(backend.filters.lock().remove(arguments.required()?))
}

fn changes(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Changes, MethodError> {
    let id: U128 = arguments.required()?;
    let (kind, next) = backend.filters.lock().poll(id, Instant::now())?;
    // A chain that began with a state since the last call has not all blocks after it.
    let next_block = next.max(backend.chain.blocks_from());
    let (changes, next) = match kind {
        Kind::Blocks => new_blocks(backend, next_block)?,
        Kind::Logs { query, last } => new_logs(backend, id, (&query, last), next_block)?,
        Kind::Pending { full: false } => {
            let (hashes, next) = backend.mempool.pending_since(next);
            (Changes::Hashes(hashes), next)
        }
        Kind::Pending { full: true } => new_transactions(backend, next)?,
    };
    backend.filters.lock().advance(id, next);
    Ok(changes)
}

/// As many as one answer to a search may be about; the next poll has the rest.
fn new_blocks(backend: &Backend, next: u64) -> Result<(Changes, u64), MethodError> {
    let after = last_of(backend, next, u64::MAX).map_or(next, |last| last + 1);
    let hash = |number| Ok(backend.chain.header(number)?.map(|header| header.seal()));
    let hashes = (next..after).filter_map(|number| hash(number).transpose()).collect::<Result<_, MethodError>>()?;
    Ok((Changes::Hashes(hashes), after))
}

/// As much as fits into one answer; the next poll has the rest. A block that is too much for any is told of once, and left
/// behind.
fn new_logs(
    backend: &Backend,
    id: U128,
    (query, last): (&LogQuery, u64),
    next: u64,
) -> Result<(Changes, u64), MethodError> {
    let Some(mut last) = last_of(backend, next, last) else { return Ok((Changes::Logs(Vec::new()), next)) };
    loop {
        let error = match backend.chain.logs(&query.within(next, last)?, backend.limits.logs) {
            Ok(found) => return Ok((Changes::Logs(found.into_iter().map(convert::log).collect()), last + 1)),
            Err(error) => error,
        };
        match error.logs_ended_at() {
            Some(number) if next < number => last = number - 1,
            Some(_) => {
                backend.filters.lock().advance(id, next + 1);
                return Err(error.into());
            }
            None => return Err(error.into()),
        }
    }
}

/// The last block to look at from `next` on; `None` when there is nothing new.
fn last_of(backend: &Backend, next: u64, last: u64) -> Option<u64> {
    let reach = next.saturating_add(backend.limits.logs.blocks_max.saturating_sub(1));
    let last = backend.head_number().min(last).min(reach);
    (next <= last).then_some(last)
}

/// Whole transactions, as they are now: some may have been mined, some dropped.
fn new_transactions(backend: &Backend, next: u64) -> Result<(Changes, u64), MethodError> {
    let (mut hashes, after) = backend.mempool.pending_since(next);
    let left = hashes.len().saturating_sub(TRANSACTIONS_MAX);
    hashes.truncate(TRANSACTIONS_MAX);
    let found = hashes.into_iter().filter_map(|hash| transactions::find(backend, hash).transpose());
    Ok((Changes::Transactions(found.collect::<Result<_, _>>()?), after - left as u64))
}

/// All logs that the filter looks for, also from before it was made.
fn filter_logs(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Vec<Log>, MethodError> {
    let (kind, _) = backend.filters.lock().poll(arguments.required()?, Instant::now())?;
    match kind {
        Kind::Logs { query, .. } => logs::search(backend, &query),
        Kind::Blocks | Kind::Pending { .. } => Err(NotFound.into()),
    }
}
