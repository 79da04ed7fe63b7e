//! Requests of ours and of peers.

use super::NetworkService;
use super::urgent::Urgent;
use crate::{
    Misbehaviour, NetworkError, RequestError, RequestServer,
    codec::InvalidRequest,
    metrics::{SentLabels, Served, ServedLabels},
    serving::FairQueue,
};
use alloy_rlp::Encodable;
use heddle_primitives::{Refusal, Request, RequestKind, Response};
use libp2p::{
    PeerId,
    request_response::{
        Event, InboundFailure, InboundRequestId, Message, OutboundFailure, OutboundRequestId, ResponseChannel,
    },
};
use std::{
    collections::HashMap,
    io::ErrorKind,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, task::JoinSet, time::timeout};

/// Requests of ours that may wait for answers.
const PENDING_MAX: usize = 64;

type Reply = oneshot::Sender<Result<Response, RequestError>>;

/// Requests of ours that wait for answers.
#[derive(Default)]
pub(super) struct Pending(HashMap<OutboundRequestId, (RequestKind, Reply)>);

impl Pending {
    /// Whether one more may wait. Those that nobody waits for any more make room.
    fn has_room(&mut self) -> bool {
        if self.0.len() >= PENDING_MAX {
            self.0.retain(|_, (_, reply)| !reply.is_closed());
        }
        self.0.len() < PENDING_MAX
    }
}

/// A peer's request.
struct PeerRequest {
    peer: PeerId,
    id: InboundRequestId,
    request: Request,
    channel: ResponseChannel<Response>,
}

/// An answer on its way back.
pub(super) struct ServedRequest {
    peer: PeerId,
    id: InboundRequestId,
    kind: RequestKind,
    channel: ResponseChannel<Response>,
    response: Option<Response>,
}

/// An answer that its peer has not read yet.
struct Unread {
    peer: PeerId,
    kind: RequestKind,
    bytes: usize,
}

/// Requests of peers being answered.
pub(super) struct Serving {
    server: Arc<dyn RequestServer>,
    timeout: Duration,
    tasks: JoinSet<ServedRequest>,
    urgent: Urgent,
    bulk: FairQueue<Box<PeerRequest>>,
    unread: HashMap<InboundRequestId, Unread>,
}

impl Serving {
    /// Gives up an answer after `timeout`, when its peer no longer waits.
    pub(super) fn new(server: Arc<dyn RequestServer>, timeout: Duration) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let (tasks, unread) = (JoinSet::new(), HashMap::new());
        Self { server, timeout, tasks, urgent: Urgent::default(), bulk: FairQueue::new(cores / 2), unread }
    }

    /// Starts an answer or queues it; gives the request back when too many wait.
    fn accept(&mut self, request: Box<PeerRequest>) -> Result<(), Box<PeerRequest>> {
        if is_bulk(request.request.kind()) {
            self.bulk.push(request.peer, request, Instant::now())?;
        } else if self.urgent.accept(request.peer, request.request.kind()) {
            self.spawn(request);
        } else {
            return Err(request);
        }
        self.start_bulk();
        Ok(())
    }

    /// Starts the bulk answers whose turn it is.
    pub(super) fn start_bulk(&mut self) {
        while let Some((peer, request)) = self.bulk.take(Instant::now()) {
            if request.channel.is_open() {
                self.spawn(request);
            } else {
                self.bulk.answered(peer, 0);
                self.bulk.finished(peer, 0);
            }
        }
    }

    fn spawn(&mut self, request: Box<PeerRequest>) {
        let PeerRequest { peer, id, request, channel } = *request;
        let (server, kind, limit) = (self.server.clone(), request.kind(), self.timeout);
        self.tasks.spawn(async move {
            let response = timeout(limit, server.serve(peer, request)).await.unwrap_or_default();
            ServedRequest { peer, id, kind, channel, response }
        });
    }

    /// The next answer; `None` when nothing is being answered.
    pub(super) async fn next(&mut self) -> Option<Result<ServedRequest, NetworkError>> {
        let ended = self.tasks.join_next().await?;
        Some(ended.map_err(|error| NetworkError::HandlerPanicked(error.to_string())))
    }

    /// An answer is ready: its peer has yet to read it. False when there is no room for it, and it must not be sent.
    fn answered(&mut self, id: InboundRequestId, mut unread: Unread) -> bool {
        let fits = if is_bulk(unread.kind) {
            self.bulk.answered(unread.peer, unread.bytes);
            self.start_bulk();
            true
        } else {
            self.urgent.answered(unread.bytes)
        };
        if !fits {
            unread.bytes = 0;
        }
        self.unread.insert(id, unread);
        fits
    }

    /// An answer was read, or never will be; of which kind it was, if it was ready.
    fn finished(&mut self, id: InboundRequestId) -> Option<RequestKind> {
        let Unread { peer, kind, bytes } = self.unread.remove(&id)?;
        if is_bulk(kind) {
            self.bulk.finished(peer, bytes);
            self.start_bulk();
        } else {
            self.urgent.finished(peer, kind, bytes);
        }
        Some(kind)
    }

    /// The peer is gone: it reads nothing any more.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        let lost: Vec<_> = self.unread.iter().filter(|(_, unread)| unread.peer == *peer).map(|(id, _)| *id).collect();
        for id in lost {
            self.finished(id);
        }
    }

    /// Forgets what is over, and starts what has waited for its peer's budget.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.bulk.sweep(now);
        self.start_bulk();
    }
}

