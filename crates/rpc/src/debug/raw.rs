//! Headers, blocks, receipts and transactions as they are hashed.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::eth::raw_transactions;
use crate::registry::Registry;
use alloy_eips::{BlockId, Encodable2718};
use alloy_primitives::Bytes;
use jsonrpsee::server::RegisterMethodError;
use serde::Serialize;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.read("debug_getRawHeader", &["block"], header)?;
    registry.read("debug_getRawBlock", &["block"], block)?;
    registry.read("debug_getRawReceipts", &["block"], receipts)?;
    registry.read("debug_getRawTransaction", &["transactionHash"], raw_transactions::by_hash)?;
    registry.memory("debug_getBadBlocks", &[], bad_blocks)
}

/// Who asks for a block here means one that is there.
fn number(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<(u64, MethodError), MethodError> {
    let id: BlockId = arguments.required()?;
    let missing = MethodError::Rejected(format!("block {id} not found"));
    match backend.number_of(id)? {
        Some(number) => Ok((number, missing)),
        None => Err(missing),
    }
}

fn header(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Bytes, MethodError> {
    let (number, missing) = number(backend, arguments)?;
    let header = backend.chain.header(number)?.ok_or(missing)?;
    Ok(alloy_rlp::encode(header.inner()).into())
}

fn block(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Bytes, MethodError> {
    let (number, missing) = number(backend, arguments)?;
    let stored = backend.block_at(number)?.ok_or(missing)?;
    Ok(alloy_rlp::encode(&stored.block).into())
}

/// Each in the encoding that the receipts root is of.
fn receipts(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Vec<Bytes>, MethodError> {
    let (number, missing) = number(backend, arguments)?;
    let receipts = backend.receipts_at(number)?.ok_or(missing)?;
    Ok(receipts.iter().map(|receipt| receipt.encoded_2718().into()).collect())
}

/// A block that broke a rule.
#[derive(Clone, Serialize)]
enum BadBlock {}

/// None: no block is kept that was not committed.
fn bad_blocks(_: &Backend, _: &mut Arguments<'_>) -> Result<Vec<BadBlock>, MethodError> {
    Ok(Vec::new())
}
