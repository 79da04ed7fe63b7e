//! How requests come and answers go: HTTP and WebSocket over TCP, and a Unix socket.
//!
//! ```text
//! TCP ── tcp (connections) ── stream (times) ── http (access, body) ──────────────┬── dispatch
//!                                                └── websocket (frames) ── session ┤
//! Unix socket ── ipc (framing) ──────────────────────────────────────── session ──┘
//! ```

mod access;
mod frames;
mod framing;
mod http;
mod inbox;
mod ipc;
mod session;
mod stream;
mod tcp;
mod websocket;

pub(crate) use access::{Access, Proxies};
pub(crate) use ipc::IpcSocket;
pub(crate) use tcp::TcpDoor;

use crate::dispatch::Dispatcher;
use crate::rate::RateLimiter;
use jsonrpsee::server::ConnectionId;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Before trying again after a connection could not be accepted: descriptors ran out, for now.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all connections share; clones share it.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) dispatcher: Arc<Dispatcher>,
    rate: Option<Arc<RateLimiter>>,
    /// Tells all connections to end.
    pub(crate) stop: CancellationToken,
    /// Counts what has not ended yet.
    pub(crate) tasks: TaskTracker,
    sessions: Arc<AtomicUsize>,
}

impl Shared {
    pub(crate) fn new(dispatcher: Dispatcher) -> Self {
        let limits = dispatcher.limits();
        Self {
            rate: limits.calls_per_second.map(|most| Arc::new(RateLimiter::new(most))),
            dispatcher: Arc::new(dispatcher),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            sessions: Arc::default(),
        }
    }

    fn next_session(&self) -> ConnectionId {
        ConnectionId(self.sessions.fetch_add(1, Ordering::Relaxed))
    }
}

/// Places for the connections of one door: whoever fills one does not shut the others.
fn places(shared: &Shared) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(shared.dispatcher.limits().connections as usize))
}

/// Waits after an error of `accept`; the next may be accepted all the same.
async fn pause_accepting(error: io::Error) {
    tracing::debug!(%error, "connection not accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
