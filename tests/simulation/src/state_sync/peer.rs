//! Peers: honest ones, hindered ones, and liars of every kind.

use super::chain::{INTERVAL, LENGTH, STARTED_AT, ServedChain};
use alloy_primitives::{B256, Bytes, U256};
use heddle_primitives::{
    AccountsRequest, BlocksRequest, Height, Refusal, Request, Response, SnapshotOffer, StateTask, StorageRequest,
};
use heddle_state::StateView;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// A value that is not so.
    Value,
    /// A leaf is left out between others.
    Hole,
    /// A leaf that is not there.
    Extra,
    /// Two leaves in the wrong order.
    Order,
    /// The end is left out.
    Short,
    /// A node of the proof is left out.
    Proof,
    /// Nothing.
    Empty,
    /// The answer to another question, given before.
    Repeated,
    /// Far more than was asked for.
    Oversized,
    /// An answer of another kind.
    Kind,
}

impl Lie {
    const ALL: [Self; 10] = [
        Self::Value,
        Self::Hole,
        Self::Extra,
        Self::Order,
        Self::Short,
        Self::Proof,
        Self::Empty,
        Self::Repeated,
        Self::Oversized,
        Self::Kind,
    ];

    /// Whether it can be true nevertheless: a shorter or a longer answer may be right, and so may an old one.
    fn may_be_true(self) -> bool {
        matches!(self, Self::Short | Self::Proof | Self::Empty | Self::Repeated | Self::Oversized)
    }
}

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
        let is_wrong = told != honest && !lie.may_be_true();
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

/// The same request without an end.
fn widest(request: &Request) -> Request {
    let all = B256::repeat_byte(0xff);
    match request.clone() {
        Request::Accounts(r) => Request::Accounts(AccountsRequest { first: B256::ZERO, last: all, ..r }),
        Request::Storage(r) => Request::Storage(StorageRequest { first: B256::ZERO, last: all, ..r }),
        other => other,
    }
}

/// An answer that can be spoiled.
struct StatePiece(Response);

impl StatePiece {
    fn of(response: &Response) -> Option<Self> {
        let is_piece = matches!(
            response,
            Response::Accounts(_) | Response::Storage(_) | Response::Code(_) | Response::RangeProof(_)
        );
        is_piece.then(|| Self(response.clone()))
    }

    fn spoil(self, lie: Lie, rng: &mut ChaCha8Rng) -> Response {
        match self.0 {
            Response::Accounts(mut range) => {
                spoil_leaves(
                    lie,
                    &mut range.accounts,
                    rng,
                    |leaf| leaf.account.balance += U256::ONE,
                    |leaf| leaf.key = next(leaf.key),
                );
                spoil_proof(lie, &mut range.proof, rng);
                Response::Accounts(range)
            }
            Response::Storage(mut ranges) => {
                let account = rng.random_range(0..ranges.accounts.len().max(1));
                if let Some(slots) = ranges.accounts.get_mut(account) {
                    spoil_leaves(lie, slots, rng, |leaf| leaf.value += U256::ONE, |leaf| leaf.key = next(leaf.key));
                }
                spoil_proof(lie, &mut ranges.proof, rng);
                Response::Storage(ranges)
            }
            Response::Code(mut codes) => {
                if let (Lie::Value | Lie::Extra, Some(code)) = (lie, codes.first_mut()) {
                    *code = [code, &[0][..]].concat().into();
                } else if lie == Lie::Empty {
                    codes.clear();
                }
                Response::Code(codes)
            }
            Response::RangeProof(mut nodes) => {
                spoil_proof(lie, &mut nodes, rng);
                if let (Lie::Value, Some(node)) = (lie, nodes.first_mut()) {
                    *node = [node, &[0][..]].concat().into();
                }
                Response::RangeProof(nodes)
            }
            other => other,
        }
    }
}

fn next(key: B256) -> B256 {
    B256::from(U256::from_be_bytes(key.0).wrapping_add(U256::ONE))
}

fn spoil_leaves<T: Clone>(
    lie: Lie,
    leaves: &mut Vec<T>,
    rng: &mut ChaCha8Rng,
    alter: impl Fn(&mut T),
    shift: impl Fn(&mut T),
) {
    let at = rng.random_range(0..leaves.len().max(1));
    match lie {
        Lie::Value => leaves.get_mut(at).into_iter().for_each(alter),
        Lie::Hole if leaves.len() > 2 => drop(leaves.remove(at.clamp(1, leaves.len() - 2))),
        Lie::Order if leaves.len() > 1 => leaves.swap(at.max(1) - 1, at.max(1)),
        Lie::Short => drop(leaves.pop()),
        Lie::Empty => leaves.clear(),
        Lie::Extra => {
            if let Some(mut leaf) = leaves.get(at).cloned() {
                shift(&mut leaf);
                leaves.insert(at + 1, leaf);
            }
        }
        _ => {}
    }
}

fn spoil_proof(lie: Lie, nodes: &mut Vec<Bytes>, rng: &mut ChaCha8Rng) {
    match lie {
        Lie::Proof if !nodes.is_empty() => drop(nodes.remove(rng.random_range(0..nodes.len()))),
        Lie::Empty => nodes.clear(),
        _ => {}
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
