//! The calls, creations and self-destructions of committed transactions, and the rewards of their blocks.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use crate::trace_budget::TraceBudget;
use alloy_eips::{BlockId, BlockNumHash};
use alloy_primitives::{B256, map::HashSet};
use alloy_rpc_types_eth::Index;
use alloy_rpc_types_trace::parity::{LocalizedTransactionTrace, TraceType, TransactionTrace};
use heddle_chain::{TraceBounds, TraceError, TracedBlock, TransactionLocation, block_rewards, trace_parity};
use jsonrpsee::server::RegisterMethodError;
use std::ops::Range;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.trace("trace_block", &["block"], block)?;
    registry.trace("trace_transaction", &["transactionHash"], transaction)?;
    registry.trace("trace_get", &["transactionHash", "indices"], get)
}

type Traces = Vec<LocalizedTransactionTrace>;

fn block(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<Traces>, MethodError> {
    let id: BlockId = arguments.required()?;
    let Some(number) = backend.number_of(id)? else { return Ok(None) };
    block_traces(backend, number, &TraceBudget::new(&backend.limits)).map(Some)
}

fn transaction(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<Traces>, MethodError> {
    transaction_traces(backend, arguments.required()?)
}

/// The trace whose address in the tree of calls is given.
fn get(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<LocalizedTransactionTrace>, MethodError> {
    let hash = arguments.required()?;
    let indices: Vec<Index> = arguments.required()?;
    let address: Vec<usize> = indices.into_iter().map(usize::from).collect();
    let traces = transaction_traces(backend, hash)?.unwrap_or_default();
    Ok(traces.into_iter().find(|trace| trace.trace.trace_address == address))
}

/// The traces of a committed transaction; `None` when there is no such.
pub(crate) fn transaction_traces(backend: &Backend, hash: B256) -> Result<Option<Traces>, MethodError> {
    let Some(TransactionLocation { number, index }) = backend.chain.transaction(hash)? else { return Ok(None) };
    let (index, budget) = (index as usize, TraceBudget::new(&backend.limits));
    let traces = backend
        .chain
        .trace(number, |block| budget.run(|bounds| localized(block, index..index.saturating_add(1), bounds)))?;
    Ok(Some(traces))
}

/// The traces of a committed block, and then its rewards.
pub(crate) fn block_traces(backend: &Backend, number: u64, budget: &TraceBudget) -> Result<Traces, MethodError> {
    if number == 0 {
        return Ok(Vec::new());
    }
    let traces = backend.chain.trace(number, |block| {
        let mut traces = budget.run(|bounds| localized(block, 0..block.transactions.len(), bounds))?;
        let place = BlockNumHash::new(number, block.hash);
        let rewards = block_rewards(block.rules, block.context.header, block.context.ommers);
        traces.extend(rewards.into_iter().map(|reward| reward.into_localized_trace(place)));
        Ok(traces)
    })?;
    Ok(traces)
}

fn localized(block: &TracedBlock<'_>, wanted: Range<usize>, bounds: TraceBounds<'_>) -> Result<Traces, TraceError> {
    let traces = trace_parity(block, wanted.clone(), &HashSet::from_iter([TraceType::Trace]), bounds)?;
    let place = |index: usize, trace: TransactionTrace| LocalizedTransactionTrace {
        trace,
        block_hash: Some(block.hash),
        block_number: Some(block.context.header.number),
        transaction_hash: block.transactions.get(index).map(|transaction| *transaction.tx_hash()),
        transaction_position: Some(index as u64),
    };
    let of_transactions = wanted.zip(traces);
    Ok(of_transactions
        .flat_map(|(index, traces)| traces.trace.into_iter().map(move |trace| place(index, trace)))
        .collect())
}
