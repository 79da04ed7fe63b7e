//! The `net` namespace: the network as peers see it.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_primitives::U64;
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.memory("net_version", &[], version)?;
    registry.memory("net_peerCount", &[], peer_count)?;
    registry.memory("net_listening", &[], listening)
}

/// The chain id in decimal.
fn version(backend: &Backend, _: &mut Arguments<'_>) -> Result<String, MethodError> {
    Ok(backend.chain.genesis().chain_id().to_string())
}

fn peer_count(backend: &Backend, _: &mut Arguments<'_>) -> Result<U64, MethodError> {
    Ok(U64::from(backend.node.peer_count()))
}

fn listening(backend: &Backend, _: &mut Arguments<'_>) -> Result<bool, MethodError> {
    Ok(backend.node.is_listening())
}
