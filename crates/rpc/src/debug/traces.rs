//! go-ethereum's tracers.

use super::options::go_duration;
use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use crate::trace_budget::TraceBudget;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, Bytes, TxHash, keccak256};
use alloy_rlp::Header as RlpHeader;
use alloy_rpc_types_trace::geth::GethDebugTracingOptions;
use heddle_chain::{TraceOptions, trace_geth};
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

/// A block is found by the header in its RLP: only committed ones can be traced.
fn block_by_rlp(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Vec<TransactionTrace>, MethodError> {
    let rlp: Bytes = arguments.required()?;
    let invalid = |error| MethodError::Rejected(format!("could not decode block: {error}"));
    let mut fields = RlpHeader::decode_bytes(&mut &rlp[..], true).map_err(invalid)?;
    let whole = fields;
    let header = RlpHeader::decode(&mut fields).map_err(invalid)?;
    let length = whole.len() - fields.len() + header.payload_length;
    let header = whole.get(..length).ok_or(alloy_rlp::Error::InputTooShort).map_err(invalid)?;
    block(backend, keccak256(header).into(), arguments)
}

fn block(backend: &Backend, id: BlockId, arguments: &mut Arguments<'_>) -> Result<Vec<TransactionTrace>, MethodError> {
    let (options, budget) = options(backend, arguments)?;
    let number = traced_number(backend, id)?;
    backend
        .chain
        .trace(number, |block| {
            let traces = budget.run(|bounds| trace_geth(block, 0..block.transactions.len(), &options, bounds))?;
            let hashes = block.transactions.iter().map(|transaction| *transaction.tx_hash());
            Ok(hashes.zip(traces).map(|(tx_hash, result)| TransactionTrace { tx_hash, result }).collect())
        })
        .map_err(MethodError::from)
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
