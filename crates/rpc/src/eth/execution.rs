//! Running the EVM without a transaction.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert;
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_primitives::{Bytes, U64};
use heddle_chain::CallStatus;
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.execute("eth_call", &["transaction", "block"], call)?;
    registry.execute("eth_estimateGas", &["transaction", "block"], estimate_gas)
}

fn call(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Bytes, MethodError> {
    let request = convert::call_request(arguments.required()?, backend.chain.genesis().chain_id())?;
    let number = backend.state_number(arguments.optional()?)?;
    let outcome = backend.chain.call(number, &request, backend.limits.call_gas)?;
    match outcome.status {
        CallStatus::Success => Ok(outcome.output),
        CallStatus::Revert => Err(MethodError::Reverted(outcome.output)),
        CallStatus::Halt(reason) => Err(MethodError::Rejected(reason)),
    }
}

fn estimate_gas(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<U64, MethodError> {
    let request = convert::call_request(arguments.required()?, backend.chain.genesis().chain_id())?;
    let number = backend.state_number(arguments.optional()?)?;
    Ok(U64::from(backend.chain.estimate_gas(number, &request, backend.limits.call_gas)?))
}
