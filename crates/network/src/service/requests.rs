//! Requests of ours and of peers.

use super::NetworkService;
use crate::{
    Misbehaviour, NetworkError, RequestError, RequestServer,
    codec::InvalidRequest,
    metrics::{Served, ServedLabel},
};
use heddle_primitives::{Refusal, Request, RequestKind, Response};
use libp2p::{
    PeerId,
    request_response::{Event, Message, OutboundFailure, OutboundRequestId, ResponseChannel},
};
use std::{collections::HashMap, io::ErrorKind, sync::Arc, time::Instant};
use tokio::{sync::oneshot, task::JoinSet};

/// Requests of ours that may wait for answers.
const PENDING_MAX: usize = 64;
/// Requests of peers that are answered at once.
const SERVING_MAX: usize = 32;

type Reply = oneshot::Sender<Result<Response, RequestError>>;

/// Requests of ours that wait for answers.
#[derive(Default)]
pub(super) struct Pending(HashMap<OutboundRequestId, (RequestKind, Reply)>);

/// An answer on its way back.
pub(super) struct ServedRequest {
    channel: ResponseChannel<Response>,
    response: Option<Response>,
}

/// Requests of peers being answered.
pub(super) struct Serving {
    server: Arc<dyn RequestServer>,
    tasks: JoinSet<ServedRequest>,
}

impl Serving {
    pub(super) fn new(server: Arc<dyn RequestServer>) -> Self {
        Self { server, tasks: JoinSet::new() }
    }

    fn start(&mut self, peer: PeerId, request: Request, channel: ResponseChannel<Response>) {
        let server = self.server.clone();
        self.tasks.spawn(async move { ServedRequest { channel, response: server.serve(peer, request).await } });
    }

    /// The next answer; `None` when nothing is being answered.
    pub(super) async fn next(&mut self) -> Option<Result<ServedRequest, NetworkError>> {
        let ended = self.tasks.join_next().await?;
        Some(ended.map_err(|error| NetworkError::HandlerPanicked(error.to_string())))
    }
}

impl NetworkService {
    pub(super) fn send_request(&mut self, peer: PeerId, request: Request, reply: Reply) {
        // A caller that has stopped waiting gets nothing, thus the ignored results of `send`.
        if !self.book.is_ready(&peer) {
            let _ = reply.send(Err(RequestError::NotConnected(peer)));
        } else if self.pending.0.len() >= PENDING_MAX {
            let _ = reply.send(Err(RequestError::Overloaded));
        } else {
            let kind = request.kind();
            let id = self.swarm.behaviour_mut().requests.send_request(&peer, Ok(request));
            self.pending.0.insert(id, (kind, reply));
        }
    }

    pub(super) fn on_request_event(&mut self, event: Event<Result<Request, InvalidRequest>, Response>) {
        match event {
            Event::Message { peer, message: Message::Request { request, channel, .. }, .. } => {
                self.serve(peer, request, channel);
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
            Event::InboundFailure { peer, error, .. } => {
                tracing::debug!(%peer, %error, "request of a peer failed");
                self.count_served(Served::Failed);
            }
            Event::ResponseSent { .. } => self.count_served(Served::Answered),
        }
    }

    /// Answers a peer's request within its rate; a dropped channel tells the peer that we refuse.
    fn serve(&mut self, peer: PeerId, request: Result<Request, InvalidRequest>, channel: ResponseChannel<Response>) {
        match request {
            Err(InvalidRequest(reason)) => {
                tracing::debug!(%peer, reason, "invalid request");
                self.count_served(Served::Invalid);
                self.penalise(peer, Misbehaviour::InvalidRequest);
            }
            Ok(ref request) if !self.limiter.allow_request(peer, request.kind(), Instant::now()) => {
                self.count_served(Served::OverLimit);
                self.penalise(peer, Misbehaviour::Flooding);
            }
            Ok(_) if self.serving.tasks.len() >= SERVING_MAX => {
                self.count_served(Served::OverLimit);
                let busy = ServedRequest { channel, response: Some(Response::Refused(Refusal::Busy)) };
                self.send_response(busy);
            }
            Ok(request) => self.serving.start(peer, request, channel),
        }
    }

    pub(super) fn send_response(&mut self, served: ServedRequest) {
        let Some(response) = served.response else { return self.count_served(Served::Refused) };
        // An error means that the peer has gone, which its own event tells.
        let _ = self.swarm.behaviour_mut().requests.send_response(served.channel, response);
    }

    fn on_response(&mut self, peer: PeerId, id: OutboundRequestId, response: Response) {
        let Some((kind, _)) = self.pending.0.get(&id) else { return };
        if response.answers(*kind) {
            self.reply(id, Ok(response));
        } else {
            self.penalise(peer, Misbehaviour::InvalidResponse);
            self.reply(id, Err(RequestError::InvalidResponse("answer of another kind".into())));
        }
    }

    fn reply(&mut self, id: OutboundRequestId, result: Result<Response, RequestError>) {
        if let Some((_, reply)) = self.pending.0.remove(&id) {
            let _ = reply.send(result);
        }
    }

    fn count_served(&self, outcome: Served) {
        self.metrics.requests_served.get_or_create(&ServedLabel { outcome }).inc();
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
