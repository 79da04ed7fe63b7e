//! `eth_subscribe`: new heads, logs, pending transactions and the state of syncing, pushed over a WebSocket or the Unix
//! socket.
//!
//! Events wait, shared by all, in the bounded buffers of chain and mempool. A client that is too slow for them is told so,
//! and subscribes again: it would otherwise miss some without knowing.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::budget::{Reservation, Share};
use crate::convert;
use crate::error::MethodError;
use crate::log_query::LogQuery;
use crate::metrics::Limit;
use crate::registry::{Registry, code};
use crate::{RpcMetrics, SyncProgress};
use alloy_primitives::U64;
use heddle_chain::LogMatcher;
use jsonrpsee::core::SubscriptionError;
use jsonrpsee::server::{PendingSubscriptionSink, RegisterMethodError, SubscriptionSink};
use jsonrpsee::types::Params;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::{Semaphore, SemaphorePermit};

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.eth_subscription(serve)
}

/// Who subscribes: one connection.
#[derive(Clone, Default)]
pub(crate) struct Listener {
    /// Where what its subscriptions look for is held.
    share: Share,
    turn: Turn,
}

impl Listener {
    pub(crate) fn new(share: Share) -> Self {
        Self { share, turn: Turn::default() }
    }
}

/// The turn of a connection's subscriptions to make messages: of all that one client does not read, one has some in memory.
#[derive(Clone)]
struct Turn(Arc<Semaphore>);

impl Turn {
    async fn begin(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.0.acquire().await.ok()
    }
}

impl Default for Turn {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

/// Bytes of memory of an address or a topic that is looked for, and of its hash, in tables that are half empty.
const ALTERNATIVE_BYTES: usize = 128;
/// Messages of one event that are made at a time.
const MESSAGES_AT_A_TIME: usize = 64;

/// What is subscribed to.
enum Kind {
    NewHeads,
    Logs(LogMatcher, Reservation),
    NewPendingTransactions { full: bool },
    Syncing,
}

/// How often it is looked whether the node is syncing.
const SYNCING_INTERVAL: Duration = Duration::from_secs(1);

/// What a client of `syncing` is told, as go-ethereum does.
#[derive(Clone, Serialize)]
#[serde(untagged)]
enum SyncingNews {
    Syncing { syncing: bool, status: SyncStatus },
    NotSyncing(bool),
}

/// Numbers of blocks.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct SyncStatus {
    starting_block: U64,
    current_block: U64,
    highest_block: U64,
}

impl From<Option<SyncProgress>> for SyncingNews {
    fn from(progress: Option<SyncProgress>) -> Self {
        let Some(SyncProgress { starting, current, highest, .. }) = progress else { return Self::NotSyncing(false) };
        let (starting_block, current_block) = (U64::from(starting), U64::from(current));
        let status = SyncStatus { starting_block, current_block, highest_block: U64::from(highest) };
        Self::Syncing { syncing: true, status }
    }
}

fn parse(params: &Params<'_>, share: &Share, metrics: &RpcMetrics) -> Result<Kind, MethodError> {
    let mut arguments = Arguments::parse(params, &["subscription", "options"])?;
    let name: String = arguments.required()?;
    match name.as_str() {
        "newHeads" => Ok(Kind::NewHeads),
        "logs" => {
            let query: LogQuery = arguments.optional()?.unwrap_or_default();
            query.blocks()?;
            let (wanted, mut held) = (query.within(0, u64::MAX)?, share.reservation());
            if !held.covers(wanted.alternatives() * ALTERNATIVE_BYTES) {
                metrics.count_refused(Limit::BufferedBytes);
                return Err(MethodError::Busy);
            }
            Ok(Kind::Logs(wanted.into(), held))
        }
        "newPendingTransactions" => {
            Ok(Kind::NewPendingTransactions { full: arguments.optional()?.unwrap_or_default() })
        }
        "syncing" => Ok(Kind::Syncing),
        _ => Err(MethodError::UnknownSubscription(name)),
    }
}

