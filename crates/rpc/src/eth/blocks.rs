//! Blocks and the receipts of whole blocks. What is not there is `null`.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert;
use crate::error::MethodError;
use crate::pending;
use crate::registry::Registry;
use crate::texts::{Part, Text};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::U64;
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    let (by_number, by_hash) = (&["block", "fullTransactions"], &["blockHash", "fullTransactions"]);
    registry.text("eth_getBlockByNumber", by_number, recent_block, block_by_number)?;
    registry.text("eth_getBlockByHash", by_hash, |_, _| None, block_by_hash)?;
    registry.text("eth_getBlockReceipts", &["block"], recent_receipts, block_receipts)?;
    registry.read("eth_getBlockTransactionCountByNumber", &["block"], transaction_count_by_number)?;
    registry.read("eth_getBlockTransactionCountByHash", &["blockHash"], transaction_count_by_hash)
}

fn block_by_number(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<Text>, MethodError> {
    let (tag, full) = (arguments.required::<BlockNumberOrTag>()?, arguments.required()?);
    if let Some(pending) = backend.pending_for(tag.into())? {
        return Text::of(&pending::block(&pending, full)?).map(Some);
    }
    block(backend, tag.into(), full)
}

fn block_by_hash(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<Text>, MethodError> {
    let (hash, full) = (arguments.hash()?, arguments.required()?);
    block(backend, hash.into(), full)
}

fn block_part(full: bool) -> Part {
    if full { Part::FullBlock } else { Part::Block }
}

fn block(backend: &Backend, id: BlockId, full: bool) -> Result<Option<Text>, MethodError> {
    let Some(number) = backend.number_of(id)? else { return Ok(None) };
    let make = || Ok(backend.block_at(number)?.map(|stored| convert::block(&stored, full)));
    backend.texts.get_or_make(block_part(full), number, make)
}

/// The block, if its text is kept.
fn recent_block(backend: &Backend, arguments: &mut Arguments<'_>) -> Option<Option<Text>> {
    let (tag, full) = (arguments.required::<BlockNumberOrTag>().ok()?, arguments.required().ok()?);
    if tag.is_pending() {
        return None;
    }
    backend.texts.get(block_part(full), backend.number_of_tag(tag)?).map(Some)
}

fn block_receipts(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<Text>, MethodError> {
    let id = arguments.required::<BlockId>()?;
    if let Some(pending) = backend.pending_for(id)? {
        let blob_params = backend.chain.rules().blob_params(pending.header().timestamp);
        return Text::of(&convert::receipts(&pending.block, &pending.receipts, blob_params)).map(Some);
    }
    let Some(number) = backend.number_of(id)? else { return Ok(None) };
    let make = || {
        let Some(stored) = backend.block_at(number)? else { return Ok(None) };
        let Some(receipts) = backend.receipts_at(number)? else { return Ok(None) };
        let blob_params = backend.chain.rules().blob_params(stored.header.timestamp);
        Ok(Some(convert::receipts(&stored, &receipts, blob_params)))
    };
    backend.texts.get_or_make(Part::Receipts, number, make)
}

/// The receipts, if their text is kept.
fn recent_receipts(backend: &Backend, arguments: &mut Arguments<'_>) -> Option<Option<Text>> {
    match arguments.required().ok()? {
        BlockId::Number(tag) if !tag.is_pending() => {
            backend.texts.get(Part::Receipts, backend.number_of_tag(tag)?).map(Some)
        }
        _ => None,
    }
}

fn transaction_count_by_number(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<U64>, MethodError> {
    transaction_count(backend, arguments.required::<BlockNumberOrTag>()?.into())
}

fn transaction_count_by_hash(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<U64>, MethodError> {
    transaction_count(backend, arguments.hash()?.into())
}

fn transaction_count(backend: &Backend, id: BlockId) -> Result<Option<U64>, MethodError> {
    Ok(backend.block(id)?.map(|stored| U64::from(stored.block.body.transactions.len())))
}
