//! `eth_subscribe`: new heads, logs and pending transactions, pushed over a WebSocket.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert;
use crate::error::MethodError;
use crate::registry::{Registry, code};
use alloy_rpc_types_eth::Filter;
use heddle_chain::LogMatcher;
use jsonrpsee::core::SubscriptionError;
use jsonrpsee::server::{PendingSubscriptionSink, RegisterMethodError, SubscriptionSink};
use jsonrpsee::types::Params;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::broadcast::{Receiver, error::RecvError};

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.eth_subscription(serve)
}

/// What is subscribed to.
enum Kind {
    NewHeads,
    Logs(LogMatcher),
    NewPendingTransactions { full: bool },
}

fn parse(params: &Params<'_>) -> Result<Kind, MethodError> {
    let mut arguments = Arguments::parse(params, &["subscription", "options"])?;
    let name: String = arguments.required()?;
    match name.as_str() {
        "newHeads" => Ok(Kind::NewHeads),
        "logs" => {
            let filter: Filter = arguments.optional()?.unwrap_or_default();
            Ok(Kind::Logs(convert::log_filter(&filter, 0, u64::MAX)?.into()))
        }
        "newPendingTransactions" => {
            Ok(Kind::NewPendingTransactions { full: arguments.optional()?.unwrap_or_default() })
        }
        _ => Err(MethodError::UnknownSubscription(name)),
    }
}

async fn serve(
    params: Params<'static>,
    pending: PendingSubscriptionSink,
    backend: Arc<Backend>,
) -> Result<(), SubscriptionError> {
    let (started, kind) = (Instant::now(), parse(&params));
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
    match kind {
        Kind::NewHeads => {
            let events = backend.chain.subscribe();
            forward(pending, events, |block| vec![convert::header(&block.header)]).await
        }
        Kind::Logs(matcher) => {
            let events = backend.chain.subscribe();
            forward(pending, events, |block| block.logs(&matcher).into_iter().map(convert::log).collect()).await
        }
        Kind::NewPendingTransactions { full: false } => {
            let events = backend.mempool.subscribe();
            forward(pending, events, |batch| batch.iter().map(|tx| tx.hash()).collect()).await
        }
        Kind::NewPendingTransactions { full: true } => {
            let events = backend.mempool.subscribe();
            forward(pending, events, |batch| {
                batch.iter().map(|tx| convert::pending_transaction(tx.recovered().clone())).collect()
            })
            .await
        }
    }
}

/// Accepts the subscription and sends each event's messages until the client leaves. A client too slow for the
/// events' buffer is told so and has to subscribe again: it would otherwise miss some without knowing.
async fn forward<E: Clone, M: Serialize>(
    pending: PendingSubscriptionSink,
    mut events: Receiver<E>,
    messages: impl Fn(&E) -> Vec<M>,
) -> Result<(), SubscriptionError> {
    let Ok(sink) = pending.accept().await else { return Ok(()) };
    loop {
        let event = tokio::select! {
            () = sink.closed() => return Ok(()),
            event = events.recv() => event,
        };
        match event {
            Ok(event) => {
                if !send(&sink, messages(&event)).await? {
                    return Ok(());
                }
            }
            Err(RecvError::Lagged(missed)) => {
                return Err(format!("subscription closed: the client is too slow, {missed} events were missed").into());
            }
            Err(RecvError::Closed) => return Ok(()),
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
