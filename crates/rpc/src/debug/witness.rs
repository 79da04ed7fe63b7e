//! What it takes to execute a block without the state before it.

use super::traces::traced_number;
use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use crate::trace_budget::TraceBudget;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, Bytes};
use heddle_chain::Witness;
use jsonrpsee::server::RegisterMethodError;
use serde::Serialize;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.trace("debug_executionWitness", &["block"], by_number)?;
    registry.trace("debug_executionWitnessByBlockHash", &["blockHash"], by_hash)
}

/// In the shape that stateless clients read.
#[derive(Serialize)]
struct ExecutionWitness {
    state: Vec<Bytes>,
    codes: Vec<Bytes>,
    keys: Vec<Bytes>,
    headers: Vec<Bytes>,
}

fn by_number(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<ExecutionWitness, MethodError> {
    witness(backend, arguments.required::<BlockNumberOrTag>()?.into())
}

fn by_hash(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<ExecutionWitness, MethodError> {
    witness(backend, arguments.required::<B256>()?.into())
}

fn witness(backend: &Backend, id: BlockId) -> Result<ExecutionWitness, MethodError> {
    let number = traced_number(backend, id)?;
    let budget = TraceBudget::new(&backend.limits);
    let found = budget.run(|bounds| backend.chain.witness(number, &backend.limits.proofs, bounds))?;
    let Witness { nodes: state, codes, keys, headers } = found;
    Ok(ExecutionWitness { state, codes, keys, headers })
}