/// What others catch up with; everything else is cheap, or consensus waits for it.
const fn is_bulk(kind: RequestKind) -> bool {
    match kind {
        RequestKind::Blocks
        | RequestKind::Headers
        | RequestKind::Receipts
        | RequestKind::EpochSteps
        | RequestKind::Snapshots
        | RequestKind::Accounts
        | RequestKind::Storage
        | RequestKind::Code
        | RequestKind::RangeProof => true,
        RequestKind::Status | RequestKind::BlockTransactions | RequestKind::BlockPieces => false,
    }
}

impl NetworkService {
    pub(super) fn send_request(&mut self, peer: PeerId, request: Request, reply: Reply) {
        // A caller that has stopped waiting gets nothing, thus the ignored results of `send`.
        if !self.book.is_ready(&peer) {
            let _ = reply.send(Err(RequestError::NotConnected(peer)));
        } else if !self.pending.has_room() {
            let _ = reply.send(Err(RequestError::Overloaded));
        } else {
            let kind = request.kind();
            let id = self.swarm.behaviour_mut().requests.send_request(&peer, Ok(request));
            self.pending.0.insert(id, (kind, reply));
        }
    }

    pub(super) fn on_request_event(&mut self, event: Event<Result<Request, InvalidRequest>, Response>) {
        match event {
            Event::Message { peer, message: Message::Request { request_id, request, channel }, .. } => {
                self.serve(peer, request_id, request, channel);
            }
            Event::Message { peer, message: Message::Response { request_id, response }, .. } => {
                self.on_response(peer, request_id, response);
            }
            Event::OutboundFailure { peer, request_id, error, .. } => {
                let error = request_error(error);
                match error {
                    RequestError::InvalidResponse(_) => self.penalise(peer, Misbehaviour::InvalidResponse),
                    RequestError::Timeout => self.penalise(peer, Misbehaviour::Unresponsive),
                    _ => {}
                }
                self.reply(request_id, Err(error));
            }
            Event::InboundFailure { peer, request_id, error, .. } => {
                tracing::debug!(%peer, %error, "request of a peer failed");
                let Some(kind) = self.serving.finished(request_id) else { return };
                self.count_served(kind, Served::Failed);
                if matches!(error, InboundFailure::Timeout) {
                    self.penalise(peer, Misbehaviour::SlowReader);
                }
            }
            Event::ResponseSent { request_id, .. } => {
                if let Some(kind) = self.serving.finished(request_id) {
                    self.count_served(kind, Served::Answered);
                }
            }
        }
    }

