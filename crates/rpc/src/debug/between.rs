//! The state between the transactions of a block.

use super::traces::{traced_number, transaction_count};
use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use crate::trace_budget::TraceBudget;
use alloy_eips::BlockId;
use alloy_primitives::{B256, Bytes};
use heddle_chain::{FoundSlot, StorageQuery, StorageRange};
use jsonrpsee::server::RegisterMethodError;
use serde::Serialize;
use std::collections::BTreeMap;

/// Most slots of one answer; it says where to go on.
const SLOTS_MAX: usize = 16_384;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    const STORAGE: &[&str] = &["block", "transactionIndex", "address", "start", "count"];
    registry.trace("debug_storageRangeAt", STORAGE, storage_range)?;
    registry.trace("debug_intermediateRoots", &["blockHash", "options"], roots)
}

/// In go-ethereum's shape.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Range {
    storage: BTreeMap<B256, Slot>,
    next_key: Option<B256>,
}

/// A slot under its hash; the slot itself where it is known.
#[derive(Serialize)]
struct Slot {
    key: Option<B256>,
    value: B256,
}

fn storage_range(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Range, MethodError> {
    let number = traced_number(backend, arguments.required::<BlockId>()?)?;
    let (index, address): (usize, _) = (arguments.required()?, arguments.required()?);
    let start = first_key(&arguments.required::<Bytes>()?)?;
    let limit = arguments.required::<usize>()?.min(SLOTS_MAX);
    let count = transaction_count(backend, number)?;
    if index >= count && index > 0 {
        let message = format!("transaction index {index} out of range: block {number} has {count} transactions");
        return Err(MethodError::Rejected(message));
    }
    let query = StorageQuery { number, index, address, start, limit };
    let budget = TraceBudget::new(&backend.limits);
    let found = budget.run(|bounds| backend.chain.storage_range(&query, &backend.limits.proofs, bounds))?;
    let StorageRange { slots, next } = found;
    let slot = |FoundSlot { slot, value }: FoundSlot| Slot { key: slot.map(B256::from), value: value.into() };
    Ok(Range { storage: slots.into_iter().map(|(hash, found)| (hash, slot(found))).collect(), next_key: next })
}

/// The first hash that begins with these bytes.
fn first_key(prefix: &[u8]) -> Result<B256, MethodError> {
    if prefix.len() > B256::len_bytes() {
        return Err(MethodError::InvalidParams("a key has at most 32 bytes".to_owned()));
    }
    Ok(B256::right_padding_from(prefix))
}

/// The options are go-ethereum's, which say how to find a state that is not there: here it is.
fn roots(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Vec<B256>, MethodError> {
    let hash: B256 = arguments.required()?;
    let number = traced_number(backend, hash.into())?;
    let budget = TraceBudget::new(&backend.limits);
    Ok(budget.run(|bounds| backend.chain.intermediate_roots(number, bounds))?)
}
