//! Transactions: finding them, and sending signed ones.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert::{self, Before, FoundTransaction, Place, RpcTransaction};
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, Bytes, TxHash, U64};
use alloy_rpc_types_eth::TransactionReceipt;
use heddle_chain::{MinedReceipt, MinedTransaction, StoredBlock, TransactionLocation};
use heddle_primitives::SealedHeader;
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

/// Gives an encoded transaction to the mempool; it is gossiped from there. A plain Ethereum chain takes it as well, though
/// nobody builds the block that would have it.
pub(super) fn submit(backend: &Backend, raw: &[u8], received: SystemTime) -> Result<TxHash, MethodError> {
    Ok(backend.intake.submit(raw, received)?)
}

fn by_hash(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<FoundTransaction>, MethodError> {
    find(backend, arguments.hash()?)
}

/// A transaction, mined or waiting.
pub(super) fn find(backend: &Backend, hash: TxHash) -> Result<Option<FoundTransaction>, MethodError> {
    // The mempool is asked first: a block may take the transaction out of it between the two questions.
    let pooled = backend.mempool.get(&hash);
    let mined = match backend.chain.transaction(hash)? {
        Some(location) => mined(backend, location)?,
        None => None,
    };
    Ok(convert::found(mined, pooled.as_deref()))
}

/// The transaction at a place: cut out of its block, unless that is decoded.
fn mined(backend: &Backend, location: TransactionLocation) -> Result<Option<RpcTransaction>, MethodError> {
    let index = location.index as usize;
    if let Some((stored, _)) = backend.busy_block(location.number)? {
        return Ok(convert::mined_transaction(&stored, index));
    }
    let mined = backend.chain.transaction_at(location)?;
    let convert = |mined: MinedTransaction| {
        let MinedTransaction { header, transaction, sender } = mined;
        convert::placed_transaction(&header, index, transaction, sender)
    };
    Ok(mined.map(convert))
}

fn receipt(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<TransactionReceipt>, MethodError> {
    receipt_of(backend, arguments.hash()?)
}

/// The receipt of a mined transaction.
pub(super) fn receipt_of(backend: &Backend, hash: TxHash) -> Result<Option<TransactionReceipt>, MethodError> {
    let Some(location) = backend.chain.transaction(hash)? else { return Ok(None) };
    let (chain, index) = (&backend.chain, location.index as usize);
    let blob_params = |header: &SealedHeader| chain.rules().blob_params(header.timestamp);
    if let Some((stored, receipts)) = backend.busy_block(location.number)? {
        return Ok(convert::receipt(&stored, &receipts, index, blob_params(&stored.header)));
    }
    let Some(MinedReceipt { receipt, gas_before, logs_before }) = chain.receipt_at(location)? else { return Ok(None) };
    let Some(mined) = chain.transaction_at(location)? else { return Ok(None) };
    let MinedTransaction { header, transaction, sender } = &mined;
    let place = Place { header, index, transaction, sender: *sender };
    let before = Before { gas: gas_before, logs: logs_before };
    Ok(Some(convert::placed_receipt(&place, receipt, before, blob_params(header))))
}

/// The block that holds a transaction, and the place in it.
pub(super) fn locate(backend: &Backend, hash: B256) -> Result<Option<(Arc<StoredBlock>, usize)>, MethodError> {
    let Some(location) = backend.chain.transaction(hash)? else { return Ok(None) };
    let stored = backend.block_at(location.number)?;
    Ok(stored.map(|stored| (stored, location.index as usize)))
}

fn by_block_hash_and_index(
    backend: &Backend,
    arguments: &mut Arguments<'_>,
) -> Result<Option<RpcTransaction>, MethodError> {
    let hash = arguments.hash()?;
    by_block_and_index(backend, hash.into(), arguments.required()?)
}

fn by_block_number_and_index(
    backend: &Backend,
    arguments: &mut Arguments<'_>,
) -> Result<Option<RpcTransaction>, MethodError> {
    let tag: BlockNumberOrTag = arguments.required()?;
    by_block_and_index(backend, tag.into(), arguments.required()?)
}

fn by_block_and_index(backend: &Backend, id: BlockId, index: U64) -> Result<Option<RpcTransaction>, MethodError> {
    Ok(backend.block(id)?.and_then(|stored| convert::mined_transaction(&stored, index.saturating_to())))
}
