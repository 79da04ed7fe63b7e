//! A simulated network of nodes: seeded delays, loss, duplication, a crash with a restart, one equivocator.
//!
//! Every node runs the real core. The world carries out its outputs as the service does, and checks, whatever happens:
//! no two blocks are certified at one height, and no honest validator ever publishes two messages that conflict.

mod node;

use crate::fixture::Fixture;
use alloy_primitives::B256;
use heddle_consensus::{CheckedMessage, ConsensusConfig, Input, Timeout};
use heddle_primitives::{CertifiedBlock, ConsensusMessage, Height, Round, ValidatorAddress};
use node::Node;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Milliseconds of simulated time.
pub type Millis = u64;

/// What can happen to a node.
#[derive(Debug)]
enum Event {
    Deliver(ConsensusMessage),
    /// With the number of the schedule call, so that a timeout that was started again does not elapse early.
    Elapsed(Timeout, u64),
    Answer(Input),
    StartHeight(Height),
    Sync,
    Restart,
}

/// The faults of one run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Share of messages lost, in percent.
    pub loss_percent: u32,
    /// Share of messages that arrive twice, in percent.
    pub duplicate_percent: u32,
    /// Longest delay of a message.
    pub delay_max: Millis,
    /// The node that signs conflicting messages and proposes invalid blocks.
    pub equivocator: Option<usize>,
    /// The node that crashes, after so many durable or visible steps.
    pub crash: Option<(usize, u64)>,
    /// From when to when the chain is halted.
    pub outage: Option<Outage>,
    /// Whether the crash takes the whole log with it (never the sign state).
    pub lose_log: bool,
    /// Whether the node comes back with no log and a copy of its sign state from its first block.
    pub restore_backup: bool,
}

/// A time in which the chain is halted, in two parts: first messages may get through here and there, so that rounds
/// pass, then none does.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    pub from: Millis,
    pub dark_from: Millis,
    pub until: Millis,
    /// Share of messages lost in the first part, in percent. Proposals are lost in any case.
    pub loss_percent: u32,
    /// How many validators, from this one on, are gone for ever when it begins.
    pub dead: (usize, usize),
}

impl Outage {
    fn loss_percent(&self, now: Millis) -> u32 {
        match now {
            now if (self.from..self.dark_from).contains(&now) => self.loss_percent,
            now if (self.dark_from..self.until).contains(&now) => 100,
            _ => 0,
        }
    }