    /// Answers a peer's request within its rate; a dropped channel tells the peer that we refuse.
    fn serve(
        &mut self,
        peer: PeerId,
        id: InboundRequestId,
        request: Result<Request, InvalidRequest>,
        channel: ResponseChannel<Response>,
    ) {
        let request = match request {
            Err(InvalidRequest(reason)) => {
                tracing::debug!(%peer, reason, "invalid request");
                return self.penalise(peer, Misbehaviour::InvalidRequest);
            }
            Ok(request) => request,
        };
        let kind = request.kind();
        if !self.limiter.allow_request(peer, kind, Instant::now()) {
            self.count_served(kind, Served::OverLimit);
            return self.penalise(peer, Misbehaviour::Flooding);
        }
        if let Err(refused) = self.serving.accept(Box::new(PeerRequest { peer, id, request, channel })) {
            self.count_served(kind, Served::Busy);
            let busy = Response::Refused(Refusal::Busy);
            // An error means that the peer has gone, which its own event tells.
            let _ = self.swarm.behaviour_mut().requests.send_response(refused.channel, busy);
        }
    }

    pub(super) fn send_response(&mut self, served: ServedRequest) {
        let ServedRequest { peer, id, kind, channel, response } = served;
        let bytes = response.as_ref().map_or(0, Response::length);
        let fits = self.serving.answered(id, Unread { peer, kind, bytes });
        let response = if fits { response } else { Some(Response::Refused(Refusal::Busy)) };
        let bytes = response.as_ref().map_or(0, Response::length);
        self.metrics.response_bytes_sent.get_or_create(&kind.into()).inc_by(bytes as u64);
        let requests = &mut self.swarm.behaviour_mut().requests;
        let Some(response) = response else {
            self.serving.finished(id);
            return self.count_served(kind, Served::Refused);
        };
        if requests.send_response(channel, response).is_err() {
            self.serving.finished(id);
            self.count_served(kind, Served::Failed);
        }
    }

    fn on_response(&mut self, peer: PeerId, id: OutboundRequestId, response: Response) {
        let Some((kind, _)) = self.pending.0.get(&id) else { return };
        self.metrics.response_bytes_received.get_or_create(&(*kind).into()).inc_by(response.length() as u64);
        if response.answers(*kind) {
            self.reply(id, Ok(response));
        } else {
            self.penalise(peer, Misbehaviour::InvalidResponse);
            self.reply(id, Err(RequestError::InvalidResponse("answer of another kind".into())));
        }
    }

    fn reply(&mut self, id: OutboundRequestId, result: Result<Response, RequestError>) {
        if let Some((kind, reply)) = self.pending.0.remove(&id) {
            self.metrics.requests_sent.get_or_create(&SentLabels::new(kind, result.as_ref().err())).inc();
            let _ = reply.send(result);
        }
    }

    fn count_served(&self, kind: RequestKind, outcome: Served) {
        self.metrics.requests_served.get_or_create(&ServedLabels::new(kind, outcome)).inc();
    }
}

fn request_error(failure: OutboundFailure) -> RequestError {
    match failure {
        OutboundFailure::Timeout => RequestError::Timeout,
        OutboundFailure::UnsupportedProtocols => RequestError::Unsupported,
        OutboundFailure::ConnectionClosed | OutboundFailure::DialFailure => RequestError::ConnectionClosed,
        OutboundFailure::Io(error) => match error.kind() {
            ErrorKind::InvalidData => RequestError::InvalidResponse(error.to_string()),
            ErrorKind::UnexpectedEof => RequestError::Refused,
            _ => RequestError::ConnectionClosed,
        },
    }
}
