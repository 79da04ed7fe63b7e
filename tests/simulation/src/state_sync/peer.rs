//! Peers: honest ones, hindered ones, and liars of every kind.

use super::chain::{INTERVAL, LENGTH, STARTED_AT, ServedChain};
use super::lies::{Lie, StatePiece, widest};
use alloy_primitives::B256;
use heddle_primitives::{BlocksRequest, Height, Refusal, Request, Response, SnapshotOffer, StateTask};
use heddle_state::StateView;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// How a peer behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manner {
    /// As it should.
    Honest,
    /// Takes seconds.
    Slow,
    /// Loses every third request.
    Lossy,
    /// Never answers.
    Silent,
    /// Never has time.
    Busy,
    /// Answers with one leaf at a time.
    Crumbs,
    /// Offers states that it does not have any more.
    Stale,
    /// Offers a state of the future.
    Boaster,
    /// Offers states of blocks that are not.
    Forger,
    /// Serves another chain.
    OtherChain,
    /// Sends headers that are not.
    BadHeaders,
    /// Sends pieces that are not, half of the time.
    Liar(Lie),
}

impl Manner {
    /// Any.
    pub fn draw(rng: &mut ChaCha8Rng) -> Self {
        match rng.random_range(0..16) {
            0 => Self::Honest,
            1 => Self::Slow,
            2 => Self::Lossy,
            3 => Self::Silent,
            4 => Self::Busy,
            5 => Self::Crumbs,
            6 => Self::Stale,
            7 => Self::Boaster,
            8 => Self::Forger,
            9 => Self::OtherChain,
            10 => Self::BadHeaders,
            _ => Self::Liar(*Lie::ALL.choose(rng).unwrap_or(&Lie::Value)),
        }
    }

    /// Whether somebody who behaves like that may be called a liar.
    pub fn may_be_blamed(self) -> bool {
        matches!(self, Self::Boaster | Self::Forger | Self::OtherChain | Self::BadHeaders | Self::Liar(_))
    }
}

/// One peer.
pub struct Peer {
    /// How it behaves.
    pub manner: Manner,
    /// The chain that it serves.
    pub chain: Arc<ServedChain>,
    /// The head when it started.
    pub started_at: u64,
    /// About how many bytes of leaves it sends at once.
    pub bytes_max: usize,
    last_answer: Option<Response>,
}

/// What a peer answers.
pub struct Answer {
    /// `None`: nothing.
    pub response: Option<Response>,
    /// Whether it cannot be true.
    pub is_wrong: bool,
}

impl Peer {
    /// A peer that has answered nothing yet.
    pub fn new(manner: Manner, chain: Arc<ServedChain>, started_at: u64, bytes_max: usize) -> Self {
        Self { manner, chain, started_at, bytes_max, last_answer: None }
    }

    /// Answers when its chain has reached a height.
    pub fn answer(&mut self, head: u64, request: &Request, rng: &mut ChaCha8Rng) -> Answer {
        let is_lost = match self.manner {
            Manner::Silent => !matches!(request, Request::Snapshots),
            Manner::Lossy => rng.random_ratio(1, 3),
            _ => false,
        };
        if is_lost {
            return Answer { response: None, is_wrong: false };
        }
        let honest = self.serve(head, request, rng);
        let Manner::Liar(lie) = self.manner else { return Answer { response: Some(honest), is_wrong: false } };
        let is_piece = StatePiece::of(&honest).is_some();
        if !is_piece || rng.random_ratio(1, 2) {
            if is_piece {
                self.last_answer = Some(honest.clone());
            }
            return Answer { response: Some(honest), is_wrong: false };
        }
        let told = self.lie(lie, honest.clone(), head, request, rng);
        // A proof with a bad node proves what the others prove.
        let may_be_true = lie.may_be_true() || matches!(request, Request::RangeProof(_));
        let is_wrong = told != honest && !may_be_true;
        Answer { response: Some(told), is_wrong }
    }