    fn kills(&self, index: usize, count: usize) -> bool {
        let (first, dead) = self.dead;
        (index + count - first) % count < dead
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Summary {
    pub elapsed: Millis,
    pub refused_signatures: usize,
    pub crashed: bool,
}

/// The nodes, what is on its way to them, and what all have seen.
pub struct World {
    pub fixture: Fixture,
    faults: Faults,
    config: ConsensusConfig,
    rng: ChaCha8Rng,
    nodes: Vec<Node>,
    /// By time, then by order of sending. An event for an earlier life of its node is void.
    queue: BTreeMap<(Millis, u64), (usize, u64, Event)>,
    now: Millis,
    sequence: u64,
    certified: BTreeMap<Height, B256>,
    signed: BTreeMap<(ValidatorAddress, String), B256>,
    refused_signatures: usize,
    crashed: bool,
}

impl World {
    const BLOCK_TIME: Millis = 100;
    const SYNC_INTERVAL: Millis = 1_000;
    /// How long a node listens that may have forgotten what it signed.
    const LISTEN: Millis = 10_000;

    /// A world at genesis.
    pub fn new(count: u8, seed: u64, faults: Faults) -> Self {
        let fixture = Fixture::new(count);
        let nodes = (0..usize::from(count)).map(|index| Node::new(&fixture, index)).collect();
        let mut world = Self {
            fixture,
            faults,
            config: ConsensusConfig::default(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            nodes,
            queue: BTreeMap::new(),
            now: 0,
            sequence: 0,
            certified: BTreeMap::new(),
            signed: BTreeMap::new(),
            refused_signatures: 0,
            crashed: false,
        };
        for index in 0..world.nodes.len() {
            world.boot(index);
        }
        world
    }

    /// Runs until every node has committed `height`; panics when that takes longer than `limit`.
    pub fn run(mut self, height: u64, limit: Millis) -> Summary {
        while self.nodes.iter().any(|node| node.head() < height || node.is_down()) {
            let ((now, _), (index, life, event)) = self.queue.pop_first().expect("timers never run out");
            assert!(now <= limit, "no end: {:?}", self.nodes.iter().map(Node::describe).collect::<Vec<_>>());
            self.now = now;
            if self.nodes[index].life == life {
                self.apply(index, event);
            }
        }
        Summary { elapsed: self.now, refused_signatures: self.refused_signatures, crashed: self.crashed }
    }

    /// Runs through the outage and gives how long after its end the next block is certified, and the highest round then.
    pub fn recovery(mut self) -> (Millis, Round) {
        let outage = self.faults.outage.expect("there is an outage");
        let count = self.nodes.len();
        let mut at_the_end = None;
        loop {
            let ((now, _), (index, life, event)) = self.queue.pop_first().expect("timers never run out");
            self.now = now;
            if now >= outage.from && outage.kills(index, count) {
                self.nodes[index].kill();
            }
            if now >= outage.until && at_the_end.is_none() {
                let round = self.nodes.iter().filter_map(Node::round).max().expect("somebody is alive");
                at_the_end = Some((self.certified.len(), round));
            }
            if self.nodes[index].life == life {
                self.apply(index, event);
            }
            if let Some((certified, round)) = at_the_end.filter(|(certified, _)| self.certified.len() > *certified) {
                let _ = certified;
                return (now - outage.until, round);
            }
        }
    }

    fn apply(&mut self, index: usize, event: Event) {
        match event {
            Event::Restart => self.boot(index),
            Event::Sync => {
                self.sync(index);
                self.after(index, Self::SYNC_INTERVAL, Event::Sync);
            }
            // It does not mind what it signed itself, where an honest core would fall silent.
            Event::Deliver(message) if self.faults.equivocator == Some(index) && self.is_signed_by(index, &message) => {
            }
            Event::Deliver(message) => {
                let checked = CheckedMessage::check(message, &self.fixture.validators, &self.fixture.context);
                self.feed(index, Input::Message(checked.expect("even the equivocator signs properly")));
            }
            Event::Elapsed(timeout, schedule) => {
                if self.nodes[index].timer_elapsed(timeout, schedule) {
                    self.feed(index, Input::Timeout(timeout));
                }
            }
            Event::Answer(input) => self.feed(index, input),
            Event::StartHeight(height) if self.now < self.nodes[index].listens_until => {
                let wait = self.nodes[index].listens_until - self.now;
                self.after(index, wait, Event::StartHeight(height));
            }
            Event::StartHeight(height) => {
                // Void when sync has gone further meanwhile.
                if self.nodes[index].next() == height.as_u64() && self.nodes[index].height() < height {
                    let validators = self.fixture.validators.clone();
                    self.feed(index, Input::StartHeight { height, validators });
                }
            }
        }
    }

    /// Puts an event for a node into its present life.
    fn after(&mut self, index: usize, delay: Millis, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now + delay, self.sequence), (index, self.nodes[index].life, event));
    }

    /// Sends a message to the other nodes, over a bad network.
    fn broadcast(&mut self, from: usize, message: &ConsensusMessage) {
        if self.faults.equivocator == Some(from) {
            return self.equivocate(from, message);
        }
        self.note_signature(message, from);
        for to in 0..self.nodes.len() {
            self.send(from, to, message.clone());
        }
    }

    fn send(&mut self, from: usize, to: usize, message: ConsensusMessage) {
        if from == to || self.is_lost() {
            return;
        }
        let is_proposal = matches!(message, ConsensusMessage::Proposal(_));
        if is_proposal && self.faults.outage.is_some_and(|outage| (outage.from..outage.until).contains(&self.now)) {
            return;
        }
        let copies = 1 + usize::from(self.rng.random_ratio(self.faults.duplicate_percent, 100));
        for _ in 0..copies {
            let delay = self.rng.random_range(1..=self.faults.delay_max);
            self.after(to, delay, Event::Deliver(message.clone()));
        }
    }

    fn is_lost(&mut self) -> bool {
        let outage = self.faults.outage.map_or(0, |outage| outage.loss_percent(self.now));
        self.rng.random_ratio(self.faults.loss_percent.max(outage), 100)
    }

    /// Whether a certificate holds a signature of a node.
    fn is_signed_by(&self, index: usize, message: &ConsensusMessage) -> bool {
        let address = self.fixture.validator(index).address;
        match message {
            ConsensusMessage::PolkaCertificate(polka) => polka.signatures.iter().any(|s| s.validator == address),
            ConsensusMessage::RoundCertificate(round) => round.signatures.iter().any(|s| s.validator == address),
            ConsensusMessage::CommitCertificate(commit) => commit.signatures.iter().any(|s| s.validator == address),
            _ => false,
        }
    }

    /// An honest validator signs one message for each height, round and kind, in all its lives.
    fn note_signature(&mut self, message: &ConsensusMessage, from: usize) {
        let own = self.fixture.validator(from).address;
        let (validator, slot, digest) = match message {
            ConsensusMessage::Vote(signed) => {
                let vote = &signed.vote;
                let slot = format!("{}/{}/{:?}", vote.height, vote.round, vote.kind);
                (vote.validator, slot, vote.digest(&self.fixture.context))
            }
            ConsensusMessage::Proposal(message) => {
                let proposal = &message.proposal.proposal;
                let slot = format!("{}/{}/proposal", proposal.height, proposal.round);
                (proposal.validator, slot, proposal.digest(&self.fixture.context))
            }
            _ => return,
        };
        if validator == own {
            let first = *self.signed.entry((validator, slot.clone())).or_insert(digest);
            assert_eq!(first, digest, "honest validator {from} contradicted itself at {slot}");
        }
    }

    /// No two blocks are certified at one height: what the whole exercise is about.
    fn note_certified(&mut self, block: &CertifiedBlock) {
        let height = block.certificate().height;
        let first = *self.certified.entry(height).or_insert(block.hash());
        assert_eq!(first, block.hash(), "two blocks certified at height {height}");
    }
}
