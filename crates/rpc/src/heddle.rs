//! The `heddle` namespace: what this chain has and other clients do not.

mod membership;
mod pending;
mod status;

pub use status::{ForkIdReport, HeadReport, MempoolReport, StatusReport};

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, U64, U256};
use heddle_chain::{Conflict, Location, Parallelism};
use heddle_primitives::SealedHeader;
use jsonrpsee::server::RegisterMethodError;
use serde::Serialize;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.scan("heddle_blockParallelism", &["block", "withDependencies"], block_parallelism)?;
    membership::register(registry)?;
    pending::register(registry)?;
    status::register(registry)
}

/// How far the transactions of a block could run side by side, and what kept them from it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockParallelism {
    number: U64,
    hash: B256,
    transactions: U64,
    gas_used: U64,
    /// Transactions in the longest chain in which each depends on the one before.
    dependency_depth: U64,
    /// Gas of the dearest such chain.
    critical_path_gas: U64,
    /// The speed-up over one core that dependencies allow: `gasUsed` over `criticalPathGas`, to two decimals.
    parallelism: f64,
    /// Executions that were in vain when this node executed the block; `null` when that was too long ago.
    aborts: Option<U64>,
    /// The locations that most dependencies go through, most first.
    conflicts: Vec<ConflictObject>,
    /// On request: for each transaction the index of the latest one that it depends on.
    #[serde(skip_serializing_if = "Option::is_none")]
    dependencies: Option<Vec<Option<U64>>>,
}

/// A location that transactions of a block depend on each other through.
#[derive(Serialize)]
struct ConflictObject {
    address: Address,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<B256>,
    /// Transactions that read what an earlier one wrote there.
    edges: U64,
}

/// Executes the block again on its parent's state: `null` for a block that is not there, and an error for one whose
/// parent's state is pruned.
fn block_parallelism(
    backend: &Backend,
    arguments: &mut Arguments<'_>,
) -> Result<Option<BlockParallelism>, MethodError> {
    let id: BlockId = arguments.required()?;
    let with_dependencies: Option<bool> = arguments.optional()?;
    let Some(number) = backend.number_of(id)? else { return Ok(None) };
    let Some(header) = backend.chain.header(number)? else { return Ok(None) };
    let found = backend.chain.parallelism(number)?;
    let aborts = backend.chain.timings(number).map(|timings| U64::from(timings.aborts));
    Ok(Some(answer(&header, found, aborts, with_dependencies.unwrap_or_default())))
}

fn answer(header: &SealedHeader, found: Parallelism, aborts: Option<U64>, with_dependencies: bool) -> BlockParallelism {
    let index = |dependency: Option<usize>| dependency.map(quantity);
    BlockParallelism {
        number: U64::from(header.number),
        hash: header.seal(),
        transactions: quantity(found.dependencies.len()),
        gas_used: U64::from(found.gas_used),
        dependency_depth: quantity(found.depth),
        critical_path_gas: U64::from(found.critical_path_gas),
        parallelism: found.speedup_hundredths() as f64 / 100.0,
        aborts,
        conflicts: found.conflicts.into_iter().map(conflict).collect(),
        dependencies: with_dependencies.then(|| found.dependencies.into_iter().map(index).collect()),
    }
}

fn conflict(conflict: Conflict) -> ConflictObject {
    let (address, kind, slot): (_, _, Option<U256>) = match conflict.location {
        Location::Balance(address) => (address, "balance", None),
        Location::Nonce(address) => (address, "nonce", None),
        Location::Code(address) => (address, "code", None),
        Location::Storage(address, slot) => (address, "storage", Some(slot)),
    };
    ConflictObject { address, kind, slot: slot.map(B256::from), edges: quantity(conflict.edges) }
}

fn quantity(count: usize) -> U64 {
    U64::from(count as u64)
}
