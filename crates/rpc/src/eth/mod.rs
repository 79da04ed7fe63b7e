//! The `eth` namespace.

mod accounts;
mod blocks;
mod execution;
mod fees;
mod logs;
mod proofs;
mod state;
mod status;
mod subscriptions;
mod transactions;

pub(crate) use fees::TipSamples;

use crate::registry::Registry;
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    status::register(registry)?;
    accounts::register(registry)?;
    blocks::register(registry)?;
    execution::register(registry)?;
    fees::register(registry)?;
    logs::register(registry)?;
    proofs::register(registry)?;
    state::register(registry)?;
    subscriptions::register(registry)?;
    transactions::register(registry)
}
