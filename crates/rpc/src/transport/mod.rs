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

use crate::dispatch::{Admission, Caller, Dispatcher};
use crate::modules::Namespaces;
use crate::rate::RateLimiter;
use jsonrpsee::server::ConnectionId;
use linger::Linger;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What all connections of a kind of callers share; clones share it.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) dispatcher: Arc<Dispatcher>,
    rate: Option<Arc<RateLimiter>>,
    /// Whether an address leaves memory to others.
    is_shared: bool,
    linger: Linger,
    /// Tells all connections to end.
    pub(crate) stop: CancellationToken,
    /// Counts what has not ended yet.
    pub(crate) tasks: TaskTracker,
    sessions: Arc<AtomicUsize>,
}

impl Shared {
    pub(crate) fn new(dispatcher: Dispatcher) -> Self {
        Self::until(CancellationToken::new(), TaskTracker::new(), dispatcher, true)
    }

    /// For operators, who take nothing of these, and trust each other; the server stops for all.
    pub(crate) fn beside(&self, dispatcher: Dispatcher) -> Self {
        Self::until(self.stop.clone(), self.tasks.clone(), dispatcher, false)
    }

    fn until(stop: CancellationToken, tasks: TaskTracker, dispatcher: Dispatcher, is_shared: bool) -> Self {
        let limits = dispatcher.limits();
        Self {
            rate: limits.calls_per_second.map(|most| Arc::new(RateLimiter::new(most))),
            is_shared,
            linger: Linger::new(limits, stop.clone()),
            dispatcher: Arc::new(dispatcher),
            stop,
            tasks,
            sessions: Arc::default(),
        }
    }

    /// Someone at this address, or who has none.
    fn caller(&self, namespaces: Namespaces, address: Option<IpAddr>) -> Caller {
        let admission: Admission = match (self.rate.clone(), address) {
            (Some(rate), Some(address)) => Box::new(move |calls| rate.admit(address, calls, Instant::now())),
            _ => Box::new(|_| Ok(())),
        };
        let share = self.dispatcher.budget.share(address.filter(|_| self.is_shared));
        Caller { namespaces, admission, share, subscriptions: None }
    }

    fn next_session(&self) -> ConnectionId {
        ConnectionId(self.sessions.fetch_add(1, Ordering::Relaxed))
    }
}
