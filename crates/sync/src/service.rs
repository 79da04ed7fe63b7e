//! The loop: feeds the state with what peers answer and the chain commits, and carries out what it decides.

use crate::metrics::{Outcome, RequestLabels};
use crate::state::{Input, Output, State};
use crate::{Chain, CommitError, PeerFault, PeerId, Peers, SyncConfig, SyncError, SyncMetrics, SyncStatus};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use heddle_primitives::{
    AccessListMismatch, CertifiedBlock, CertifiedBlockError, FinalizedBlock, Height, Request, Response, SigningContext,
    ValidatorSet,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, info};

/// Wakes the loop and shows where it is.
#[derive(Clone, Debug)]
pub struct SyncHandle {
    wake: Arc<Notify>,
    status: watch::Receiver<SyncStatus>,
}

impl SyncHandle {
    /// Polls peers now instead of at the next interval: for when a peer connects, or consensus hears of a future
    /// height. Never blocks; many calls are as good as one.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Where the node is now.
    pub fn status(&self) -> SyncStatus {
        *self.status.borrow()
    }

    /// Follows where the node is.
    pub fn subscribe(&self) -> watch::Receiver<SyncStatus> {
        self.status.clone()
    }
}

/// Makes the loop and its handle. The loop runs when polled and ends only with an error of ours; dropping it ends it
/// at once, except that a commit already given to the chain is the chain's to finish.
pub fn start(
    config: SyncConfig,
    context: SigningContext,
    chain: Arc<dyn Chain>,
    peers: Arc<dyn Peers>,
    metrics: SyncMetrics,
) -> (SyncHandle, impl Future<Output = SyncError> + Send) {
    let state = State::new(config.clone(), chain.head());
    let (status_out, status) = watch::channel(state.status());
    let handle = SyncHandle { wake: Arc::default(), status };
    let wake = Arc::clone(&handle.wake);
    let running = FuturesUnordered::new();
    let service = Service { config, context, chain, peers, metrics, state, status_out, running };
    (handle, service.run(wake))
}

/// What a request or an import ends with: the next input.
type Running = BoxFuture<'static, Result<Input, SyncError>>;

struct Service {
    config: SyncConfig,
    context: SigningContext,
    chain: Arc<dyn Chain>,
    peers: Arc<dyn Peers>,
    metrics: SyncMetrics,
    state: State,
    status_out: watch::Sender<SyncStatus>,
    /// At most one status request a peer, `ranges_max` requests for blocks and one import: the state sees to it.
    running: FuturesUnordered<Running>,
}

impl Service {
    async fn run(mut self, wake: Arc<Notify>) -> SyncError {
        let started = Instant::now();
        let mut ticks = tokio::time::interval((self.config.status_interval / 4).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let input = tokio::select! {
                _ = ticks.tick() => Input::Tick(self.peers.list()),
                () = wake.notified() => Input::Wake(self.peers.list()),
                Some(ended) = self.running.next() => match ended {
                    Ok(input) => input,
                    Err(error) => return error,
                },
            };
            let outputs = self.state.handle(started.elapsed(), self.chain.head(), input);
            outputs.into_iter().for_each(|output| self.carry_out(output));
            self.show_status();
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Ask(peer, request) => {
                let (peers, metrics) = (Arc::clone(&self.peers), self.metrics.clone());
                let timeout = self.config.request_timeout;
                self.running.push(Box::pin(async move { Ok(ask(&*peers, &metrics, timeout, peer, request).await) }));
            }
            Output::Import(peer, from, blocks) => {
                let (chain, metrics, context) = (Arc::clone(&self.chain), self.metrics.clone(), self.context);
                self.running.push(Box::pin(async move {
                    let fault = import(&*chain, &metrics, context, blocks).await?;
                    Ok(Input::Imported(peer, from, fault))
                }));
            }
            Output::Report(peer, fault) => {
                debug!(%peer, %fault, "reporting a peer");
                self.metrics.peer_faults.inc();
                self.peers.report(&peer, fault);
            }
        }
    }

