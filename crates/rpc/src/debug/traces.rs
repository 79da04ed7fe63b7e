//! go-ethereum's tracers.

use super::options::go_duration;
use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use crate::trace_budget::TraceBudget;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, Bytes, TxHash};
use alloy_rpc_types_trace::geth::GethDebugTracingOptions;
use heddle_chain::{TraceError, TraceOptions, TracedBlock, trace_geth};
use heddle_primitives::Block;
use jsonrpsee::server::RegisterMethodError;
use serde::Serialize;
use serde_json::value::RawValue;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.trace("debug_traceTransaction", &["transactionHash", "options"], transaction)?;
    registry.trace("debug_traceBlockByNumber", &["block", "options"], block_by_number)?;
    registry.trace("debug_traceBlockByHash", &["blockHash", "options"], block_by_hash)?;
    registry.trace("debug_traceBlock", &["blockRlp", "options"], block_by_rlp)
}

/// One transaction's trace in a block's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransactionTrace {
    tx_hash: TxHash,
    result: Box<RawValue>,
}

fn transaction(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Box<RawValue>, MethodError> {
    let hash: B256 = arguments.required()?;
    let (options, budget) = options(backend, arguments)?;
    let location = backend.chain.transaction(hash)?;
    let location = location.ok_or_else(|| MethodError::Rejected("transaction not found".to_owned()))?;
    let index = location.index as usize;
    let traces = backend.chain.trace(location.number, |block| {
        budget.run(|bounds| trace_geth(block, index..index.saturating_add(1), &options, bounds))
    })?;
    traces.into_iter().next().ok_or_else(|| MethodError::Internal(format!("no trace of transaction {hash}")))
}

fn block_by_number(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Vec<TransactionTrace>, MethodError> {
    let tag: BlockNumberOrTag = arguments.required()?;
    block(backend, tag.into(), arguments)
}

fn block_by_hash(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Vec<TransactionTrace>, MethodError> {
    let hash: B256 = arguments.required()?;
    block(backend, hash.into(), arguments)
}

/// A block that need not be committed, on a parent that is.
fn block_by_rlp(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Vec<TransactionTrace>, MethodError> {
    let rlp: Bytes = arguments.required()?;
    let decoded: Block = alloy_rlp::decode_exact(&rlp)
        .map_err(|error| MethodError::Rejected(format!("could not decode block: {error}")))?;
    if let Some(number) = backend.chain.number_of(decoded.header.hash_slow())?
        && backend.block_at(number)?.is_some_and(|stored| stored.block == decoded)
    {
        return block(backend, BlockNumberOrTag::Number(number).into(), arguments);
    }
    let parent = decoded.header.parent_hash;
    let number = backend.chain.number_of(parent)?;
    let number = number.ok_or_else(|| MethodError::Rejected(format!("parent {parent} not found")))?;
    let (options, budget) = options(backend, arguments)?;
    Ok(backend.chain.trace_uncommitted(number, &decoded, |block| whole(block, &options, &budget))?)
}

fn block(backend: &Backend, id: BlockId, arguments: &mut Arguments<'_>) -> Result<Vec<TransactionTrace>, MethodError> {
    let (options, budget) = options(backend, arguments)?;
    let number = traced_number(backend, id)?;
    Ok(backend.chain.trace(number, |block| whole(block, &options, &budget))?)
}

/// The traces of all transactions of a block.
fn whole(
    block: &TracedBlock<'_>,
    options: &TraceOptions,
    budget: &TraceBudget,
) -> Result<Vec<TransactionTrace>, TraceError> {
    let traces = budget.run(|bounds| trace_geth(block, 0..block.transactions.len(), options, bounds))?;
    let hashes = block.transactions.iter().map(|transaction| *transaction.tx_hash());
    Ok(hashes.zip(traces).map(|(tx_hash, result)| TransactionTrace { tx_hash, result }).collect())
}

/// How many transactions a block has that is there.
pub(super) fn transaction_count(backend: &Backend, number: u64) -> Result<usize, MethodError> {
    Ok(backend.block_at(number)?.map_or(0, |stored| stored.block.body.transactions.len()))
}

/// The number of a block that must be there.
pub(super) fn traced_number(backend: &Backend, id: BlockId) -> Result<u64, MethodError> {
    backend.number_of(id)?.ok_or_else(|| {
        MethodError::Rejected(match id {
            BlockId::Hash(hash) => format!("block {} not found", hash.block_hash),
            BlockId::Number(BlockNumberOrTag::Number(number)) => format!("block #{number} not found"),
            BlockId::Number(tag) => format!("block {tag} not found"),
        })
    })
}

fn options(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<(TraceOptions, TraceBudget), MethodError> {
    bounded(backend, arguments.optional::<GethDebugTracingOptions>()?.unwrap_or_default())
}

/// The options with what the node allows, and the time they leave.
pub(super) fn bounded(
    backend: &Backend,
    tracing: GethDebugTracingOptions,
) -> Result<(TraceOptions, TraceBudget), MethodError> {
    let timeout = tracing.timeout.as_deref().map(go_duration).transpose()?;
    let budget = TraceBudget::new(&backend.limits).within(timeout);
    Ok((TraceOptions { tracing, allows_javascript: backend.limits.js_tracers }, budget))
}
