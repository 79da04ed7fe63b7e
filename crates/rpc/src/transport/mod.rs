//! How requests come and answers go: HTTP and WebSocket over TCP, and a Unix socket.
//!
//! ```text
//! TCP ───────── accept ── tcp ── stream (times) ── http (access, body) ─────────────┬── dispatch
//!                                                  └── websocket (frames) ── session ┤
//! Unix socket ─ accept ── ipc ── stream ── framing ───────────────────────── session ┘
//! ```

mod accept;
mod access;
mod frames;
mod framing;
mod http;
mod inbox;
mod ipc;
mod linger;
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
use linger::Linger;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What all connections of a kind of callers share; clones share it.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) dispatcher: Arc<Dispatcher>,
    rate: Option<Arc<RateLimiter>>,
    linger: Linger,
    /// Tells all connections to end.
    pub(crate) stop: CancellationToken,
    /// Counts what has not ended yet.
    pub(crate) tasks: TaskTracker,
    sessions: Arc<AtomicUsize>,
}

impl Shared {
    pub(crate) fn new(dispatcher: Dispatcher) -> Self {
        Self::until(CancellationToken::new(), TaskTracker::new(), dispatcher)
    }

    /// For callers of another kind, who take nothing of these; the server stops for all.
    pub(crate) fn beside(&self, dispatcher: Dispatcher) -> Self {
        Self::until(self.stop.clone(), self.tasks.clone(), dispatcher)
    }

    fn until(stop: CancellationToken, tasks: TaskTracker, dispatcher: Dispatcher) -> Self {
        let limits = dispatcher.limits();
        Self {
            rate: limits.calls_per_second.map(|most| Arc::new(RateLimiter::new(most))),
            linger: Linger::new(limits, stop.clone()),
            dispatcher: Arc::new(dispatcher),
            stop,
            tasks,
            sessions: Arc::default(),
        }
    }

    fn next_session(&self) -> ConnectionId {
        ConnectionId(self.sessions.fetch_add(1, Ordering::Relaxed))
    }
}
