//! Why a transaction waits, and how far this node is.
//!
//! `heddle_whyPending` (a transaction's hash) answers a machine-readable `reason` with its numbers, and the same as a
//! `sentence`; `heddle_syncState` (no arguments) what of the chain is here and whether the node still catches up.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::obstacle::{self, Obstacle};
use crate::ports::{PeerCounts, SyncProgress};
use crate::registry::Registry;
use alloy_primitives::{B256, TxHash, U64};
use jsonrpsee::server::RegisterMethodError;
use serde::Serialize;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.scan("heddle_whyPending", &["transactionHash"], why_pending)?;
    registry.read("heddle_syncState", &[], sync_state)
}

#[derive(Serialize)]
struct WhyPending {
    hash: TxHash,
    #[serde(flatten)]
    obstacle: Obstacle,
    sentence: String,
}

fn why_pending(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<WhyPending, MethodError> {
    let hash = arguments.hash()?;
    let obstacle = obstacle::of(backend, hash)?;
    let sentence = sentence(&obstacle.to_string());
    Ok(WhyPending { hash, obstacle, sentence })
}

/// A clause with a capital and a full stop.
fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).chain(['.']).collect()
}

/// What of the chain this node has.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SyncState {
    /// Whether it catches up.
    syncing: bool,
    /// How far it is; `null` when it follows the head.
    progress: Option<SyncProgress>,
    head: Head,
    /// How many blocks most peers are ahead.
    lag: U64,
    peers: PeerCounts,
    /// The oldest header, block with receipts, and state that can be asked for.
    headers_from: U64,
    blocks_from: U64,
    states_from: U64,
}

#[derive(Serialize)]
struct Head {
    number: U64,
    hash: B256,
}

fn sync_state(backend: &Backend, _: &mut Arguments<'_>) -> Result<SyncState, MethodError> {
    let (head, report) = (backend.chain.head(), backend.node.report());
    let progress = backend.node.sync_progress();
    Ok(SyncState {
        syncing: progress.is_some(),
        progress,
        head: Head { number: U64::from(head.header.number), hash: head.hash() },
        lag: report.lag,
        peers: report.peers,
        headers_from: U64::from(backend.chain.headers_from()),
        blocks_from: U64::from(backend.chain.blocks_from()),
        states_from: U64::from(backend.chain.states_from()?),
    })
}
