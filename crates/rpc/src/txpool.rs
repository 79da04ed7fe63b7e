//! The `txpool` namespace: what waits in the mempool, in go-ethereum's shapes.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert::{self, WaitingTransaction};
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_consensus::Transaction as _;
use alloy_primitives::Address;
use alloy_rpc_types_txpool::{TxpoolContent, TxpoolContentFrom, TxpoolStatus};
use heddle_mempool::{PoolTransaction, SenderContent};
use jsonrpsee::server::RegisterMethodError;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of JSON around the input of one transaction; its input takes two a byte.
const CONTENT_BYTES: usize = 900;
/// Bytes of JSON that sum up one transaction.
const SUMMARY_BYTES: usize = 160;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.read("txpool_status", &[], status)?;
    registry.scan("txpool_content", &[], content)?;
    registry.scan("txpool_contentFrom", &["address"], content_from)?;
    registry.scan("txpool_inspect", &[], inspect)
}

fn status(backend: &Backend, _: &mut Arguments<'_>) -> Result<TxpoolStatus, MethodError> {
    let status = backend.mempool.status();
    Ok(TxpoolStatus { pending: status.pending as u64, queued: status.queued as u64 })
}

fn content(backend: &Backend, _: &mut Arguments<'_>) -> Result<TxpoolContent<WaitingTransaction>, MethodError> {
    let status = backend.mempool.status();
    let count = status.pending + status.queued;
    check_size(backend, count * CONTENT_BYTES + 2 * status.bytes)?;
    Ok(of_all(backend, convert::pending_transaction))
}

fn content_from(
    backend: &Backend,
    arguments: &mut Arguments<'_>,
) -> Result<TxpoolContentFrom<WaitingTransaction>, MethodError> {
    let SenderContent { pending, queued } = backend.mempool.content_from(arguments.required()?);
    let bytes = pending.iter().chain(&queued).map(|transaction| CONTENT_BYTES + 2 * transaction.size());
    check_size(backend, bytes.sum())?;
    let whole = |transactions: Vec<_>| by_nonce(&transactions, convert::pending_transaction);
    Ok(TxpoolContentFrom { pending: whole(pending), queued: whole(queued) })
}

fn inspect(backend: &Backend, _: &mut Arguments<'_>) -> Result<TxpoolContent<String>, MethodError> {
    let status = backend.mempool.status();
    check_size(backend, (status.pending + status.queued) * SUMMARY_BYTES)?;
    Ok(of_all(backend, summary))
}

/// What would not fit into an answer is not gathered either.
fn check_size(backend: &Backend, bytes: usize) -> Result<(), MethodError> {
    let bytes_max = backend.limits.response_bytes as usize;
    if bytes <= bytes_max {
        return Ok(());
    }
    let rest = "ask for single senders with txpool_contentFrom, or for transactions by their hash";
    Err(MethodError::LimitExceeded(format!(
        "the answer would have about {bytes} bytes, more than the {bytes_max} that one may have: {rest}"
    )))
}

fn of_all<T>(backend: &Backend, show: fn(&PoolTransaction) -> T) -> TxpoolContent<T> {
    let by_sender = |senders: BTreeMap<Address, Vec<Arc<PoolTransaction>>>| {
        senders.iter().map(|(sender, waiting)| (*sender, by_nonce(waiting, show))).collect()
    };
    let content = backend.mempool.content();
    TxpoolContent { pending: by_sender(content.pending), queued: by_sender(content.queued) }
}

/// Nonces are in decimal here.
fn by_nonce<T>(transactions: &[Arc<PoolTransaction>], show: fn(&PoolTransaction) -> T) -> BTreeMap<String, T> {
    transactions.iter().map(|transaction| (transaction.nonce().to_string(), show(transaction))).collect()
}

/// A transaction in one line.
fn summary(transaction: &PoolTransaction) -> String {
    let transaction = transaction.recovered();
    let to = transaction.to().map_or_else(|| "contract creation".to_owned(), |to| to.to_checksum(None));
    let (value, gas, price) = (transaction.value(), transaction.gas_limit(), transaction.max_fee_per_gas());
    format!("{to}: {value} wei + {gas} gas × {price} wei")
}
