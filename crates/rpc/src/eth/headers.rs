//! Headers without their blocks.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert;
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_rpc_types_eth::Header;
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.read("eth_getHeaderByNumber", &["block"], by_number)?;
    registry.read("eth_getHeaderByHash", &["blockHash"], by_hash)
}

pub(crate) fn by_number(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<Header>, MethodError> {
    find(backend, arguments.required::<BlockNumberOrTag>()?.into())
}

pub(crate) fn by_hash(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<Header>, MethodError> {
    find(backend, arguments.hash()?.into())
}

fn find(backend: &Backend, id: BlockId) -> Result<Option<Header>, MethodError> {
    let Some(number) = backend.number_of(id)? else { return Ok(None) };
    Ok(backend.chain.header(number)?.as_ref().map(convert::header))
}
