//! The loop: feeds the state with what peers answer and the chain commits, and carries out what it decides.

use crate::metrics::{Kind, Outcome, RequestLabels};
use crate::state::{Input, Output, State};
use crate::{
    Chain, CommitError, ImportError, PeerFault, PeerId, Peers, SyncConfig, SyncError, SyncMetrics, SyncStatus,
    can_follow, match_blocks, verify_headers,
};
use alloy_rlp::Encodable;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use heddle_primitives::{CertifiedHeader, LightClient, ProposedBlock, Request, Response, VerifiedHeader};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, info};

/// Time between two lines about how far it has come.
const TELL_INTERVAL: Duration = Duration::from_secs(10);

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
/// at once, except that blocks already given to the chain are the chain's to finish.
pub fn start<C: Chain>(
    config: SyncConfig,
    chain: Arc<C>,
    peers: Arc<dyn Peers>,
    metrics: SyncMetrics,
) -> (SyncHandle, impl Future<Output = SyncError> + Send) {
    let state = State::new(config.clone(), chain.head());
    let (status_out, status) = watch::channel(state.status());
    let handle = SyncHandle { wake: Arc::default(), status };
    let wake = Arc::clone(&handle.wake);
    let (running, told) = (FuturesUnordered::new(), Instant::now());
    let service = Service { config, chain, peers, metrics, state, client: None, status_out, told, running };
    (handle, service.run(wake))
}

/// What a request, a check or an import ends with.
enum Ended<B> {
    Input(Input<B>),
    /// Headers were verified, and led the light client here.
    Verified(PeerId, Box<LightClient>, Result<Vec<VerifiedHeader>, PeerFault>),
}

type Running<B> = BoxFuture<'static, Result<Ended<B>, SyncError>>;

struct Service<C: Chain> {
    config: SyncConfig,
    chain: Arc<C>,
    peers: Arc<dyn Peers>,
    metrics: SyncMetrics,
    state: State<C::Ready>,
    /// Where the last verified headers led; `None` before the first.
    client: Option<LightClient>,
    status_out: watch::Sender<SyncStatus>,
    /// When the operator was told last how far it has come.
    told: Instant,
    /// A few requests a peer, checks of at most `ranges_max` ranges and of one run of headers, and one import: the state
    /// sees to it.
    running: FuturesUnordered<Running<C::Ready>>,
}

impl<C: Chain> Service<C> {
    async fn run(mut self, wake: Arc<Notify>) -> SyncError {
        let started = Instant::now();
        let mut ticks = tokio::time::interval((self.config.status_interval / 4).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let input = tokio::select! {
                _ = ticks.tick() => Input::Tick(self.peers.list()),
                () = wake.notified() => Input::Wake(self.peers.list()),
                Some(ended) = self.running.next() => match ended {
                    Ok(ended) => self.input_of(ended),
                    Err(error) => return error,
                },
            };
            for output in self.state.handle(started.elapsed(), self.chain.head(), input) {
                if let Err(error) = self.carry_out(output) {
                    return error;
                }
            }
            self.show_status();
        }
    }

    fn input_of(&mut self, ended: Ended<C::Ready>) -> Input<C::Ready> {
        match ended {
            Ended::Input(input) => input,
            Ended::Verified(peer, client, result) => {
                self.client = Some(*client);
                self.metrics.headers_verified.inc_by(result.as_ref().map_or(0, |headers| headers.len() as u64));
                Input::Verified(peer, result)
            }
        }
    }

    fn carry_out(&mut self, output: Output<C::Ready>) -> Result<(), SyncError> {
        match output {
            Output::Ask(peer, request) => {
                let (peers, metrics) = (Arc::clone(&self.peers), self.metrics.clone());
                let timeout = self.config.request_timeout;
                self.start(async move { Ok(Ended::Input(ask(&*peers, &metrics, timeout, peer, request).await)) });
            }
            Output::Verify(peer, headers) => {
                let client = self.client_for(&headers)?;
                self.start(verify(peer, client, headers));
            }
            Output::Prepare(peer, from, blocks) => {
                let (chain, metrics) = (Arc::clone(&self.chain), self.metrics.clone());
                self.start(async move {
                    let prepared = spawn_blocking(move || prepare(&*chain, &metrics, blocks)).await;
                    let (blocks, fault) = prepared.map_err(|error| SyncError::Verification(error.to_string()))?;
                    Ok(Ended::Input(Input::Prepared(peer, from, blocks, fault)))
                });
            }
            Output::Import(peer, from, blocks) => {
                let (chain, metrics) = (Arc::clone(&self.chain), self.metrics.clone());
                self.start(async move {
                    let count = blocks.len() as u64;
                    let result = chain.import(blocks).await;
                    let end = result.as_ref().map_or_else(|error| error.height.as_u64(), |()| from.as_u64() + count);
                    metrics.blocks_committed.inc_by(end.saturating_sub(from.as_u64()));
                    Ok(Ended::Input(Input::Imported(peer, from, judge(result)?)))
                });
            }
            Output::Report(peer, fault) => {
                debug!(%peer, %fault, "reporting a peer");
                self.metrics.blame(&fault);
                self.peers.report(&peer, fault);
            }
        }
        Ok(())
    }

