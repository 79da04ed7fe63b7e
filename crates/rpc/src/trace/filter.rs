//! Searching traces by address.

use super::blocks::block_traces;
use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::quantities::{Argument, Shape};
use crate::registry::Registry;
use crate::trace_budget::TraceBudget;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::Address;
use alloy_rpc_types_trace::filter::{TraceFilter, TraceFilterMode};
use jsonrpsee::server::RegisterMethodError;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::ops::RangeInclusive;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.trace("trace_filter", &["filter"], filter)
}

/// What is looked for, and where; all of the chain's head by default.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    from_block: Option<BlockNumberOrTag>,
    to_block: Option<BlockNumberOrTag>,
    from_address: Option<Vec<Address>>,
    to_address: Option<Vec<Address>>,
    #[serde(default)]
    mode: TraceFilterMode,
    after: Option<usize>,
    count: Option<usize>,
}

impl Argument for Wanted {
    const SHAPE: Shape = Shape::Object;
}

fn filter(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Vec<Box<RawValue>>, MethodError> {
    let wanted: Wanted = arguments.required()?;
    let blocks = blocks(backend, &wanted)?;
    let filter = TraceFilter {
        from_address: wanted.from_address.unwrap_or_default(),
        to_address: wanted.to_address.unwrap_or_default(),
        mode: wanted.mode,
        ..TraceFilter::default()
    };
    let (matcher, mut skipped) = (filter.matcher(), wanted.after.unwrap_or(0));
    let (mut found, most) = (Vec::new(), wanted.count.unwrap_or(usize::MAX));
    let mut budget = TraceBudget::new(&backend.limits);
    for number in blocks {
        if found.len() >= most {
            break;
        }
        budget.check()?;
        let traces = block_traces(backend, number, &budget)?;
        for trace in traces.iter().filter(|trace| matcher.matches(&trace.trace)) {
            if skipped > 0 {
                skipped -= 1;
            } else if found.len() < most {
                found.push(budget.json(trace)?);
            }
        }
    }
    Ok(found)
}

/// The blocks to execute, which must not be too many.
fn blocks(backend: &Backend, wanted: &Wanted) -> Result<RangeInclusive<u64>, MethodError> {
    let number = |tag: Option<BlockNumberOrTag>| {
        let tag = tag.unwrap_or_default();
        backend.number_of_tag(tag).ok_or_else(|| MethodError::InvalidParams(format!("block {tag} is beyond the head")))
    };
    let (from, to) = (number(wanted.from_block)?, number(wanted.to_block)?);
    let Some(distance) = to.checked_sub(from) else {
        return Err(MethodError::InvalidParams(format!("fromBlock {from} is after toBlock {to}")));
    };
    let most = backend.limits.trace_blocks;
    if distance >= most {
        let last = from.saturating_add(most.saturating_sub(1));
        let text = format!("more than {most} blocks: try with this block range [{from:#x}, {last:#x}]");
        return Err(MethodError::LimitExceeded(text));
    }
    Ok(from..=to)
}
