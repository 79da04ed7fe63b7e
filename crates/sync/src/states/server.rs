//! Answers peers that fetch a state, within bounds that keep consensus undisturbed.

use super::budget::{Admission, ServeBudget, ServeConfig};
use super::ports::SnapshotSource;
use crate::{PeerId, ServeError};
use alloy_rlp::Encodable;
use heddle_primitives::{Refusal, Request, Response, STATE_RESPONSE_BYTES};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Serves states, and what they are. Clones share their bounds.
#[derive(Clone)]
pub struct SnapshotServer {
    source: Arc<dyn SnapshotSource>,
    gate: Arc<Gate>,
}

/// Requests of one peer that run or wait at once, as many as one that fetches has in flight: whoever asks more gets no
/// more of the node than the others.
const REQUESTS_PER_PEER_MAX: usize = 2;

/// The budget with a clock, and a bell for those that wait.
struct Gate {
    started: Instant,
    budget: Mutex<ServeBudget>,
    finished: Notify,
    /// Requests of each peer that run or wait.
    guests: Mutex<BTreeMap<PeerId, usize>>,
}

/// A peer's request that runs or waits.
struct Guest {
    gate: Arc<Gate>,
    peer: PeerId,
}

impl Guest {
    /// `None` when the peer has enough of them.
    fn enter(gate: &Arc<Gate>, peer: &PeerId) -> Option<Self> {
        let mut guests = gate.guests.lock();
        let requests = guests.entry(peer.clone()).or_default();
        if *requests >= REQUESTS_PER_PEER_MAX {
            return None;
        }
        *requests += 1;
        Some(Self { gate: Arc::clone(gate), peer: peer.clone() })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut guests = self.gate.guests.lock();
        match guests.get_mut(&self.peer) {
            Some(requests) if *requests > 1 => *requests -= 1,
            _ => _ = guests.remove(&self.peer),
        }
    }
}

/// A request that is being served: what it took is counted however it ends.
struct Running {
    guest: Guest,
    since: Instant,
    bytes: usize,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.guest.gate.finish(self.since.elapsed(), self.bytes);
    }
}

/// A request that waits; it leaves the budget when it is dropped before its turn.
struct Waiting<'a>(Option<&'a Gate>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(gate) = self.0 {
            gate.budget.lock().leave();
        }
    }
}

impl Gate {
    /// Whether a request may start now, or at the end of a bounded wait.
    async fn admit(&self) -> bool {
        let since = self.started.elapsed();
        let mut admission = self.budget.lock().ask(since);
        let mut waiting = Waiting(matches!(admission, Admission::Wait(_)).then_some(self));
        loop {
            match admission {
                Admission::Start | Admission::Refuse => {
                    waiting.0 = None;
                    return admission == Admission::Start;
                }
                Admission::Wait(until) => {
                    let time = until.saturating_sub(self.started.elapsed());
                    let _ = tokio::time::timeout(time, self.finished.notified()).await;
                }
            }
            admission = self.budget.lock().ask_again(self.started.elapsed(), since);
        }
    }

    fn finish(&self, took: Duration, bytes: usize) {
        self.budget.lock().finish(self.started.elapsed(), took, bytes);
        self.finished.notify_one();
    }
}

impl SnapshotServer {
    /// A server of these states within these bounds.
    pub fn new(source: Arc<dyn SnapshotSource>, config: ServeConfig) -> Self {
        let budget = Mutex::new(ServeBudget::new(config));
        let (started, finished, guests) = (Instant::now(), Notify::new(), Mutex::default());
        Self { source, gate: Arc::new(Gate { started, budget, finished, guests }) }
    }

    /// Answers a peer's request about states: what is offered at once; pieces when the bounds allow, off the async
    /// threads. A state that is not there, and any other request, is refused as gone.
    ///
    /// # Errors
    /// [`ServeError::State`] when the database fails, [`ServeError::Interrupted`].
    pub async fn answer(&self, peer: &PeerId, request: Request) -> Result<Response, ServeError> {
        if request == Request::Snapshots {
            return Ok(Response::Snapshots(self.source.offers()));
        }
        let Some(guest) = Guest::enter(&self.gate, peer) else { return Ok(Response::Refused(Refusal::Busy)) };
        if !self.gate.admit().await {
            return Ok(Response::Refused(Refusal::Busy));
        }
        // The work goes on when nobody waits for it any more, and is counted then too.
        let source = Arc::clone(&self.source);
        let answer = tokio::task::spawn_blocking(move || {
            let mut running = Running { guest, since: Instant::now(), bytes: 0 };
            let answer = read(&*source, &request);
            running.bytes = answer.as_ref().map_or(0, Response::length);
            answer
        });
        answer.await.map_err(|error| ServeError::Interrupted(error.to_string()))?
    }
}

fn read(source: &dyn SnapshotSource, request: &Request) -> Result<Response, ServeError> {
    let answer = match request {
        Request::Accounts(request) => source.accounts(request, STATE_RESPONSE_BYTES).map(|a| a.map(Response::Accounts)),
        Request::Storage(request) => source.storage(request, STATE_RESPONSE_BYTES).map(|a| a.map(Response::Storage)),
        Request::Code(request) => source.code(request, STATE_RESPONSE_BYTES).map(|a| a.map(Response::Code)),
        Request::RangeProof(request) => source.range_proof(request).map(|a| a.map(Response::RangeProof)),
        _ => Ok(None),
    };
    Ok(answer.map_err(ServeError::State)?.unwrap_or(Response::Refused(Refusal::Gone)))
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
