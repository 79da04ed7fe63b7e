//! Transactions in the encoding that was signed (EIP-2718), mined or waiting.

use super::transactions::locate;
use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_eips::{BlockId, BlockNumberOrTag, Encodable2718};
use alloy_primitives::{Bytes, U64};
use heddle_chain::StoredBlock;
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.read("eth_getRawTransactionByHash", &["transactionHash"], by_hash)?;
    registry.read("eth_getRawTransactionByBlockHashAndIndex", &["blockHash", "index"], by_block_hash)?;
    registry.read("eth_getRawTransactionByBlockNumberAndIndex", &["block", "index"], by_block_number)
}

pub(crate) fn by_hash(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<Bytes>, MethodError> {
    let hash = arguments.hash()?;
    // The mempool is asked first: a block may take the transaction out of it between the two questions.
    let pooled = backend.mempool.get(&hash);
    if let Some((stored, index)) = locate(backend, hash)? {
        return Ok(encoded(&stored, index));
    }
    Ok(pooled.map(|transaction| transaction.encoded()))
}

fn by_block_hash(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<Bytes>, MethodError> {
    let hash = arguments.hash()?;
    by_block(backend, hash.into(), arguments.required()?)
}

fn by_block_number(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<Bytes>, MethodError> {
    let tag: BlockNumberOrTag = arguments.required()?;
    by_block(backend, tag.into(), arguments.required()?)
}

fn by_block(backend: &Backend, id: BlockId, index: U64) -> Result<Option<Bytes>, MethodError> {
    Ok(backend.block(id)?.and_then(|stored| encoded(&stored, index.saturating_to())))
}

fn encoded(stored: &StoredBlock, index: usize) -> Option<Bytes> {
    stored.block.body.transactions.get(index).map(|transaction| transaction.encoded_2718().into())
}
