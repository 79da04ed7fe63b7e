//! The `debug` namespace: raw objects, and go-ethereum's tracers.

mod calls;
mod options;
mod raw;
mod traces;

use crate::registry::Registry;
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    calls::register(registry)?;
    raw::register(registry)?;
    traces::register(registry)
}
