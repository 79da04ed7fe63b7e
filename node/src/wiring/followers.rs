//! Loops that follow the chain: each ends with its reason.

use crate::adapters::NodeStatusView;
use crate::telemetry::ChainMetrics;
use crate::telemetry::traces::TransactionTraces;
use heddle_chain::{Chain, CommittedBlock, History};
use heddle_consensus::CatchUp;
use heddle_primitives::Height;
use heddle_rpc::NodeStatus;
use heddle_sync::SyncStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

/// Without a block for this long, or twice the wait before an empty block, the operator is told.
const STALL: Duration = Duration::from_secs(30);
/// Least time between two rounds of pruning.
const PRUNE_PAUSE: Duration = Duration::from_secs(1);

/// The next committed block; `None` when the chain is gone. A slow receiver skips to what is still buffered: whoever
/// needs the head reads it from the chain.
async fn next_block(blocks: &mut broadcast::Receiver<Arc<CommittedBlock>>) -> Option<Arc<CommittedBlock>> {
    loop {
        match blocks.recv().await {
            Ok(block) => return Some(block),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}

/// Tells consensus of every new head, whoever committed it.
pub(super) async fn follow_head(chain: Chain, head: watch::Sender<Height>) -> String {
    let mut blocks = chain.subscribe();
    head.send_replace(chain.head().height());
    while next_block(&mut blocks).await.is_some() {
        head.send_replace(chain.head().height());
    }
    "the chain is closed".to_owned()
}

/// Where sync sees this node among its peers, as consensus reads it.
pub(super) fn catch_up(status: SyncStatus) -> CatchUp {
    CatchUp { peers: status.peers, head: status.current, common: status.common }
}

/// Tells consensus where sync sees this node among its peers.
pub(super) async fn follow_sync(mut status: watch::Receiver<SyncStatus>, peers: watch::Sender<CatchUp>) -> String {
    while status.changed().await.is_ok() {
        let status = *status.borrow_and_update();
        peers.send_replace(catch_up(status));
    }
    // Its own task says why.
    std::future::pending().await
}

/// Forgets old states after blocks are committed, beside the commits.
pub(super) async fn prune(chain: Chain, history: History) -> String {
    let mut blocks = chain.subscribe();
    loop {
        let pruned = chain.clone();
        match tokio::task::spawn_blocking(move || pruned.prune_history(history)).await {
            Ok(Ok(step)) if !step.is_done() => continue,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(error) => return error.to_string(),
        }
        // Fast blocks are pruned several at a time: each step waits for the disk.
        tokio::time::sleep(PRUNE_PAUSE).await;
        if next_block(&mut blocks).await.is_none() {
            return "the chain is closed".to_owned();
        }
    }
}

/// Indexes the logs of committed blocks, beside the commits: a database that has no index yet gets one, with half the time
/// of a thread.
pub(super) async fn index_logs(chain: Chain) -> String {
    let mut blocks = chain.subscribe();
    loop {
        let (indexed, started) = (chain.clone(), Instant::now());
        let is_done = match tokio::task::spawn_blocking(move || indexed.index_logs()).await {
            Ok(Ok(is_done)) => is_done,
            Ok(Err(error)) => {
                tracing::error!(%error, "logs are not indexed any more: searches read all blocks; `heddle db check` names what is damaged");
                return std::future::pending().await;
            }
            Err(error) => return error.to_string(),
        };
        tokio::time::sleep(started.elapsed()).await;
        if is_done && next_block(&mut blocks).await.is_none() {
            return "the chain is closed".to_owned();
        }
    }
}

/// Traces the transactions of committed blocks.
pub(super) async fn trace(chain: Chain, traces: TransactionTraces) -> String {
    let mut blocks = chain.subscribe();
    while let Some(committed) = next_block(&mut blocks).await {
        traces.committed(&committed);
    }
    "the chain is closed".to_owned()
}

/// Counts and logs committed blocks, and says when none comes.
pub(super) async fn observe(chain: Chain, status: NodeStatusView, mut metrics: ChainMetrics) -> String {
    let mut blocks = chain.subscribe();
    let mut last_block = Instant::now();
    let idle = chain.genesis().heddle().map(|heddle| heddle.empty_block_time * 2).unwrap_or_default();
    loop {
        match tokio::time::timeout(STALL.max(idle), next_block(&mut blocks)).await {
            Ok(Some(committed)) => {
                metrics.committed(&committed, last_block.elapsed());
                last_block = Instant::now();
                count_parent(chain.clone(), &committed, &mut metrics).await;
                log_block(&committed);
            }
            Ok(None) => return "the chain is closed".to_owned(),
            Err(_) if status.live.is_some() => {
                let (height, peers) = (chain.head().header.number, status.peer_count());
                let seconds = last_block.elapsed().as_secs();
                tracing::warn!(height, peers, seconds, "no block: fewer than two thirds of the validators may be up");
            }
            Err(_) => {}
        }
    }
}

/// With a block its parent's certificate on the chain is known, which may have other signatures than ours.
async fn count_parent(chain: Chain, committed: &CommittedBlock, metrics: &mut ChainMetrics) {
    let parent = committed.header.number.saturating_sub(1);
    let read = move || (chain.certificate(parent), chain.validators(Height::new(parent)));
    // The database's errors end the node elsewhere.
    if let Ok((Ok(Some(certificate)), Ok(validators))) = tokio::task::spawn_blocking(read).await {
        metrics.certified(&certificate, &validators);
    }
}

fn log_block(committed: &CommittedBlock) {
    let header = &committed.header;
    let (transactions, round) = (committed.block.body.transactions.len(), committed.round());
    tracing::info!(number = header.number, hash = %header.seal(), transactions, gas = header.gas_used, %round, "block");
}
