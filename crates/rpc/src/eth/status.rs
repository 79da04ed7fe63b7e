//! Where the chain and this node stand.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_primitives::{U64, U256};
use alloy_rpc_types_eth::{SyncInfo, SyncStatus};
use jsonrpsee::server::RegisterMethodError;

/// What the whole of a state is when its progress is told.
const STATE_PARTS: u32 = 1_000_000;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.memory("eth_chainId", &[], chain_id)?;
    registry.memory("eth_blockNumber", &[], block_number)?;
    registry.memory("eth_syncing", &[], syncing)
}

fn chain_id(backend: &Backend, _: &mut Arguments<'_>) -> Result<U64, MethodError> {
    Ok(U64::from(backend.chain.genesis().chain_id()))
}

fn block_number(backend: &Backend, _: &mut Arguments<'_>) -> Result<U64, MethodError> {
    Ok(U64::from(backend.head_number()))
}

/// `false`, or where the node is between the block it began at and the highest that peers report.
fn syncing(backend: &Backend, _: &mut Arguments<'_>) -> Result<SyncStatus, MethodError> {
    Ok(backend.node.sync_progress().map_or(SyncStatus::None, |progress| {
        SyncStatus::Info(Box::new(SyncInfo {
            starting_block: U256::from(progress.starting),
            current_block: U256::from(progress.current),
            highest_block: U256::from(progress.highest),
            warp_chunks_amount: progress.state.map(|_| U256::from(STATE_PARTS)),
            warp_chunks_processed: progress.state.map(U256::from),
            ..SyncInfo::default()
        }))
    }))
}
