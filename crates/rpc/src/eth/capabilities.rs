//! `eth_capabilities`: how far back this node can answer, for those who choose between nodes.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_primitives::{B256, U64};
use jsonrpsee::server::RegisterMethodError;
use serde::Serialize;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.read("eth_capabilities", &[], capabilities)
}

#[derive(Serialize)]
struct Capabilities {
    head: Head,
    state: Resource,
    tx: Resource,
    logs: Resource,
    receipts: Resource,
    blocks: Resource,
    stateproofs: Resource,
}

#[derive(Serialize)]
struct Head {
    number: U64,
    hash: B256,
}

/// What can be asked for from a block on.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    disabled: bool,
    oldest_block: U64,
    #[serde(skip_serializing_if = "Option::is_none")]
    delete_strategy: Option<DeleteStrategy>,
}

/// Only the last blocks have it.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeleteStrategy {
    r#type: &'static str,
    retention_blocks: U64,
}

impl DeleteStrategy {
    fn window(blocks: u64) -> Self {
        Self { r#type: "window", retention_blocks: U64::from(blocks) }
    }
}

impl Resource {
    fn since(block: u64) -> Self {
        Self { disabled: false, oldest_block: U64::from(block), delete_strategy: None }
    }

    fn in_window(self, blocks: u64) -> Self {
        Self { delete_strategy: Some(DeleteStrategy::window(blocks)), ..self }
    }
}

fn capabilities(backend: &Backend, _: &mut Arguments<'_>) -> Result<Capabilities, MethodError> {
    let head = backend.chain.head();
    let number = head.header.number;
    let (blocks, states) = (Resource::since(backend.chain.blocks_from()), backend.chain.states_from()?);
    let proofs = backend.limits.proofs.blocks_max;
    Ok(Capabilities {
        head: Head { number: U64::from(number), hash: head.hash() },
        state: Resource::since(states),
        tx: blocks,
        // Logs are never deleted: a window without end. Clients expect to be told, for elsewhere there is one.
        logs: blocks.in_window(u64::MAX),
        receipts: blocks,
        blocks,
        stateproofs: Resource::since(states.max(number.saturating_sub(proofs))).in_window(proofs),
    })
}