    fn show_status(&self) {
        let new = self.state.status();
        self.metrics.highest.set(i64::try_from(new.highest.as_u64()).unwrap_or(i64::MAX));
        let old = self.status_out.send_replace(new);
        match (old.syncing, new.syncing) {
            (false, true) => info!(from = %new.current, to = %new.highest, "catching up with peers"),
            (true, false) => info!(from = %old.starting, at = %new.current, "caught up with peers"),
            _ => {}
        }
    }
}

/// Asks one peer, and names what came of it.
async fn ask(peers: &dyn Peers, metrics: &SyncMetrics, timeout: Duration, peer: PeerId, request: Request) -> Input {
    let answer = tokio::time::timeout(timeout, peers.request(&peer, request.clone())).await;
    let outcome = match &answer {
        Ok(Ok(_)) => Outcome::Answered,
        Ok(Err(_)) => Outcome::Failed,
        Err(_) => Outcome::TimedOut,
    };
    let kind = (&request).into();
    metrics.requests.get_or_create(&RequestLabels { kind, outcome }).inc();
    debug!(%peer, ?kind, ?outcome, "request ended");
    match (request, answer) {
        (Request::Status, Ok(Ok(Response::Status(status)))) => Input::Status(peer, status),
        (Request::Blocks(range), Ok(Ok(Response::Blocks(blocks)))) => Input::Blocks(peer, range, blocks),
        (request, Ok(Ok(_))) => Input::Failed(peer, request, Some(PeerFault::WrongAnswer)),
        (request, _) => Input::Failed(peer, request, None),
    }
}

/// Verifies and commits consecutive blocks, one by one: the validators of a height are known when its parent is
/// committed. Returns what the sender did wrong, if anything; a wrong access list does not end it.
async fn import(
    chain: &dyn Chain,
    metrics: &SyncMetrics,
    context: SigningContext,
    blocks: Vec<FinalizedBlock>,
) -> Result<Option<PeerFault>, SyncError> {
    let mut wrong_list = None;
    for block in blocks {
        let height = Height::new(block.proposed.block.header.number);
        if height <= chain.head() {
            continue;
        }
        let validators = match chain.validators(height) {
            Ok(validators) => validators,
            Err(error) => match judge(height, error)? {
                Some(fault) => return Ok(Some(fault)),
                None => continue,
            },
        };
        let verified = tokio::task::spawn_blocking(move || verify(block, &validators, &context)).await;
        let (verified, mismatch) =
            verified.map_err(|error| SyncError::Verification { height, reason: error.to_string() })?;
        wrong_list = wrong_list.or(mismatch.map(|mismatch| PeerFault::WrongAccessList(height, mismatch)));
        let block = match verified {
            Ok(block) => block,
            Err(error) => return Ok(Some(PeerFault::InvalidBlock(format!("block {height}: {error}")))),
        };
        match chain.commit(block).await {
            Ok(()) => _ = metrics.blocks_committed.inc(),
            Err(error) => {
                if let Some(fault) = judge(height, error)? {
                    return Ok(Some(fault));
                }
            }
        }
    }
    Ok(wrong_list)
}

/// What the sender of a block did wrong, if it is to blame for the chain's answer.
fn judge(height: Height, error: CommitError) -> Result<Option<PeerFault>, SyncError> {
    match error {
        CommitError::Stale => Ok(None),
        CommitError::Invalid(reason) => Ok(Some(PeerFault::InvalidBlock(format!("block {height}: {reason}")))),
        CommitError::Internal(reason) => Err(SyncError::Commit { height, reason }),
    }
}

/// Checks a block's certificate, and drops an access list that is not the block's: what is wrong with it comes beside.
pub fn verify(
    mut block: FinalizedBlock,
    validators: &ValidatorSet,
    context: &SigningContext,
) -> (Result<CertifiedBlock, CertifiedBlockError>, Option<AccessListMismatch>) {
    let mismatch = block.proposed.check_access_list().err();
    if mismatch.is_some() {
        block.proposed.access_list = None;
    }
    (CertifiedBlock::verify(block, validators, context), mismatch)
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
