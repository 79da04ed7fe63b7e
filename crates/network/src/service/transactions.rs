//! The exchange of transactions: carries out what the relay decides.

use super::NetworkService;
use crate::{
    Misbehaviour, NetworkError, TransactionPool,
    codec::InvalidRequest,
    transactions::{
        ANNOUNCEMENTS_WAITING_MAX, Announced, FetchFailure, FetchId, Fetched, Input, Output, Pushed, Received,
        TransactionMetrics, TransactionRelay,
    },
};
use alloy_primitives::{B256, Bytes, keccak256};
use futures::future::{Either, pending};
use heddle_primitives::{MAX_TRANSACTION_BATCH_BYTES, TransactionBatch, TransactionRequest, TransactionResponse};
use libp2p::{
    PeerId,
    request_response::{Event, Message, OutboundFailure, OutboundRequestId, ResponseChannel},
};
use std::{
    collections::{HashMap, VecDeque},
    io::ErrorKind,
    sync::Arc,
    time::Instant,
};
use tokio::{task::JoinSet, time::sleep_until};

/// Questions of peers that the pool may be working on; what comes beyond is dropped.
const TASKS_MAX: usize = 256;
/// Batches that the pool judges at once.
const JUDGING_MAX: usize = 4;

type Request = Result<TransactionRequest, InvalidRequest>;
type Channel = ResponseChannel<TransactionResponse>;

/// What was sent and waits for an answer.
#[derive(Clone, Copy)]
enum Sent {
    Announce,
    Push,
    Fetch(FetchId),
}

/// What the pool has done.
pub(super) enum PoolAnswer {
    Told(Input),
    Push { peer: PeerId, transactions: Vec<Bytes> },
    Serve { peer: PeerId, asked: usize, transactions: Vec<Bytes>, channel: Channel },
}

/// The relay, its pool, and what is under way between them.
pub(super) struct Transactions {
    relay: TransactionRelay,
    pool: Arc<dyn TransactionPool>,
    tasks: JoinSet<PoolAnswer>,
    judging: usize,
    /// Peers that are to hear of what is pending, each once; it is listed for one at a time.
    to_list: VecDeque<PeerId>,
    is_listing: bool,
    /// At most as many as the relay lets peers have in flight.
    to_judge: VecDeque<(PeerId, Option<FetchId>, Vec<Bytes>)>,
    sent: HashMap<OutboundRequestId, Sent>,
    metrics: TransactionMetrics,
}

impl Transactions {
    pub(super) fn new(pool: Arc<dyn TransactionPool>, metrics: TransactionMetrics) -> Self {
        Self {
            relay: TransactionRelay::new(metrics.clone(), Instant::now()),
            pool,
            tasks: JoinSet::new(),
            judging: 0,
            to_list: VecDeque::new(),
            is_listing: false,
            to_judge: VecDeque::new(),
            sent: HashMap::new(),
            metrics,
        }
    }

    /// Resolves when the relay has something to do.
    pub(super) fn due(&self) -> impl Future<Output = ()> + use<> {
        match self.relay.due_at() {
            Some(due) => Either::Left(sleep_until(due.into())),
            None => Either::Right(pending()),
        }
    }

    /// What the pool has done; `None` when it does nothing.
    pub(super) async fn next(&mut self) -> Option<Result<PoolAnswer, NetworkError>> {
        let ended = self.tasks.join_next().await?;
        Some(ended.map_err(|error| NetworkError::HandlerPanicked(error.to_string())))
    }

    fn ask_pool<F>(&mut self, ask: impl FnOnce(Arc<dyn TransactionPool>) -> F)
    where
        F: Future<Output = PoolAnswer> + Send + 'static,
    {
        self.tasks.spawn(ask(self.pool.clone()));
    }

    fn list_next(&mut self) {
        if !self.is_listing
            && let Some(peer) = self.to_list.pop_front()
        {
            self.is_listing = true;
            self.ask_pool(move |pool| async move {
                let transactions = pool.pending(ANNOUNCEMENTS_WAITING_MAX).await;
                PoolAnswer::Told(Input::Held { peer, transactions })
            });
        }
    }

