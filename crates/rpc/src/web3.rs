//! The `web3` namespace: the client itself.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_primitives::{B256, Bytes, keccak256};
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.memory("web3_clientVersion", &[], client_version)?;
    registry.memory("web3_sha3", &["data"], sha3)
}

fn client_version(backend: &Backend, _: &mut Arguments<'_>) -> Result<String, MethodError> {
    Ok(backend.node.client_version())
}

fn sha3(_: &Backend, arguments: &mut Arguments<'_>) -> Result<B256, MethodError> {
    Ok(keccak256(arguments.required::<Bytes>()?))
}
