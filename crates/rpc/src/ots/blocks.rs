//! Blocks as Otterscan shows them: final ones.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert::{self, RpcTransaction};
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_eips::{BlockId, eip1898::LenientBlockNumberOrTag};
use alloy_network_primitives::BlockTransactions;
use alloy_primitives::{B256, U256};
use alloy_rpc_types_eth::{Header, TransactionReceipt};
use alloy_rpc_types_trace::{
    otterscan::{BlockDetails, InternalIssuance, OtsBlock, OtsBlockTransactions, OtsReceipt, OtsTransactionReceipt},
    parity::RewardType,
};
use heddle_chain::{StoredBlock, block_rewards};
use jsonrpsee::server::RegisterMethodError;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.read("ots_getBlockDetails", &["block"], details_by_number)?;
    registry.read("ots_getBlockDetailsByHash", &["blockHash"], details_by_hash)?;
    registry.read("ots_getBlockTransactions", &["block", "page", "pageSize"], transactions)
}

fn details_by_number(
    backend: &Backend,
    arguments: &mut Arguments<'_>,
) -> Result<Option<BlockDetails<Header>>, MethodError> {
    details(backend, arguments.required::<LenientBlockNumberOrTag>()?.into())
}

fn details_by_hash(
    backend: &Backend,
    arguments: &mut Arguments<'_>,
) -> Result<Option<BlockDetails<Header>>, MethodError> {
    details(backend, arguments.required::<B256>()?.into())
}

fn details(backend: &Backend, id: BlockId) -> Result<Option<BlockDetails<Header>>, MethodError> {
    let Some(stored) = backend.committed_block(id)? else { return Ok(None) };
    let fee = |receipt: &TransactionReceipt| U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price);
    let fees = receipts(backend, &stored)?.iter().map(fee).sum();
    Ok(Some(BlockDetails::new(convert::block(&stored, false), issuance(backend, &stored), fees)))
}

fn issuance(backend: &Backend, stored: &StoredBlock) -> InternalIssuance {
    let rewards = block_rewards(backend.chain.rules(), &stored.header, &stored.block.body.ommers);
    let of = |wanted| rewards.iter().filter(|reward| reward.reward_type == wanted).map(|reward| reward.value).sum();
    let (block_reward, uncle_reward): (U256, U256) = (of(RewardType::Block), of(RewardType::Uncle));
    InternalIssuance { block_reward, uncle_reward, issuance: block_reward + uncle_reward }
}

/// A page of a block's transactions; page 0 has the last ones.
fn transactions(
    backend: &Backend,
    arguments: &mut Arguments<'_>,
) -> Result<Option<OtsBlockTransactions<RpcTransaction, Header>>, MethodError> {
    let tag: LenientBlockNumberOrTag = arguments.required()?;
    let (page, page_size): (usize, usize) = (arguments.required()?, arguments.required()?);
    let Some(stored) = backend.committed_block(tag.into())? else { return Ok(None) };
    let count = stored.block.body.transactions.len();
    let end = count.saturating_sub(page.saturating_mul(page_size));
    let places = end.saturating_sub(page_size)..end;
    let mut block = convert::block(&stored, false);
    let on_page = places.clone().filter_map(|index| convert::mined_transaction(&stored, index));
    block.transactions = BlockTransactions::Full(on_page.collect());
    let receipts = receipts(backend, &stored)?;
    let receipts = receipts.into_iter().skip(places.start).take(places.len());
    Ok(Some(OtsBlockTransactions {
        fullblock: OtsBlock { block, transaction_count: count },
        receipts: receipts.map(|receipt| without_logs(receipt, stored.header.timestamp)).collect(),
    }))
}

/// The receipts of a block.
pub(super) fn receipts(backend: &Backend, stored: &StoredBlock) -> Result<Vec<TransactionReceipt>, MethodError> {
    let receipts = backend.receipts_at(stored.header.number)?.unwrap_or_default();
    let blob_params = backend.chain.rules().blob_params(stored.header.timestamp);
    Ok(convert::receipts(stored, &receipts, blob_params))
}

/// A receipt as Otterscan wants it.
pub(super) fn without_logs(receipt: TransactionReceipt, timestamp: u64) -> OtsTransactionReceipt {
    let receipt = receipt.map_inner(|receipt| OtsReceipt {
        status: receipt.status(),
        cumulative_gas_used: receipt.cumulative_gas_used(),
        logs: None,
        logs_bloom: None,
        r#type: receipt.tx_type().into(),
    });
    OtsTransactionReceipt { receipt, timestamp: Some(timestamp) }
}
