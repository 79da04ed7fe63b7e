//! Traces of messages that are no transactions, or not yet.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert;
use crate::error::MethodError;
use crate::overrides;
use crate::registry::Registry;
use crate::trace_budget::TraceBudget;
use alloy_consensus::transaction::SignerRecoverable;
use alloy_eips::{BlockId, eip2718::Decodable2718};
use alloy_primitives::{Bytes, map::HashSet};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_rpc_types_trace::parity::{TraceResults, TraceType};
use heddle_chain::{CallRequest, Overrides, TracedCalls, trace_call_parity, trace_calls_parity};
use heddle_primitives::Transaction;
use jsonrpsee::server::RegisterMethodError;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    const CALL: &[&str] = &["transaction", "traceTypes", "block", "stateOverrides", "blockOverrides"];
    registry.trace("trace_call", CALL, call)?;
    registry.trace("trace_callMany", &["calls", "block"], calls)?;
    registry.trace("trace_rawTransaction", &["transaction", "traceTypes", "block"], raw_transaction)
}

fn call(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<TraceResults, MethodError> {
    let request: TransactionRequest = arguments.required()?;
    let (parts, block) = (arguments.required()?, arguments.optional()?);
    let state = arguments.optional()?.unwrap_or_default();
    let block_overrides = overrides::call_block(arguments)?;
    trace(backend, request, &parts, block, &Overrides { state, block: block_overrides })
}

/// Calls, each on what the ones before it left.
fn calls(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Vec<TraceResults>, MethodError> {
    let requests: Vec<(TransactionRequest, HashSet<TraceType>)> = arguments.required()?;
    let number = backend.state_number(arguments.optional()?)?;
    let chain_id = backend.chain.genesis().chain_id();
    let with_parts = |(request, parts)| Ok((convert::call_request(request, chain_id)?, parts));
    let requests: Vec<(CallRequest, HashSet<TraceType>)> =
        requests.into_iter().map(with_parts).collect::<Result<_, MethodError>>()?;
    let budget = TraceBudget::new(&backend.limits);
    let found = budget.call(&backend.limits, |limits, bytes| {
        backend.chain.trace_calls(number, limits, |calls| trace_calls_parity(calls, &requests, bytes))
    })?;
    Ok(found)
}

/// A signed transaction, whatever its nonce, as if it were a call.
fn raw_transaction(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<TraceResults, MethodError> {
    let raw: Bytes = arguments.required()?;
    let (parts, block) = (arguments.required()?, arguments.optional()?);
    let invalid = |error: &dyn std::error::Error| MethodError::InvalidParams(format!("invalid transaction: {error}"));
    let transaction = Transaction::decode_2718_exact(&raw).map_err(|error| invalid(&error))?;
    let sender = transaction.recover_signer().map_err(|error| invalid(&error))?;
    let request = TransactionRequest::from_transaction_with_sender(transaction, sender);
    trace(backend, request, &parts, block, &Overrides::default())
}

fn trace(
    backend: &Backend,
    request: TransactionRequest,
    parts: &HashSet<TraceType>,
    block: Option<BlockId>,
    overrides: &Overrides,
) -> Result<TraceResults, MethodError> {
    let request = convert::call_request(request, backend.chain.genesis().chain_id())?;
    let number = backend.state_number(block)?;
    let budget = TraceBudget::new(&backend.limits);
    let found = budget.call(&backend.limits, |limits, bytes| {
        let trace = |calls: &TracedCalls<'_>| trace_call_parity(calls, &request, overrides, parts, bytes);
        backend.chain.trace_calls(number, limits, trace)
    })?;
    Ok(found)
}
