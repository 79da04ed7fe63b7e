//! Searching logs.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert;
use crate::error::MethodError;
use crate::log_query::LogQuery;
use crate::registry::Registry;
use alloy_eips::BlockNumberOrTag;
use alloy_rpc_types_eth::{FilterBlockOption, Log};
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.scan("eth_getLogs", &["filter"], logs)
}

fn logs(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Vec<Log>, MethodError> {
    search(backend, &arguments.required()?)
}

/// The logs that a query is about.
pub(super) fn search(backend: &Backend, query: &LogQuery) -> Result<Vec<Log>, MethodError> {
    let (from, to) = range(backend, query.blocks()?)?;
    let wanted = query.within(from, to)?;
    let entries = backend.chain.logs(&wanted, backend.limits.logs)?;
    Ok(entries.into_iter().map(convert::log).collect())
}

/// First and last block to search, none beyond the head. Both ends are `latest` by default.
fn range(backend: &Backend, option: FilterBlockOption) -> Result<(u64, u64), MethodError> {
    let (from, to) = match option {
        FilterBlockOption::AtBlockHash(hash) => {
            let number = backend.chain.number_of(hash)?;
            let number = number.ok_or_else(|| MethodError::Rejected("unknown block".to_owned()))?;
            return Ok((number, number));
        }
        FilterBlockOption::Range { from_block, to_block } => (from_block, to_block),
    };
    let head = backend.head_number();
    let number = |tag: Option<BlockNumberOrTag>| match tag {
        Some(BlockNumberOrTag::Number(number)) => number,
        Some(BlockNumberOrTag::Earliest) => backend.chain.blocks_from(),
        _ => head,
    };
    let (from, to) = (number(from), number(to));
    if from > to {
        return Err(MethodError::InvalidParams("invalid block range params".to_owned()));
    }
    if to > head {
        return Err(MethodError::InvalidParams("block range extends beyond current head block".to_owned()));
    }
    Ok((from, to))
}