async fn serve(
    params: Params<'static>,
    pending: PendingSubscriptionSink,
    backend: Arc<Backend>,
    Listener { share, turn }: Listener,
) -> Result<(), SubscriptionError> {
    let (started, kind) = (Instant::now(), parse(&params, &share, &backend.metrics));
    // Megabytes may stand in them, and the subscription lasts.
    drop(params);
    backend.metrics.count("eth_subscribe", code(&kind), started);
    let _subscribed = kind.is_ok().then(|| backend.metrics.subscribed());
    let kind = match kind {
        Ok(kind) => kind,
        Err(error) => {
            pending.reject(error).await;
            return Ok(());
        }
    };
    // Events are received from before the client learns that it is subscribed: it misses none after that.
    let means = (&backend.metrics, turn);
    match kind {
        Kind::Syncing => watch_syncing(pending, &backend).await,
        Kind::NewHeads => {
            let events = backend.chain.subscribe();
            forward(pending, means, events, |block, _| vec![convert::header(&block.header)]).await
        }
        Kind::Logs(matcher, _held) => {
            let events = backend.chain.subscribe();
            forward(pending, means, events, |block, sent| {
                block.some_logs(&matcher, sent, MESSAGES_AT_A_TIME).into_iter().map(convert::log).collect()
            })
            .await
        }
        Kind::NewPendingTransactions { full: false } => {
            let events = backend.mempool.subscribe();
            forward(pending, means, events, |batch, sent| {
                batch.iter().skip(sent).take(MESSAGES_AT_A_TIME).map(|tx| tx.hash()).collect()
            })
            .await
        }
        Kind::NewPendingTransactions { full: true } => {
            let events = backend.mempool.subscribe();
            forward(pending, means, events, |batch, sent| {
                let some = batch.iter().skip(sent).take(MESSAGES_AT_A_TIME);
                some.map(|tx| convert::pending_transaction(tx)).collect()
            })
            .await
        }
    }
}

/// Accepts the subscription and sends each event's messages until the client leaves. `messages` makes the next of them, after
/// as many as were sent: what waits longer waits as the event that all subscriptions share.
async fn forward<E: Clone, M: Serialize>(
    pending: PendingSubscriptionSink,
    (metrics, turn): (&RpcMetrics, Turn),
    mut events: Receiver<E>,
    messages: impl Fn(&E, usize) -> Vec<M>,
) -> Result<(), SubscriptionError> {
    let Ok(sink) = pending.accept().await else { return Ok(()) };
    loop {
        let event = tokio::select! {
            () = sink.closed() => return Ok(()),
            event = events.recv() => event,
        };
        match event {
            Ok(event) => {
                let mut sent = 0;
                loop {
                    let _turn = turn.begin().await;
                    let some = messages(&event, sent);
                    let count = some.len();
                    if !send(&sink, some).await? {
                        return Ok(());
                    }
                    sent += count;
                    if count < MESSAGES_AT_A_TIME {
                        break;
                    }
                }
            }
            Err(RecvError::Lagged(missed)) => {
                metrics.count_refused(Limit::SlowReader);
                return Err(format!("subscription closed: the client is too slow, {missed} events were missed").into());
            }
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

/// Accepts the subscription and tells whether the node is syncing: now, and when that changes.
async fn watch_syncing(pending: PendingSubscriptionSink, backend: &Backend) -> Result<(), SubscriptionError> {
    let Ok(sink) = pending.accept().await else { return Ok(()) };
    let mut told = None;
    let mut looks = tokio::time::interval(SYNCING_INTERVAL);
    loop {
        tokio::select! {
            () = sink.closed() => return Ok(()),
            _ = looks.tick() => {}
        }
        let progress = backend.node.sync_progress();
        if told.replace(progress.is_some()) != Some(progress.is_some())
            && !send(&sink, vec![SyncingNews::from(progress)]).await?
        {
            return Ok(());
        }
    }
}

/// Whether the client is still there afterwards.
async fn send<M: Serialize>(sink: &SubscriptionSink, messages: Vec<M>) -> Result<bool, SubscriptionError> {
    for message in messages {
        if sink.send(serde_json::value::to_raw_value(&message)?).await.is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}
