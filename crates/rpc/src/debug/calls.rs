//! `debug_traceCall`.

use super::traces::{bounded, traced_number};
use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert;
use crate::error::MethodError;
use crate::overrides;
use crate::registry::Registry;
use alloy_eips::BlockId;
use alloy_rpc_types_trace::geth::GethDebugTracingCallOptions;
use heddle_chain::{Overrides, TracedCalls, trace_call_geth};
use jsonrpsee::server::RegisterMethodError;
use serde_json::value::RawValue;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.trace("debug_traceCall", &["transaction", "block", "options"], call)
}

fn call(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Box<RawValue>, MethodError> {
    let request = convert::call_request(arguments.required()?, backend.chain.genesis().chain_id())?;
    let number = traced_number(backend, arguments.optional::<BlockId>()?.unwrap_or_default())?;
    let options = overrides::traced_call(arguments)?;
    let GethDebugTracingCallOptions { tracing_options, state_overrides, block_overrides, tx_index } = options;
    if tx_index.is_some() {
        return Err(MethodError::InvalidParams("txIndex is not supported".to_owned()));
    }
    let (options, budget) = bounded(backend, tracing_options)?;
    let overrides =
        Overrides { state: state_overrides.unwrap_or_default(), block: block_overrides.unwrap_or_default() };
    let trace = budget.call(&backend.limits, |limits, bytes| {
        let trace = |calls: &TracedCalls<'_>| trace_call_geth(calls, &request, &overrides, &options, bytes);
        backend.chain.trace_calls(number, limits, trace)
    })?;
    Ok(trace)
}