    fn start(&self, task: impl Future<Output = Result<Ended<C::Ready>, SyncError>> + Send + 'static) {
        self.running.push(Box::pin(task));
    }

    /// The client that verified last goes on where it can: it may be ahead of the head. The others start at the head.
    fn client_for(&mut self, headers: &[CertifiedHeader]) -> Result<LightClient, SyncError> {
        match self.client.take().filter(|client| can_follow(client, headers)) {
            Some(client) => Ok(client),
            None => self.chain.light_client().map_err(SyncError::Head),
        }
    }

    fn show_status(&mut self) {
        let new = self.state.status();
        self.metrics.show(&new, self.state.fetched());
        let old = self.status_out.send_replace(new);
        match (old.syncing, new.syncing) {
            (false, true) => {
                self.told = Instant::now();
                info!(from = %new.current, to = %new.announced, "catching up with peers");
            }
            (true, false) => info!(from = %old.starting, at = %new.current, "caught up with peers"),
            (true, true) if self.told.elapsed() >= TELL_INTERVAL => {
                self.told = Instant::now();
                info!("{}", describe(&new));
            }
            _ => {}
        }
    }
}

/// How far it has come, for people.
fn describe(status: &SyncStatus) -> String {
    let SyncStatus { current, announced, blocks_per_second, .. } = status;
    let left = status.seconds_left.map(|seconds| format!(", about {seconds} s left")).unwrap_or_default();
    format!("catching up: block {current} of {announced}, {blocks_per_second} blocks/s{left}")
}

/// Asks one peer, and names what came of it.
async fn ask<B>(
    peers: &dyn Peers,
    metrics: &SyncMetrics,
    timeout: Duration,
    peer: PeerId,
    request: Request,
) -> Input<B> {
    let answer = tokio::time::timeout(timeout, peers.request(&peer, request.clone())).await;
    let outcome = match &answer {
        Ok(Ok(Response::Refused(_))) => Outcome::Refused,
        Ok(Ok(_)) => Outcome::Answered,
        Ok(Err(_)) => Outcome::Failed,
        Err(_) => Outcome::TimedOut,
    };
    let kind = request.kind();
    metrics.requests.get_or_create(&RequestLabels { kind: Kind(kind), outcome }).inc();
    debug!(%peer, ?kind, ?outcome, "request ended");
    match (request, answer) {
        (Request::Status, Ok(Ok(Response::Status(status)))) => Input::Status(peer, status),
        (Request::Headers(range), Ok(Ok(Response::Headers(headers)))) => Input::Headers(peer, range, headers),
        (Request::Blocks(range), Ok(Ok(Response::Blocks(blocks)))) => Input::Blocks(peer, range, blocks),
        (request, Ok(Ok(Response::Refused(refusal)))) => Input::Refused(peer, request, refusal),
        (request, Ok(Ok(_))) => Input::Failed(peer, request, Some(PeerFault::WrongAnswer)),
        (request, _) => Input::Failed(peer, request, None),
    }
}

async fn verify<B>(
    peer: PeerId,
    mut client: LightClient,
    headers: Vec<CertifiedHeader>,
) -> Result<Ended<B>, SyncError> {
    let verified = spawn_blocking(move || {
        let result = verify_headers(&mut client, headers);
        (client, result)
    });
    let (client, result) = verified.await.map_err(|error| SyncError::Verification(error.to_string()))?;
    Ok(Ended::Verified(peer, Box::new(client), result))
}

/// Holds blocks against their headers, and lets the chain do what it can ahead.
fn prepare<C: Chain>(
    chain: &C,
    metrics: &SyncMetrics,
    blocks: Vec<(ProposedBlock, VerifiedHeader)>,
) -> (Vec<C::Ready>, Option<PeerFault>) {
    metrics.block_bytes.inc_by(blocks.iter().map(|(block, _)| block.length() as u64).sum());
    let (matched, fault) = match_blocks(blocks);
    let (ready, invalid) = chain.prepare(matched);
    (ready, invalid.map(PeerFault::InvalidBlock).or(fault))
}

/// What the sender of blocks did wrong, if it is to blame for the chain's answer.
fn judge(result: Result<(), ImportError>) -> Result<Option<PeerFault>, SyncError> {
    let Err(ImportError { height, error }) = result else { return Ok(None) };
    match error {
        CommitError::Invalid(reason) => Ok(Some(PeerFault::InvalidBlock(format!("block {height}: {reason}")))),
        CommitError::Stale => Ok(None),
        CommitError::Internal(reason) => Err(SyncError::Commit { height, reason }),
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
