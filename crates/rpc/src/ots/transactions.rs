//! What a transaction did inside, as Otterscan shows it.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use crate::trace::transaction_traces;
use crate::trace_budget::TraceBudget;
use alloy_primitives::{B256, Bytes, map::HashSet};
use alloy_rpc_types_trace::{
    otterscan::{InternalOperation, TraceEntry},
    parity::{Action, CallType, CreationMethod, TraceOutput, TransactionTrace},
};
use heddle_chain::{TransactionLocation, trace_operations, trace_parity};
use jsonrpsee::server::RegisterMethodError;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.trace("ots_getInternalOperations", &["transactionHash"], operations)?;
    registry.trace("ots_getTransactionError", &["transactionHash"], error)?;
    registry.trace("ots_traceTransaction", &["transactionHash"], trace)
}

fn operations(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<Vec<InternalOperation>>, MethodError> {
    let Some(TransactionLocation { number, index }) = backend.chain.transaction(arguments.required()?)? else {
        return Ok(None);
    };
    let budget = TraceBudget::new(&backend.limits);
    let found =
        backend.chain.trace(number, |block| budget.run(|bounds| trace_operations(block, index as usize, bounds)))?;
    Ok(Some(found))
}

/// What a failed transaction returned: its revert data.
fn error(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<Bytes>, MethodError> {
    let hash: B256 = arguments.required()?;
    let Some(TransactionLocation { number, index }) = backend.chain.transaction(hash)? else { return Ok(None) };
    let index = index as usize;
    let receipts = backend.receipts_at(number)?.unwrap_or_default();
    if receipts.get(index).is_some_and(|receipt| receipt.status()) {
        return Ok(Some(Bytes::new()));
    }
    let budget = TraceBudget::new(&backend.limits);
    let traces = backend.chain.trace(number, |block| {
        budget.run(|bounds| trace_parity(block, index..index.saturating_add(1), &HashSet::default(), bounds))
    })?;
    Ok(traces.into_iter().next().map(|trace| trace.output))
}

fn trace(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<Vec<TraceEntry>>, MethodError> {
    let traces = transaction_traces(backend, arguments.required()?)?;
    Ok(traces.map(|traces| traces.into_iter().filter_map(|trace| entry(trace.trace)).collect()))
}

/// A call, creation or self-destruction; a reward is none.
fn entry(trace: TransactionTrace) -> Option<TraceEntry> {
    let depth = u32::try_from(trace.trace_address.len()).unwrap_or(u32::MAX);
    let created = match &trace.result {
        Some(TraceOutput::Create(output)) => output.address,
        _ => Default::default(),
    };
    let output = trace.result.as_ref().map(|result| result.output().clone()).unwrap_or_default();
    let (r#type, from, to, value, input) = match trace.action {
        Action::Call(call) => {
            let has_value = !matches!(call.call_type, CallType::DelegateCall | CallType::StaticCall);
            (call.call_type.to_string(), call.from, call.to, has_value.then_some(call.value), call.input)
        }
        Action::Create(create) => {
            let name = if create.creation_method == CreationMethod::Create2 { "CREATE2" } else { "CREATE" };
            (name.to_owned(), create.from, created, Some(create.value), create.init)
        }
        Action::Selfdestruct(end) => {
            ("SELFDESTRUCT".to_owned(), end.address, end.refund_address, Some(end.balance), Bytes::new())
        }
        Action::Reward(_) => return None,
    };
    Some(TraceEntry { r#type, depth, from, to, value, input, output })
}
