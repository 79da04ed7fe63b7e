//! Answers peers that fetch a state, within bounds that keep consensus undisturbed.

use super::budget::{Admission, ServeBudget, ServeConfig};
use super::ports::SnapshotSource;
use crate::ServeError;
use alloy_rlp::Encodable;
use heddle_primitives::{Refusal, Request, Response, STATE_RESPONSE_BYTES};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Serves states, and what they are. Clones share their bounds.
#[derive(Clone)]
pub struct SnapshotServer {
    source: Arc<dyn SnapshotSource>,
    gate: Arc<Gate>,
}

/// The budget with a clock, and a bell for those that wait.
struct Gate {
    started: Instant,
    budget: Mutex<ServeBudget>,
    finished: Notify,
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
        Self { source, gate: Arc::new(Gate { started: Instant::now(), budget, finished: Notify::new() }) }
    }

    /// Answers a request about states: what is offered at once; pieces when the bounds allow, off the async threads. A
    /// state that is not there, and any other request, is refused as gone.
    ///
    /// # Errors
    /// [`ServeError::State`] when the database fails, [`ServeError::Interrupted`].
    pub async fn answer(&self, request: Request) -> Result<Response, ServeError> {
        if request == Request::Snapshots {
            return Ok(Response::Snapshots(self.source.offers()));
        }
        if !self.gate.admit().await {
            return Ok(Response::Refused(Refusal::Busy));
        }
        // The work goes on when nobody waits for it any more, and is counted then too.
        let (source, gate) = (Arc::clone(&self.source), Arc::clone(&self.gate));
        let answer = tokio::task::spawn_blocking(move || {
            let started = Instant::now();
            let answer = read(&*source, &request);
            gate.finish(started.elapsed(), answer.as_ref().map_or(0, Response::length));
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
