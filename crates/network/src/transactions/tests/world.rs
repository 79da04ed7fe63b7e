//! Relays in memory: links with delays, pools, and peers that lie. Time is told, chance is seeded.

use super::super::{
    FetchFailure, FetchId, Input, Output, Received, TransactionBudget, TransactionMetrics, TransactionRelay,
};
use crate::{Announcement, Judgement, Misbehaviour};
use alloy_primitives::{B256, Bytes, keccak256};
use heddle_primitives::{TransactionAnnouncement, TransactionBatch, TransactionRequest};
use libp2p::PeerId;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet},
    time::{Duration, Instant},
};

/// When a request is given up.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long a pool takes for what it is asked.
const POOL_TIME: Duration = Duration::from_millis(1);
/// Every pool refuses what starts so, for no fault of the peer's.
pub const USELESS: u8 = 0xee;
/// Every pool finds what starts so invalid.
pub const INVALID: u8 = 0xff;

/// Numbers that look random (xorshift).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// How a node behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    Honest,
    /// Honest, and takes this long for everything that it is sent.
    Slow(Duration),
    /// Says that it holds whatever it hears of, and answers no fetch.
    Silent,
    /// Answers every fetch with invalid transactions.
    Poisoner,
}

pub struct Node {
    pub id: PeerId,
    pub nature: Nature,
    pub relay: TransactionRelay,
    pub pool: BTreeMap<B256, Bytes>,
    /// Bytes of transactions received.
    pub received_bytes: usize,
    budgets: HashMap<PeerId, TransactionBudget>,
    ticks_at: Option<Instant>,
}

/// What crosses a link, with the token of the request.
#[derive(Clone)]
enum Message {
    Request(u64, TransactionRequest),
    Ack(u64),
    Batch(u64, Vec<Bytes>),
}

#[derive(Clone, Copy)]
enum Sent {
    Announce,
    Push,
    Fetch(FetchId),
}

enum Event {
    Deliver { from: usize, to: usize, message: Message },
    PoolDone { node: usize, output: Output },
    Timeout(u64),
    Tick(usize),
}

pub struct World {
    now: Instant,
    pub nodes: Vec<Node>,
    pub chance: Chance,
    /// Who was blamed, and for what.
    pub blamed: Vec<(usize, Misbehaviour)>,
    /// Requests of honest nodes that a budget refused.
    pub refused: usize,
    links: BTreeSet<(usize, usize)>,
    events: BTreeMap<u64, Event>,
    agenda: BinaryHeap<Reverse<(Instant, u64)>>,
    sent: HashMap<u64, (usize, usize, Sent)>,
    tokens: u64,
}

impl World {
    pub fn new(seed: u64, natures: &[Nature]) -> Self {
        let now = Instant::now();
        let node = |nature: &Nature| Node {
            id: PeerId::random(),
            nature: *nature,
            relay: TransactionRelay::new(TransactionMetrics::default(), now),
            pool: BTreeMap::new(),
            received_bytes: 0,
            budgets: HashMap::new(),
            ticks_at: None,
        };
        Self {
            now,
            nodes: natures.iter().map(node).collect(),
            chance: Chance::new(seed),
            blamed: Vec::new(),
            refused: 0,
            links: BTreeSet::new(),
            events: BTreeMap::new(),
            agenda: BinaryHeap::new(),
            sent: HashMap::new(),
            tokens: 0,
        }
    }

    pub fn link(&mut self, a: usize, b: usize) {
        if a != b && self.links.insert((a.min(b), a.max(b))) {
            for (one, other) in [(a, b), (b, a)] {
                let peer = self.nodes[other].id;
                self.tell(one, Input::Joined(peer));
            }
        }
    }

    /// A ring through the nodes that serve others, and `extra` links of every node to random ones.
    pub fn link_at_random(&mut self, extra: usize) {
        let serves = |nature| matches!(nature, Nature::Honest);
        let ring = Vec::from_iter((0..self.nodes.len()).filter(|node| serves(self.nodes[*node].nature)));
        for (index, node) in ring.iter().enumerate() {
            self.link(*node, ring[(index + 1) % ring.len()]);
        }
        for node in 0..self.nodes.len() {
            for _ in 0..extra {
                let other = self.chance.below(self.nodes.len());
                self.link(node, other);
            }
        }
    }

    /// Gives a node a transaction of its own.
    pub fn submit(&mut self, node: usize, raw: Bytes) -> B256 {
        let hash = self.add(node, raw.clone());
        let transactions = vec![announcement(hash, &raw)];
        self.tell(node, Input::Pending { transactions, announcement: Announcement::Local });
        hash
    }

