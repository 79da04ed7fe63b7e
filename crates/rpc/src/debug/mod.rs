//! The `debug` namespace: raw objects, and go-ethereum's tracers.

mod between;
mod calls;
mod options;
mod raw;
mod traces;
mod witness;

use crate::registry::Registry;
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    between::register(registry)?;
    calls::register(registry)?;
    raw::register(registry)?;
    traces::register(registry)?;
    witness::register(registry)
}
