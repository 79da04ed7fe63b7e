//! The `eth` namespace.

mod access_list;
mod accounts;
mod blocks;
mod by_nonce;
mod capabilities;
mod execution;
mod fees;
mod filters;
mod fork_config;
pub(crate) mod headers;
mod logs;
mod proofs;
pub(crate) mod raw_transactions;
mod send_sync;
mod signing;
mod simulate;
mod state;
mod status;
mod subscriptions;
mod transactions;
mod uncles;

pub(crate) use fees::TipSamples;
pub(crate) use subscriptions::Listener;

use crate::registry::Registry;
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    access_list::register(registry)?;
    status::register(registry)?;
    accounts::register(registry)?;
    blocks::register(registry)?;
    by_nonce::register(registry)?;
    capabilities::register(registry)?;
    execution::register(registry)?;
    fees::register(registry)?;
    filters::register(registry)?;
    fork_config::register(registry)?;
    headers::register(registry)?;
    logs::register(registry)?;
    proofs::register(registry)?;
    simulate::register(registry)?;
    raw_transactions::register(registry)?;
    send_sync::register(registry)?;
    signing::register(registry)?;
    state::register(registry)?;
    subscriptions::register(registry)?;
    transactions::register(registry)?;
    uncles::register(registry)
}
