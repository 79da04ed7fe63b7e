//! Committed transactions with their output, traces, state diffs and virtual machine traces.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use crate::trace_budget::TraceBudget;
use alloy_eips::BlockId;
use alloy_primitives::{B256, map::HashSet};
use alloy_rpc_types_trace::parity::{TraceResults, TraceResultsWithTransactionHash, TraceType};
use heddle_chain::{TransactionLocation, trace_parity};
use jsonrpsee::server::RegisterMethodError;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.trace("trace_replayTransaction", &["transactionHash", "traceTypes"], transaction)?;
    registry.trace("trace_replayBlockTransactions", &["block", "traceTypes"], block)
}

fn transaction(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<TraceResults, MethodError> {
    let hash: B256 = arguments.required()?;
    let parts: HashSet<TraceType> = arguments.required()?;
    let TransactionLocation { number, index } =
        backend.chain.transaction(hash)?.ok_or_else(|| MethodError::Rejected("transaction not found".to_owned()))?;
    let (index, budget) = (index as usize, TraceBudget::new(&backend.limits));
    let traces = backend.chain.trace(number, |block| {
        budget.run(|bounds| trace_parity(block, index..index.saturating_add(1), &parts, bounds))
    })?;
    traces.into_iter().next().ok_or_else(|| MethodError::Internal(format!("no trace of transaction {hash}")))
}

fn block(
    backend: &Backend,
    arguments: &mut Arguments<'_>,
) -> Result<Option<Vec<TraceResultsWithTransactionHash>>, MethodError> {
    let id: BlockId = arguments.required()?;
    let parts: HashSet<TraceType> = arguments.required()?;
    let number = match backend.number_of(id)? {
        None => return Ok(None),
        Some(0) => return Ok(Some(Vec::new())),
        Some(number) => number,
    };
    let budget = TraceBudget::new(&backend.limits);
    let traces = backend.chain.trace(number, |block| {
        let traces = budget.run(|bounds| trace_parity(block, 0..block.transactions.len(), &parts, bounds))?;
        let hashes = block.transactions.iter().map(|transaction| *transaction.tx_hash());
        let named = hashes.zip(traces);
        Ok(named
            .map(|(transaction_hash, full_trace)| TraceResultsWithTransactionHash { full_trace, transaction_hash })
            .collect())
    })?;
    Ok(Some(traces))
}
