//! The `ots` namespace: what the Otterscan explorer asks for.

mod blocks;
mod changes;
mod history;
mod search;
mod transactions;

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_eips::BlockId;
use jsonrpsee::server::RegisterMethodError;

/// The version of Otterscan's interface.
const API_LEVEL: u64 = 8;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.memory("ots_getApiLevel", &[], |_, _| Ok(API_LEVEL))?;
    registry.read("ots_hasCode", &["address", "block"], has_code)?;
    blocks::register(registry)?;
    history::register(registry)?;
    search::register(registry)?;
    transactions::register(registry)
}

fn has_code(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<bool, MethodError> {
    let address = arguments.required()?;
    let state = backend.state(arguments.optional::<BlockId>()?)?;
    let account = state.account(address)?;
    Ok(account.is_some_and(|account| account.has_code()))
}
