//! The `trace` namespace: Parity's traces.

mod blocks;
mod calls;
mod filter;
mod replay;

use crate::registry::Registry;
use jsonrpsee::server::RegisterMethodError;

pub(crate) use blocks::{block_traces, transaction_traces};

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    blocks::register(registry)?;
    calls::register(registry)?;
    filter::register(registry)?;
    replay::register(registry)
}
