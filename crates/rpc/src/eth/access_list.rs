//! `eth_createAccessList`.

use super::execution::{NAMES, Question};
use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_eips::eip2930::AccessListResult;
use alloy_primitives::U256;
use heddle_chain::CallStatus;
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.execute("eth_createAccessList", NAMES, create)
}

fn create(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<AccessListResult, MethodError> {
    let Question { request, spot, overrides } = Question::parse(backend, arguments)?;
    let (access_list, outcome) =
        backend.limited(|limits| backend.chain.create_access_list(spot.place(), &request, &overrides, limits))?;
    let error = match outcome.status {
        CallStatus::Success => None,
        CallStatus::Revert => Some("execution reverted".to_owned()),
        CallStatus::Halt(reason) => Some(reason),
    };
    Ok(AccessListResult { access_list, gas_used: U256::from(outcome.gas_used), error })
}
