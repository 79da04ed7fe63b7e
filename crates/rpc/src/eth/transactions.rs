//! Transactions: finding them, and sending signed ones.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert::{self, RpcTransaction};
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, Bytes, TxHash};
use alloy_rpc_types_eth::{Index, TransactionReceipt};
use heddle_chain::StoredBlock;
use jsonrpsee::server::RegisterMethodError;
use std::sync::Arc;
use std::time::SystemTime;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.read("eth_sendRawTransaction", &["transaction"], send_raw)?;
    registry.read("eth_getTransactionByHash", &["transactionHash"], by_hash)?;
    registry.read("eth_getTransactionReceipt", &["transactionHash"], receipt)?;
    registry.read("eth_getTransactionByBlockHashAndIndex", &["blockHash", "index"], by_block_hash_and_index)?;
    registry.read("eth_getTransactionByBlockNumberAndIndex", &["block", "index"], by_block_number_and_index)
}

fn send_raw(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<TxHash, MethodError> {
    let raw: Bytes = arguments.required()?;
    submit(backend, &raw, arguments.received())
}

/// Gives an encoded transaction to the mempool; it is gossiped from there.
pub(super) fn submit(backend: &Backend, raw: &[u8], received: SystemTime) -> Result<TxHash, MethodError> {
    if !backend.chain.rules().is_heddle() {
        return Err(MethodError::Rejected("the chain is served read-only, it takes no transactions".to_owned()));
    }
    Ok(backend.intake.submit(raw, received)?)
}

fn by_hash(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<RpcTransaction>, MethodError> {
    let hash: B256 = arguments.required()?;
    // The mempool is asked first: a block may take the transaction out of it between the two questions.
    let pooled = backend.mempool.get(&hash);
    if let Some((stored, index)) = locate(backend, hash)? {
        return Ok(convert::mined_transaction(&stored, index));
    }
    Ok(pooled.map(|transaction| convert::pending_transaction(transaction.recovered().clone())))
}

fn receipt(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<TransactionReceipt>, MethodError> {
    let Some((stored, index)) = locate(backend, arguments.required()?)? else { return Ok(None) };
    let Some(receipts) = backend.receipts_at(stored.header.number)? else { return Ok(None) };
    Ok(convert::receipt(&stored, &receipts, index, backend.chain.rules().blob_params(stored.header.timestamp)))
}

/// The block that holds a transaction, and the place in it.
fn locate(backend: &Backend, hash: B256) -> Result<Option<(Arc<StoredBlock>, usize)>, MethodError> {
    let Some(location) = backend.chain.transaction(hash)? else { return Ok(None) };
    let stored = backend.block_at(location.number)?;
    Ok(stored.map(|stored| (stored, location.index as usize)))
}

fn by_block_hash_and_index(
    backend: &Backend,
    arguments: &mut Arguments<'_>,
) -> Result<Option<RpcTransaction>, MethodError> {
    let hash: B256 = arguments.required()?;
    by_block_and_index(backend, hash.into(), arguments.required()?)
}

fn by_block_number_and_index(
    backend: &Backend,
    arguments: &mut Arguments<'_>,
) -> Result<Option<RpcTransaction>, MethodError> {
    let tag: BlockNumberOrTag = arguments.required()?;
    by_block_and_index(backend, tag.into(), arguments.required()?)
}

fn by_block_and_index(backend: &Backend, id: BlockId, index: Index) -> Result<Option<RpcTransaction>, MethodError> {
    Ok(backend.block(id)?.and_then(|stored| convert::mined_transaction(&stored, index.0)))
}
