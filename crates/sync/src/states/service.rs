//! The loop: feeds the core with what peers answer and the target stores, and carries out what it decides.

use super::config::StateSyncConfig;
use super::core::{Input, Output, Piece, Stage, StateSync, SyncedBase};
use super::fault::Outcome;
use super::metrics::StateSyncMetrics;
use super::pace::Pace;
use super::ports::{PieceRefusal, StateProgress, StateTarget};
use crate::{PeerId, Peers};
use alloy_rlp::Encodable;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use heddle_primitives::{Genesis, Height, Pivot, Request};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, info};

/// How often the core looks around.
const TICK: Duration = Duration::from_millis(250);
/// How often the progress is measured, and how often it is logged.
const MEASURE: Duration = Duration::from_secs(1);
const LOG: Duration = Duration::from_secs(10);
/// Pieces that are verified at the same time.
const ACCEPTED_AT_ONCE: usize = 2;

/// Where fetching a state stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateSyncStatus {
    /// What is being done.
    pub stage: Stage,
    /// Height of the state that is fetched.
    pub pivot: Option<Height>,
    /// How much of it is there.
    pub progress: StateProgress,
    /// Bytes a second that come in.
    pub bytes_per_second: u64,
    /// Seconds until all accounts are there, if it goes on like this.
    pub seconds_left: Option<u64>,
}

/// Ours: fetching a state failed, and nothing of it is the chain's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StateSyncError {
    /// A chain without validators has nobody to certify a state.
    #[error("the genesis names no validators, so nobody certifies a state")]
    NoValidators,
    /// The disk, or the state is not what was verified.
    #[error("cannot {what} the state: {reason}")]
    Target {
        /// What was tried: "plan", "store", "measure" or "adopt".
        what: &'static str,
        /// The target's words.
        reason: String,
    },
    /// A task that blocks died.
    #[error("fetching the state was interrupted: {0}")]
    Interrupted(String),
}

/// Fetches a state, and gives it to the chain. `status` shows where it stands. Dropping the future ends it; what is
/// stored then is there for the next call.
///
/// # Errors
/// See [`StateSyncError`].
pub async fn fetch_state(
    config: StateSyncConfig,
    genesis: &Genesis,
    target: Arc<dyn StateTarget>,
    peers: Arc<dyn Peers>,
    metrics: StateSyncMetrics,
    status: watch::Sender<StateSyncStatus>,
) -> Result<Outcome, StateSyncError> {
    let core = StateSync::new(config.clone(), genesis).ok_or(StateSyncError::NoValidators)?;
    let accepting = Arc::new(Semaphore::new(ACCEPTED_AT_ONCE));
    let (started, running) = (Instant::now(), FuturesUnordered::new());
    let ports = Ports { target, peers, metrics, accepting, timeout: config.request_timeout };
    let service = Service { ports, status, started, running, pace: Pace::default(), logged_at: Duration::ZERO };
    service.run(core).await
}

/// What a request or a call of the target ends with: the next input.
type Running = BoxFuture<'static, Result<Input, StateSyncError>>;

/// The world outside.
#[derive(Clone)]
struct Ports {
    target: Arc<dyn StateTarget>,
    peers: Arc<dyn Peers>,
    metrics: StateSyncMetrics,
    accepting: Arc<Semaphore>,
    timeout: Duration,
}

struct Service {
    ports: Ports,
    status: watch::Sender<StateSyncStatus>,
    started: Instant,
    /// A request for offers and one for headers a peer, and those for pieces that the configuration allows.
    running: FuturesUnordered<Running>,
    pace: Pace,
    logged_at: Duration,
}

impl Service {
    async fn run(mut self, mut core: StateSync) -> Result<Outcome, StateSyncError> {
        let mut ticks = interval(TICK);
        let mut measures = interval(MEASURE);
        loop {
            let input = tokio::select! {
                _ = ticks.tick() => Input::Tick(self.ports.peers.list()),
                Some(ended) = self.running.next() => ended?,
                _ = measures.tick() => {
                    self.measure(&core).await?;
                    continue;
                }
            };
            let now = self.started.elapsed();
            let (returned, outputs) = blocking(move || {
                let outputs = core.handle(now, input);
                (core, outputs)
            })
            .await?;
            core = returned;
            for output in outputs {
                if let Output::End(outcome) = output {
                    self.measure(&core).await?;
                    return Ok(outcome);
                }
                self.carry_out(output);
            }
        }
    }