    fn judge_next(&mut self) {
        while self.judging < JUDGING_MAX
            && let Some((peer, fetch, transactions)) = self.to_judge.pop_front()
        {
            self.judging += 1;
            self.ask_pool(|pool| async move {
                PoolAnswer::Told(Input::Judged { peer, fetch, judgement: pool.receive(peer, transactions).await })
            });
        }
    }

    fn count_over_limit(&self, request: &TransactionRequest) {
        match request {
            TransactionRequest::Announce(list) => self.metrics.announced(Announced::OverLimit, list.len()),
            TransactionRequest::Push(batch) => self.metrics.pushed(Pushed::OverLimit, batch.0.len()),
            TransactionRequest::Fetch(hashes) => self.metrics.fetched(Fetched::OverLimit, hashes.len()),
        }
    }
}

impl NetworkService {
    /// Tells the relay something, and does what it wants.
    pub(super) fn relay(&mut self, input: Input) {
        for output in self.transactions.relay.handle(input, Instant::now()) {
            self.carry_out(output);
        }
    }

    /// A connection has ended.
    pub(super) fn exchange_ended(&mut self, peer: PeerId) {
        self.transactions.to_list.retain(|waiting| *waiting != peer);
        self.relay(Input::Left(peer));
    }

    fn carry_out(&mut self, output: Output) {
        let exchange = &mut self.transactions;
        match output {
            Output::ListPending(peer) => {
                exchange.to_list.push_back(peer);
                exchange.list_next();
            }
            Output::Check { peer, transactions } => exchange.ask_pool(move |pool| async move {
                PoolAnswer::Told(Input::Lacking { peer, transactions: pool.lacking(transactions).await })
            }),
            Output::Push { peer, hashes } => exchange.ask_pool(move |pool| async move {
                PoolAnswer::Push { peer, transactions: pool.encoded(hashes, MAX_TRANSACTION_BATCH_BYTES).await }
            }),
            Output::Judge { peer, fetch, transactions } => {
                exchange.to_judge.push_back((peer, fetch, transactions));
                exchange.judge_next();
            }
            Output::Announce { peer, transactions } => {
                self.send(peer, TransactionRequest::Announce(transactions), Sent::Announce);
            }
            Output::Fetch { peer, id, hashes } => self.send(peer, TransactionRequest::Fetch(hashes), Sent::Fetch(id)),
            Output::Misbehaved { peer, misbehaviour } => self.penalise(peer, misbehaviour),
        }
    }

    pub(super) fn on_pool_answer(&mut self, answer: PoolAnswer) {
        match answer {
            PoolAnswer::Told(input) => {
                match input {
                    Input::Judged { .. } => {
                        self.transactions.judging -= 1;
                        self.transactions.judge_next();
                    }
                    Input::Held { .. } => {
                        self.transactions.is_listing = false;
                        self.transactions.list_next();
                    }
                    _ => {}
                }
                self.relay(input);
            }
            PoolAnswer::Push { peer, transactions } if transactions.is_empty() => {
                self.relay(Input::PushEnded { peer, taken: true });
            }
            PoolAnswer::Push { peer, transactions } => {
                self.transactions.metrics.pushed(Pushed::Sent, transactions.len());
                self.send(peer, TransactionRequest::Push(TransactionBatch(transactions)), Sent::Push);
            }
            PoolAnswer::Serve { peer, asked, transactions, channel } => {
                self.transactions.metrics.fetched(Fetched::Served, transactions.len());
                self.transactions.metrics.fetched(Fetched::Unserved, asked.saturating_sub(transactions.len()));
                let bytes = transactions.iter().map(|raw| raw.len()).sum();
                self.limiter.transactions(peer, Instant::now()).served(bytes);
                self.respond(channel, TransactionResponse::Transactions(TransactionBatch(transactions)));
            }
        }
    }

    fn send(&mut self, peer: PeerId, request: TransactionRequest, sent: Sent) {
        // A request to a peer that has gone would dial it.
        if !self.swarm.is_connected(&peer) {
            return self.ended(peer, sent, FetchFailure::Refused);
        }
        let id = self.swarm.behaviour_mut().transactions.send_request(&peer, Ok(request));
        self.transactions.sent.insert(id, sent);
    }

    fn respond(&mut self, channel: Channel, response: TransactionResponse) {
        // An error means that the peer has gone, which its own event tells.
        let _ = self.swarm.behaviour_mut().transactions.send_response(channel, response);
    }

