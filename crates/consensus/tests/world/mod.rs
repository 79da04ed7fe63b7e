//! A simulated network of nodes: seeded delays, loss, duplication, a crash with a restart, one equivocator.
//!
//! Every node runs the real core. The world carries out its outputs as the service does, and checks, whatever happens:
//! no two blocks are certified at one height, and no honest validator ever publishes two messages that conflict.

mod node;

use crate::fixture::Fixture;
use alloy_primitives::B256;
use heddle_consensus::{CheckedMessage, ConsensusConfig, Input, Timeout};
use heddle_primitives::{CertifiedBlock, ConsensusMessage, Height, ValidatorAddress};
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
    /// From when to when nothing gets through at all.
    pub blackout: Option<(Millis, Millis)>,
    /// Whether the crash takes the whole log with it (never the sign state).
    pub lose_log: bool,
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

    fn apply(&mut self, index: usize, event: Event) {
        match event {
            Event::Restart => self.boot(index),
            Event::Sync => {
                self.sync(index);
                self.after(index, Self::SYNC_INTERVAL, Event::Sync);
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
        let copies = 1 + usize::from(self.rng.random_ratio(self.faults.duplicate_percent, 100));
        for _ in 0..copies {
            let delay = self.rng.random_range(1..=self.faults.delay_max);
            self.after(to, delay, Event::Deliver(message.clone()));
        }
    }

    fn is_lost(&mut self) -> bool {
        let dark = self.faults.blackout.is_some_and(|(from, until)| (from..until).contains(&self.now));
        dark || self.rng.random_ratio(self.faults.loss_percent, 100)
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
