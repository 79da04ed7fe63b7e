//! Running the EVM without a transaction.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert;
use crate::error::MethodError;
use crate::overrides;
use crate::pending::Spot;
use crate::registry::{Names, Registry};
use alloy_primitives::{Bytes, U64};
use heddle_chain::{CallOutcome, CallRequest, CallStatus, Overrides};
use jsonrpsee::server::RegisterMethodError;

/// What every question to the EVM takes.
pub(super) const NAMES: Names = &["transaction", "block", "stateOverrides", "blockOverrides"];

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.execute_or_recall("eth_call", NAMES, short_call, call)?;
    registry.execute("eth_estimateGas", NAMES, estimate_gas)
}

/// A message, the block after which it runs, and what to pretend.
pub(super) struct Question {
    pub(super) request: CallRequest,
    pub(super) spot: Spot,
    pub(super) overrides: Overrides,
}

impl Question {
    pub(super) fn parse(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Self, MethodError> {
        let request = convert::call_request(arguments.required()?, backend.chain.genesis().chain_id())?;
        let spot = backend.spot(arguments.optional()?)?;
        let state = arguments.optional()?.unwrap_or_default();
        let block = overrides::call_block(arguments)?;
        Ok(Self { request, spot, overrides: Overrides { state, block } })
    }
}

/// The output of a successful call after the head that is over in a moment.
fn short_call(backend: &Backend, arguments: &mut Arguments<'_>) -> Option<Bytes> {
    let request = arguments.required().ok()?;
    let head = backend.named_head(arguments.optional().ok()?)?;
    if !arguments.is_empty() {
        return None;
    }
    let request = convert::call_request(request, backend.chain.genesis().chain_id()).ok()?;
    let outcome = backend.limited(|limits| backend.chain.short_call(&head, &request, limits))?;
    (outcome.status == CallStatus::Success).then_some(outcome.output)
}

fn call(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Bytes, MethodError> {
    let Question { request, spot, overrides } = Question::parse(backend, arguments)?;
    let CallOutcome { status, output, .. } =
        backend.limited(|limits| backend.chain.call(spot.place(), &request, &overrides, limits))?;
    match status {
        CallStatus::Success => Ok(output),
        CallStatus::Revert => Err(MethodError::Reverted(output)),
        CallStatus::Halt(reason) => Err(MethodError::Rejected(reason)),
    }
}

fn estimate_gas(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<U64, MethodError> {
    let Question { request, spot, overrides } = Question::parse(backend, arguments)?;
    let gas = backend.limited(|limits| backend.chain.estimate_gas(spot.place(), &request, &overrides, limits))?;
    Ok(U64::from(gas))
}
