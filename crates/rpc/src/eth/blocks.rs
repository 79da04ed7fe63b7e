//! Blocks and the receipts of whole blocks. What is not there is `null`.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert::{self, RpcBlock};
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, U64};
use alloy_rpc_types_eth::TransactionReceipt;
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.read("eth_getBlockByNumber", &["block", "fullTransactions"], block_by_number)?;
    registry.read("eth_getBlockByHash", &["blockHash", "fullTransactions"], block_by_hash)?;
    registry.read("eth_getBlockReceipts", &["block"], block_receipts)?;
    registry.read("eth_getBlockTransactionCountByNumber", &["block"], transaction_count_by_number)?;
    registry.read("eth_getBlockTransactionCountByHash", &["blockHash"], transaction_count_by_hash)
}

fn block_by_number(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<RpcBlock>, MethodError> {
    let (tag, full) = (arguments.required::<BlockNumberOrTag>()?, arguments.required()?);
    Ok(backend.block(tag.into())?.map(|stored| convert::block(&stored, full)))
}

fn block_by_hash(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<RpcBlock>, MethodError> {
    let (hash, full) = (arguments.required::<B256>()?, arguments.required()?);
    Ok(backend.block(hash.into())?.map(|stored| convert::block(&stored, full)))
}

fn block_receipts(
    backend: &Backend,
    arguments: &mut Arguments<'_>,
) -> Result<Option<Vec<TransactionReceipt>>, MethodError> {
    let Some(stored) = backend.block(arguments.required::<BlockId>()?)? else { return Ok(None) };
    let Some(receipts) = backend.receipts_at(stored.header.number)? else { return Ok(None) };
    let blob_params = backend.chain.rules().blob_params(stored.header.timestamp);
    Ok(Some(convert::receipts(&stored, &receipts, blob_params)))
}

fn transaction_count_by_number(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<U64>, MethodError> {
    transaction_count(backend, arguments.required::<BlockNumberOrTag>()?.into())
}

fn transaction_count_by_hash(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<U64>, MethodError> {
    transaction_count(backend, arguments.required::<B256>()?.into())
}

fn transaction_count(backend: &Backend, id: BlockId) -> Result<Option<U64>, MethodError> {
    Ok(backend.block(id)?.map(|stored| U64::from(stored.block.body.transactions.len())))
}