    fn offers(&self, head: u64) -> Vec<SnapshotOffer> {
        let newest = head / INTERVAL * INTERVAL;
        let mut heights = vec![newest, newest.saturating_sub(INTERVAL)];
        let has_expired = newest >= (self.started_at / INTERVAL + 2) * INTERVAL;
        if self.started_at % INTERVAL == STARTED_AT && (!has_expired || self.manner == Manner::Stale) {
            heights.push(self.started_at);
        }
        heights.retain(|height| self.chain.states.contains_key(height));
        heights.sort_unstable_by(|a, b| b.cmp(a));
        heights
            .into_iter()
            .map(|height| SnapshotOffer { height: Height::new(height), hash: self.chain.hash(height) })
            .collect()
    }

    fn state(&self, head: u64, height: Height) -> Option<&StateView> {
        let is_offered = self.offers(head).iter().any(|offer| offer.height == height);
        self.chain.states.get(&height.as_u64()).filter(|_| is_offered && self.manner != Manner::Stale)
    }

    fn serve(&self, head: u64, request: &Request, rng: &mut ChaCha8Rng) -> Response {
        match request {
            Request::Snapshots => Response::Snapshots(self.offer(head, rng)),
            Request::Headers(request) => Response::Headers(self.headers(head, request)),
            Request::EpochSteps(request) => {
                let is_known = |step: &&heddle_primitives::EpochStep| step.header.number <= head;
                let steps = self.chain.steps.iter().filter(is_known).skip(request.from.as_u64() as usize);
                // Short answers, so that several are needed.
                Response::EpochSteps(steps.take((request.count as usize).min(3)).cloned().collect())
            }
            _ if self.manner == Manner::Busy => Response::Refused(Refusal::Busy),
            request => self.piece(head, request).unwrap_or(Response::Refused(Refusal::Gone)),
        }
    }

    fn offer(&self, head: u64, rng: &mut ChaCha8Rng) -> Vec<SnapshotOffer> {
        let mut offers = self.offers(head);
        match self.manner {
            Manner::Boaster => {
                let height = Height::new(head + rng.random_range(1..5_000));
                offers.insert(0, SnapshotOffer { height, hash: B256::from(rng.random::<[u8; 32]>()) });
            }
            Manner::Forger => offers.iter_mut().for_each(|offer| offer.hash = B256::from(rng.random::<[u8; 32]>())),
            _ => {}
        }
        offers
    }

    fn headers(&self, head: u64, request: &BlocksRequest) -> Vec<heddle_primitives::CertifiedHeader> {
        let heights = request.from.as_u64()..=request.from.as_u64().saturating_add(request.count - 1).min(head);
        let headers = heights.map_while(|height| self.chain.header(height).cloned());
        let mut headers = Vec::from_iter(headers.take(40));
        if self.manner == Manner::BadHeaders
            && let Some(header) = headers.first_mut()
        {
            header.header.gas_used += 1;
        }
        headers
    }

    fn piece(&self, head: u64, request: &Request) -> Option<Response> {
        let bytes_max = if self.manner == Manner::Crumbs { 1 } else { self.bytes_max };
        match request {
            Request::Accounts(r) => {
                self.state(head, r.height)?.serve_accounts(r, bytes_max).ok().map(Response::Accounts)
            }
            Request::Storage(r) => self.state(head, r.height)?.serve_storage(r, bytes_max).ok().map(Response::Storage),
            Request::RangeProof(r) => self.state(head, r.height)?.serve_range_proof(r).ok().map(Response::RangeProof),
            Request::Code(r) => {
                let (_, state) = self.chain.states.range(..=head.min(LENGTH)).next_back()?;
                state.serve_code(&r.hashes, bytes_max).ok().map(Response::Code)
            }
            _ => None,
        }
    }

    fn lie(&mut self, lie: Lie, honest: Response, head: u64, request: &Request, rng: &mut ChaCha8Rng) -> Response {
        match lie {
            Lie::Repeated => {
                self.last_answer.replace(honest.clone()).filter(|r| r.answers(request.kind())).unwrap_or(honest)
            }
            Lie::Kind => Response::Snapshots(self.offers(head)),
            Lie::Oversized => self.piece(head, &widest(request)).unwrap_or(honest),
            lie => StatePiece::of(&honest).map_or(honest, |piece| piece.spoil(lie, rng)),
        }
    }
}

/// A task's kind, for traces.
pub fn name(task: &StateTask) -> &'static str {
    match task {
        StateTask::Accounts { .. } => "accounts",
        StateTask::Storage { .. } => "storage",
        StateTask::Code { .. } => "code",
        StateTask::RangeProof { .. } => "a proof",
    }
}