    pub fn announce_again(&mut self, node: usize, hash: B256) {
        let transactions = vec![announcement(hash, &self.nodes[node].pool[&hash])];
        self.tell(node, Input::Pending { transactions, announcement: Announcement::Again });
    }

    fn add(&mut self, node: usize, raw: Bytes) -> B256 {
        let hash = keccak256(&raw);
        self.nodes[node].pool.insert(hash, raw);
        hash
    }

    /// Lets a peer say something that it was not asked for.
    pub fn say(&mut self, from: usize, to: usize, request: TransactionRequest) {
        self.tokens += 1;
        self.post(from, to, Message::Request(self.tokens, request));
    }

    /// Carries out everything that happens within `time`.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(Reverse((at, key))) = self.agenda.peek().copied().filter(|Reverse((at, _))| *at <= end) {
            self.agenda.pop();
            self.now = at;
            if let Some(event) = self.events.remove(&key) {
                self.happen(event);
            }
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, message } => self.deliver(from, to, message),
            Event::PoolDone { node, output } => self.pool_done(node, output),
            Event::Timeout(token) => self.fail(token, FetchFailure::Timeout),
            Event::Tick(node) => {
                if self.nodes[node].ticks_at.take_if(|at| *at <= self.now).is_some() {
                    self.tell(node, Input::Tick);
                }
            }
        }
    }

    fn after(&mut self, delay: Duration, event: Event) {
        self.tokens += 1;
        self.agenda.push(Reverse((self.now + delay, self.tokens)));
        self.events.insert(self.tokens, event);
    }

    fn post(&mut self, from: usize, to: usize, message: Message) {
        let mut delay = Duration::from_millis(5 + self.chance.below(45) as u64);
        if let Nature::Slow(time) = self.nodes[to].nature {
            delay += time;
        }
        self.after(delay, Event::Deliver { from, to, message });
    }

    fn index(&self, id: PeerId) -> usize {
        self.nodes.iter().position(|node| node.id == id).unwrap()
    }

    fn tell(&mut self, node: usize, input: Input) {
        for output in self.nodes[node].relay.handle(input, self.now) {
            self.carry_out(node, output);
        }
        let due = self.nodes[node].relay.due_at();
        if let Some(due) = due.filter(|due| self.nodes[node].ticks_at.is_none_or(|at| *due < at)) {
            self.nodes[node].ticks_at = Some(due);
            self.after(due.saturating_duration_since(self.now), Event::Tick(node));
        }
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        match output {
            Output::Announce { peer, transactions } => {
                self.send(node, peer, TransactionRequest::Announce(transactions), Sent::Announce);
            }
            Output::Fetch { peer, id, hashes } => {
                self.send(node, peer, TransactionRequest::Fetch(hashes), Sent::Fetch(id));
            }
            Output::Misbehaved { peer, misbehaviour } => self.blamed.push((self.index(peer), misbehaviour)),
            output => self.after(POOL_TIME, Event::PoolDone { node, output }),
        }
    }

    fn send(&mut self, node: usize, peer: PeerId, request: TransactionRequest, sent: Sent) {
        let to = self.index(peer);
        self.tokens += 1;
        let token = self.tokens;
        self.sent.insert(token, (node, to, sent));
        self.post(node, to, Message::Request(token, request));
        self.after(TIMEOUT, Event::Timeout(token));
    }

    fn fail(&mut self, token: u64, failure: FetchFailure) {
        let Some((node, to, sent)) = self.sent.remove(&token) else { return };
        let peer = self.nodes[to].id;
        self.tell(
            node,
            match sent {
                Sent::Announce => Input::AnnounceEnded { peer, taken: false },
                Sent::Push => Input::PushEnded { peer, taken: false },
                Sent::Fetch(id) => Input::FetchFailed { peer, id, failure },
            },
        );
    }

    fn deliver(&mut self, from: usize, to: usize, message: Message) {
        match message {
            Message::Request(token, request) => self.on_request(from, to, token, request),
            Message::Ack(token) => {
                let Some((node, _, sent)) = self.sent.remove(&token) else { return };
                let peer = self.nodes[from].id;
                match sent {
                    Sent::Announce => self.tell(node, Input::AnnounceEnded { peer, taken: true }),
                    Sent::Push => self.tell(node, Input::PushEnded { peer, taken: true }),
                    Sent::Fetch(_) => panic!("a fetch is not acknowledged"),
                }
            }
            Message::Batch(token, batch) => {
                let Some((node, _, Sent::Fetch(id))) = self.sent.remove(&token) else { return };
                let peer = self.nodes[from].id;
                let transactions = self.take(node, batch);
                self.tell(node, Input::Fetched { peer, id, transactions });
            }
        }
    }

    fn take(&mut self, node: usize, batch: Vec<Bytes>) -> Vec<Received> {
        self.nodes[node].received_bytes += batch.iter().map(|raw| raw.len()).sum::<usize>();
        batch.into_iter().map(|raw| Received { hash: keccak256(&raw), raw }).collect()
    }

    fn on_request(&mut self, from: usize, to: usize, token: u64, request: TransactionRequest) {
        let (peer, now) = (self.nodes[from].id, self.now);
        let budget = self.nodes[to].budgets.entry(peer).or_insert_with(|| TransactionBudget::new(now));
        if !budget.allow(&request, now) {
            self.refused += usize::from(matches!(self.nodes[from].nature, Nature::Honest | Nature::Slow(_)));
            return;
        }
        match (self.nodes[to].nature, request) {
            (Nature::Silent, TransactionRequest::Announce(transactions)) => {
                self.post(to, from, Message::Ack(token));
                for other in self.neighbours(to) {
                    self.say(to, other, TransactionRequest::Announce(transactions.clone()));
                }
            }
            (Nature::Silent, TransactionRequest::Fetch(_)) => {}
            (Nature::Poisoner, TransactionRequest::Fetch(_)) => {
                let poison = vec![Bytes::from_static(&[INVALID; 100])];
                self.post(to, from, Message::Batch(token, poison));
            }
            (_, TransactionRequest::Announce(transactions)) => {
                self.post(to, from, Message::Ack(token));
                self.tell(to, Input::Announced { peer, transactions });
            }
            (_, TransactionRequest::Push(TransactionBatch(batch))) => {
                self.post(to, from, Message::Ack(token));
                let transactions = self.take(to, batch);
                self.tell(to, Input::Pushed { peer, transactions });
            }
            (_, TransactionRequest::Fetch(hashes)) => {
                let batch = hashes.iter().filter_map(|hash| self.nodes[to].pool.get(hash).cloned()).collect();
                self.post(to, from, Message::Batch(token, batch));
            }
        }
    }

    fn neighbours(&self, node: usize) -> Vec<usize> {
        let other = |(a, b): &(usize, usize)| {
            if *a == node { Some(*b) } else { (*b == node).then_some(*a) }
        };
        self.links.iter().filter_map(other).collect()
    }

    fn pool_done(&mut self, node: usize, output: Output) {
        match output {
            Output::ListPending(peer) => {
                let transactions = self.nodes[node].pool.iter().map(|(hash, raw)| announcement(*hash, raw)).collect();
                self.tell(node, Input::Held { peer, transactions });
            }
            Output::Check { peer, mut transactions } => {
                transactions.retain(|transaction| !self.nodes[node].pool.contains_key(&transaction.hash));
                self.tell(node, Input::Lacking { peer, transactions });
            }
            Output::Push { peer, hashes } => {
                let batch = hashes.iter().filter_map(|hash| self.nodes[node].pool.get(hash).cloned()).collect();
                self.send(node, peer, TransactionRequest::Push(TransactionBatch(batch)), Sent::Push);
            }
            Output::Judge { peer, fetch, transactions } => self.judge(node, peer, fetch, transactions),
            _ => unreachable!("no question to the pool"),
        }
    }

    fn judge(&mut self, node: usize, peer: PeerId, fetch: Option<FetchId>, transactions: Vec<Bytes>) {
        let (mut judgement, mut pending) = (Judgement::default(), Vec::new());
        for raw in transactions {
            match raw[0] {
                INVALID => judgement.invalid += 1,
                USELESS => judgement.refused += 1,
                _ => {
                    judgement.accepted += 1;
                    pending.push(announcement(keccak256(&raw), &raw));
                    self.add(node, raw);
                }
            }
        }
        self.tell(node, Input::Judged { peer, fetch, judgement });
        self.tell(node, Input::Pending { transactions: pending, announcement: Announcement::Gossip });
    }

    /// The nodes of this nature.
    pub fn of(&self, nature: Nature) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.nature == nature)
    }

    /// Whether every honest node holds all of these.
    pub fn all_hold(&self, hashes: &HashSet<B256>) -> bool {
        self.of(Nature::Honest).all(|node| hashes.iter().all(|hash| node.pool.contains_key(hash)))
    }
}

pub fn announcement(hash: B256, raw: &Bytes) -> TransactionAnnouncement {
    TransactionAnnouncement { hash, bytes: raw.len() as u32 }
}

/// A transaction of this many bytes, at least 9; valid unless `first` says otherwise.
pub fn transaction(first: u8, number: u64, bytes: usize) -> Bytes {
    let mut raw = vec![first; bytes.max(9)];
    raw[1..9].copy_from_slice(&number.to_be_bytes());
    raw.into()
}
