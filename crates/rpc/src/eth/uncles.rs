//! Uncles: blocks of proof of work that almost were. Only imported chains have any.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert::{self, RpcBlock};
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::U64;
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.read("eth_getUncleCountByBlockHash", &["blockHash"], count_by_hash)?;
    registry.read("eth_getUncleCountByBlockNumber", &["block"], count_by_number)?;
    registry.read("eth_getUncleByBlockHashAndIndex", &["blockHash", "index"], by_hash)?;
    registry.read("eth_getUncleByBlockNumberAndIndex", &["block", "index"], by_number)
}

fn count_by_hash(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<U64>, MethodError> {
    count(backend, arguments.hash()?.into())
}

fn count_by_number(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<U64>, MethodError> {
    count(backend, arguments.required::<BlockNumberOrTag>()?.into())
}

fn count(backend: &Backend, id: BlockId) -> Result<Option<U64>, MethodError> {
    Ok(backend.block(id)?.map(|stored| U64::from(stored.block.body.ommers.len())))
}

fn by_hash(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<RpcBlock>, MethodError> {
    let hash = arguments.hash()?;
    uncle(backend, hash.into(), arguments.required()?)
}

fn by_number(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<RpcBlock>, MethodError> {
    let tag: BlockNumberOrTag = arguments.required()?;
    uncle(backend, tag.into(), arguments.required()?)
}

fn uncle(backend: &Backend, id: BlockId, index: U64) -> Result<Option<RpcBlock>, MethodError> {
    let stored = backend.block(id)?;
    Ok(stored
        .and_then(|stored| stored.block.body.ommers.get(index.saturating_to::<usize>()).cloned())
        .map(convert::uncle))
}
