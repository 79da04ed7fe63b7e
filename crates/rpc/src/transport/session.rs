//! A connection that carries many calls at once, and notifications: a WebSocket, or one to the Unix socket.

use super::Shared;
use super::inbox::{Inbox, NotTaken};
use crate::RpcMetrics;
use crate::answer::Answer;
use crate::dispatch::{Caller, Subscriptions};
use crate::error::MethodError;
use crate::eth::Listener;
use crate::metrics::Limit;
use hyper::StatusCode;
use jsonrpsee::server::{BoundedSubscriptions, MethodSink};
use jsonrpsee::types::error::reject_too_big_request;
use serde_json::value::RawValue;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// Most messages that are carried out at a time; no more are read until one is answered, and its answer taken.
const CALLS_MAX: u32 = 32;
/// Answers on their way to the writer, besides the one it writes.
const ANSWERS_QUEUED: usize = 1;
/// Notifications of all subscriptions on their way to the writer: what waits longer, waits as a shared event.
const NOTIFICATIONS_QUEUED: usize = 4;

/// What a reader has read.
#[derive(Debug)]
pub(crate) enum Incoming {
    Message(Inbox),
    /// It is to be answered with the same bytes.
    Ping(Vec<u8>),
    /// A message that is not taken; none follows.
    Refused(NotTaken),
    /// Nothing to do.
    Nothing,
    /// The other side has ended.
    End,
}

/// What reading results in; an error ends the connection.
pub(crate) type Received = io::Result<Incoming>;

/// Reads messages.
pub(crate) trait MessageReader: Send {
    /// The next one.
    fn next(&mut self) -> impl Future<Output = Received> + Send;
}

/// Writes messages.
pub(crate) trait MessageWriter: Send + 'static {
    /// Writes one, to its end.
    fn message(&mut self, text: &[u8]) -> impl Future<Output = io::Result<()>> + Send;
    /// Asks whether the other side is there.
    fn ping(&mut self) -> impl Future<Output = io::Result<()>> + Send;
    /// Says that this side is.
    fn pong(&mut self, payload: &[u8]) -> impl Future<Output = io::Result<()>> + Send;
    /// Says that this side ends.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}

/// What goes to the writer.
enum Outgoing {
    Answer(Answer),
    Pong(Vec<u8>),
}

/// Serves a connection until either side ends it.
pub(crate) async fn serve(
    shared: Shared,
    caller: Caller,
    mut reader: impl MessageReader,
    writer: impl MessageWriter,
    ping_interval: Duration,
) {
    let (answers, answers_to_write) = mpsc::channel(ANSWERS_QUEUED);
    let (notifications, notifications_to_write) = mpsc::channel(NOTIFICATIONS_QUEUED);
    let limits = shared.dispatcher.limits();
    let subscriptions = Subscriptions {
        connection: shared.next_session(),
        sink: MethodSink::new_with_limit(notifications, limits.response_bytes),
        bound: BoundedSubscriptions::new(limits.subscriptions_per_connection),
        listener: Listener::new(caller.share.clone()),
    };
    let caller = Arc::new(Caller { subscriptions: Some(subscriptions), ..caller });
    let writing = shared.tasks.spawn(write(
        shared.dispatcher.metrics.clone(),
        writer,
        (answers_to_write, notifications_to_write),
        ping_interval,
    ));
    let calls = Arc::new(Semaphore::new(CALLS_MAX as usize));
    let session = Session { shared: shared.clone(), caller, answers: answers.clone(), calls: calls.clone() };
    tokio::select! {
        () = session.read(&mut reader) => {}
        () = shared.stop.cancelled() => {
            // What is under way is answered.
            let _ = calls.acquire_many(CALLS_MAX).await;
        }
        () = answers.closed() => {}
    }
    drop((session, answers));
    // The writer ends when nobody can give it more: subscriptions see that their connection ends by that it is dropped here.
    let _ = writing.await;
}

struct Session {
    shared: Shared,
    caller: Arc<Caller>,
    answers: mpsc::Sender<Outgoing>,
    calls: Arc<Semaphore>,
}

impl Session {
    /// Reads and carries out until there is no more.
    async fn read(&self, reader: &mut impl MessageReader) {
        loop {
            let Ok(turn) = Arc::clone(&self.calls).acquire_owned().await else { return };
            match reader.next().await {
                Ok(Incoming::Message(message)) => {
                    let (shared, caller, answers) = (self.shared.clone(), self.caller.clone(), self.answers.clone());
                    self.shared.tasks.spawn(async move {
                        tokio::select! {
                            answer = shared.dispatcher.answer(message.bytes(), &caller) => {
                                if let Some(answer) = answer {
                                    // The connection may be gone.
                                    let _ = answers.send(Outgoing::Answer(answer)).await;
                                }
                            }
                            () = answers.closed() => {}
                        }
                        drop((message, turn));
                    });
                }
                Ok(Incoming::Ping(payload)) => {
                    if self.answers.send(Outgoing::Pong(payload)).await.is_err() {
                        return;
                    }
                }
                Ok(Incoming::Nothing) => {}
                Ok(Incoming::Refused(reason)) => return self.refuse(reason).await,
                Ok(Incoming::End) => return,
                Err(error) => return tracing::debug!(%error, "JSON-RPC connection ended"),
            }
        }
    }

    /// Says why a message is not taken.
    async fn refuse(&self, reason: NotTaken) {
        let metrics = &self.shared.dispatcher.metrics;
        let error = match reason {
            NotTaken::TooLong => {
                metrics.count_refused(Limit::RequestBytes);
                reject_too_big_request(self.shared.dispatcher.limits().request_bytes)
            }
            NotTaken::NoMemory => {
                metrics.count_refused(Limit::BufferedBytes);
                MethodError::Busy.into()
            }
        };
        let refusal = Answer::refusal(StatusCode::OK, error);
        // The connection may be gone.
        let _ = self.answers.send(Outgoing::Answer(refusal)).await;
    }
}

/// Writes what comes until nothing can come any more, or the other side does not take it.
async fn write(
    metrics: RpcMetrics,
    mut writer: impl MessageWriter,
    (mut answers, mut notifications): (mpsc::Receiver<Outgoing>, mpsc::Receiver<Box<RawValue>>),
    ping_interval: Duration,
) {
    let mut pings = tokio::time::interval(ping_interval);
    pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick is at once.
    pings.tick().await;
    loop {
        let written = tokio::select! {
            biased;
            // First, or a client that only listens to much would never be heard of.
            _ = pings.tick() => writer.ping().await,
            answer = answers.recv() => match answer {
                Some(Outgoing::Answer(answer)) => writer.message(answer.as_ref()).await,
                Some(Outgoing::Pong(payload)) => writer.pong(&payload).await,
                None => break,
            },
            Some(text) = notifications.recv() => writer.message(text.get().as_bytes()).await,
        };
        if let Err(error) = written {
            if error.kind() == io::ErrorKind::TimedOut {
                metrics.count_refused(Limit::SlowReader);
            }
            tracing::debug!(%error, "JSON-RPC answer not written");
            return;
        }
    }
    writer.close().await;
}