    fn carry_out(&mut self, output: Output) {
        let ports = self.ports.clone();
        match output {
            Output::Ask(id, peer, request) => self.running.push(Box::pin(async move {
                Ok(match ports.ask(&peer, request).await {
                    Some(response) => Input::Answered(id, response),
                    None => Input::Failed(id),
                })
            })),
            Output::Plan(pivot) => {
                info!(height = %pivot.height, state_root = %pivot.state_root, "fetching the state");
                self.running.push(Box::pin(ports.plan(pivot)));
            }
            Output::Accept(piece) => self.running.push(Box::pin(ports.accept(piece))),
            Output::Finish(base) => self.running.push(Box::pin(ports.finish(*base))),
            Output::Report(peer, fault) => {
                debug!(%peer, %fault, "reporting a peer");
                ports.metrics.peer_faults.inc();
                ports.peers.report(&peer, fault);
            }
            Output::End(_) => {}
        }
    }

    async fn measure(&mut self, core: &StateSync) -> Result<(), StateSyncError> {
        let target = Arc::clone(&self.ports.target);
        let progress = blocking(move || target.progress()).await?.map_err(failed("measure"))?;
        let now = self.started.elapsed();
        self.pace.note(now, progress);
        let (bytes_per_second, seconds_left) = self.pace.estimate();
        let (stage, pivot) = (core.stage(), core.pivot_height());
        let status = StateSyncStatus { stage, pivot, progress, bytes_per_second, seconds_left };
        self.ports.metrics.show(&status);
        self.status.send_replace(status);
        if now >= self.logged_at + LOG {
            self.logged_at = now;
            log(&status);
        }
        Ok(())
    }
}

fn log(status: &StateSyncStatus) {
    let StateProgress { covered, accounts, slots, .. } = status.progress;
    let percent = format!("{}.{}", covered / 10_000, covered / 1_000 % 10);
    info!(
        stage = ?status.stage, pivot = status.pivot.map(Height::as_u64), percent, accounts, slots,
        kib_per_second = status.bytes_per_second >> 10, seconds_left = status.seconds_left, "state sync"
    );
}

impl Ports {
    async fn ask(&self, peer: &PeerId, request: Request) -> Option<heddle_primitives::Response> {
        let kind = request.kind();
        let answer = tokio::time::timeout(self.timeout, self.peers.request(peer, request)).await;
        let answer = answer.ok().and_then(Result::ok);
        if answer.is_none() {
            debug!(%peer, ?kind, "no answer");
            self.metrics.failures.inc();
        }
        answer
    }

    async fn plan(self, pivot: Pivot) -> Result<Input, StateSyncError> {
        blocking(move || self.target.plan(pivot)).await?.map(Input::Planned).map_err(failed("plan"))
    }

    async fn accept(self, piece: Piece) -> Result<Input, StateSyncError> {
        let permit = self.accepting.acquire_owned().await;
        let _permit = permit.map_err(|error| StateSyncError::Interrupted(error.to_string()))?;
        let Self { target, metrics, .. } = self;
        blocking(move || {
            let Piece { id, pivot, task, response, .. } = piece;
            match target.accept(pivot, &task, &response) {
                Ok(following) => {
                    metrics.pieces.inc();
                    metrics.response_bytes.inc_by(response.length() as u64);
                    Ok(Input::Accepted(id, following))
                }
                Err(PieceRefusal::Peer(reason)) => Ok(Input::Refuted(id, reason)),
                Err(PieceRefusal::Ours(reason)) => Err(failed("store")(reason)),
            }
        })
        .await?
    }

    async fn finish(self, base: SyncedBase) -> Result<Input, StateSyncError> {
        blocking(move || self.target.finish(base)).await?.map(|()| Input::Finished).map_err(failed("adopt"))
    }
}

fn failed(what: &'static str) -> impl FnOnce(String) -> StateSyncError {
    move |reason| StateSyncError::Target { what, reason }
}

fn interval(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StateSyncError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StateSyncError::Interrupted(error.to_string()))
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