    pub(super) fn on_transaction_event(&mut self, event: Event<Request, TransactionResponse>) {
        match event {
            Event::Message { peer, message: Message::Request { request, channel, .. }, .. } => {
                self.on_transaction_request(peer, request, channel);
            }
            Event::Message { peer, message: Message::Response { request_id, response }, .. } => {
                self.on_transaction_response(peer, request_id, response);
            }
            Event::OutboundFailure { peer, request_id, error, .. } => {
                tracing::debug!(%peer, %error, "transactions not exchanged");
                if let Some(sent) = self.transactions.sent.remove(&request_id) {
                    self.ended(peer, sent, fetch_failure(&error));
                }
            }
            Event::InboundFailure { peer, error, .. } => tracing::debug!(%peer, %error, "answer not taken"),
            Event::ResponseSent { .. } => {}
        }
    }

    /// Answers within the peer's budget. A dropped channel tells the peer that we do not take more.
    fn on_transaction_request(&mut self, peer: PeerId, request: Request, channel: Channel) {
        let request = match request {
            Ok(request) => request,
            Err(InvalidRequest(reason)) => {
                tracing::debug!(%peer, reason, "invalid request about transactions");
                return self.penalise(peer, Misbehaviour::InvalidRequest);
            }
        };
        let now = Instant::now();
        if !self.limiter.transactions(peer, now).allow(&request, now) {
            self.transactions.count_over_limit(&request);
            return self.penalise(peer, Misbehaviour::Flooding);
        }
        if self.transactions.tasks.len() >= TASKS_MAX {
            return self.transactions.count_over_limit(&request);
        }
        match request {
            TransactionRequest::Announce(transactions) => {
                self.respond(channel, TransactionResponse::Ack);
                self.relay(Input::Announced { peer, transactions });
            }
            TransactionRequest::Push(batch) => {
                self.respond(channel, TransactionResponse::Ack);
                self.relay(Input::Pushed { peer, transactions: received(batch) });
            }
            TransactionRequest::Fetch(hashes) => self.serve_transactions(peer, hashes, channel),
        }
    }

    fn serve_transactions(&mut self, peer: PeerId, hashes: Vec<B256>, channel: Channel) {
        let (asked, now) = (hashes.len(), Instant::now());
        let bytes_max = self.limiter.transactions(peer, now).answer_max(now);
        self.transactions.ask_pool(move |pool| async move {
            PoolAnswer::Serve { peer, asked, transactions: pool.encoded(hashes, bytes_max).await, channel }
        });
    }

    fn on_transaction_response(&mut self, peer: PeerId, request: OutboundRequestId, response: TransactionResponse) {
        let Some(sent) = self.transactions.sent.remove(&request) else { return };
        match (sent, response) {
            (Sent::Announce, TransactionResponse::Ack) => self.relay(Input::AnnounceEnded { peer, taken: true }),
            (Sent::Push, TransactionResponse::Ack) => self.relay(Input::PushEnded { peer, taken: true }),
            (Sent::Fetch(id), TransactionResponse::Transactions(batch)) => {
                self.relay(Input::Fetched { peer, id, transactions: received(batch) });
            }
            (sent, _) => {
                self.penalise(peer, Misbehaviour::InvalidResponse);
                self.ended(peer, sent, FetchFailure::Refused);
            }
        }
    }

    /// What was sent came to nothing.
    fn ended(&mut self, peer: PeerId, sent: Sent, failure: FetchFailure) {
        self.relay(match sent {
            Sent::Announce => Input::AnnounceEnded { peer, taken: false },
            Sent::Push => Input::PushEnded { peer, taken: false },
            Sent::Fetch(id) => Input::FetchFailed { peer, id, failure },
        });
    }
}

fn received(batch: TransactionBatch) -> Vec<Received> {
    batch.0.into_iter().map(|raw| Received { hash: keccak256(&raw), raw }).collect()
}

fn fetch_failure(failure: &OutboundFailure) -> FetchFailure {
    match failure {
        OutboundFailure::Timeout => FetchFailure::Timeout,
        OutboundFailure::Io(error) if error.kind() == ErrorKind::InvalidData => FetchFailure::Invalid,
        _ => FetchFailure::Refused,
    }
}
