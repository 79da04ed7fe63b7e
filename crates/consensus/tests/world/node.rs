//! One simulated node: what is durable, what a crash takes, and how the core's outputs are carried out.

use super::{Event, Millis, World};
use crate::fixture::Fixture;
use heddle_consensus::{Core, Identity, Input, Output, Timeout};
use heddle_primitives::{
    CertifiedBlock, ConsensusMessage, FinalizedBlock, Height, ProposedBlock, Round, SignedVote, Validator, VoteKind,
};
use rand::Rng;
use std::collections::BTreeMap;

/// A block with this salt breaks a rule.
const INVALID: &[u8] = b"invalid";

pub struct Node {
    /// Counts restarts.
    pub life: u64,
    /// Absent while the node is down.
    core: Option<Core>,
    timers: BTreeMap<Timeout, u64>,
    schedules: u64,
    // What survives a crash.
    chain: Vec<CertifiedBlock>,
    log: Vec<Vec<u8>>,
    sign_state: Option<Vec<u8>>,
    /// The sign state when the first block was committed.
    backup: Option<Vec<u8>>,
    /// Before this time it signs nothing.
    pub listens_until: Millis,
    // What a crash may take.
    unsynced: Vec<Vec<u8>>,
    unsynced_sign_state: Option<Vec<u8>>,
    index: usize,
    key_count: usize,
    blocks_built: u64,
}

impl Node {
    pub fn new(fixture: &Fixture, index: usize) -> Self {
        Self {
            life: 0,
            core: None,
            timers: BTreeMap::new(),
            schedules: 0,
            chain: Vec::new(),
            log: Vec::new(),
            sign_state: None,
            backup: None,
            listens_until: 0,
            unsynced: Vec::new(),
            unsynced_sign_state: None,
            index,
            key_count: fixture.keys.len(),
            blocks_built: 0,
        }
    }

    /// Height of the last committed block.
    pub fn head(&self) -> u64 {
        self.chain.len() as u64
    }

    /// The height after the head.
    pub fn next(&self) -> u64 {
        self.head() + 1
    }

    pub fn is_down(&self) -> bool {
        self.core.is_none()
    }

    pub fn round(&self) -> Option<Round> {
        self.core.as_ref().map(Core::round)
    }

    /// Takes the node down for ever.
    pub fn kill(&mut self) {
        self.core = None;
        self.timers.clear();
        self.life += 1;
    }

    /// The height that the core works on.
    pub fn height(&self) -> Height {
        self.core.as_ref().map_or(Height::GENESIS, Core::height)
    }

    /// Whether this is the last schedule of a running timeout, which it then ends.
    pub fn timer_elapsed(&mut self, timeout: Timeout, schedule: u64) -> bool {
        self.timers.get(&timeout) == Some(&schedule) && self.timers.remove(&timeout).is_some()
    }

    pub fn describe(&self) -> String {
        let round = self.core.as_ref().map(Core::round);
        format!("node {} of {}: head {}, round {round:?}", self.index, self.key_count, self.head())
    }
}

impl World {
    /// Starts a node from what is durable.
    pub(super) fn boot(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let identity = Identity {
            context: self.fixture.context,
            key: Some(self.fixture.keys[index].clone()),
            sign_state: node.sign_state.clone(),
        };
        let head = Height::new(node.head());
        let core = Core::listen(identity, head, self.fixture.validators.clone(), &node.log)
            .expect("a log cut at any place can be read");
        node.core = Some(core);
        let first_sync = self.rng.random_range(1..=Self::SYNC_INTERVAL);
        self.after(index, first_sync, Event::Sync);
        self.after(index, 0, Event::StartHeight(head.next()));
    }

    pub(super) fn feed(&mut self, index: usize, input: Input) {
        let Some(core) = &mut self.nodes[index].core else { return };
        let outputs = core.handle(input).expect("no input makes the core fail");
        self.carry_out(index, outputs);
    }

    /// One durable or visible step of a node; false when it crashes here.
    fn step(&mut self, index: usize) -> bool {
        match &mut self.faults.crash {
            Some((crashing, 0)) if *crashing == index => {
                self.crash(index);
                false
            }
            Some((crashing, steps)) if *crashing == index => {
                *steps -= 1;
                true
            }
            _ => true,
        }
    }

    /// The node loses its memory, and what it had not synced: the disk may have taken some of that, in order.
    fn crash(&mut self, index: usize) {
        self.faults.crash = None;
        self.crashed = true;
        let down_time = self.rng.random_range(1..=5_000);
        let survivors = self.rng.random_range(0..=self.nodes[index].unsynced.len());
        let node = &mut self.nodes[index];
        node.kill();
        let unsynced = std::mem::take(&mut node.unsynced);
        node.log.extend(unsynced.into_iter().take(survivors));
        node.unsynced_sign_state = None;
        if self.faults.lose_log || self.faults.restore_backup {
            node.log.clear();
        }
        if self.faults.restore_backup {
            node.sign_state = node.backup.clone();
            node.listens_until = self.now + down_time + Self::LISTEN;
        }
        self.after(index, down_time, Event::Restart);
    }

    /// Log first, then sign state; false when the node crashes in between.
    fn flush(&mut self, index: usize) -> bool {
        if !self.step(index) {
            return false;
        }
        let node = &mut self.nodes[index];
        let unsynced = std::mem::take(&mut node.unsynced);
        node.log.extend(unsynced);
        if !self.step(index) {
            return false;
        }
        let node = &mut self.nodes[index];
        if let Some(state) = node.unsynced_sign_state.take() {
            node.sign_state = Some(state);
        }
        true
    }

    fn carry_out(&mut self, index: usize, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Log(record) => self.nodes[index].unsynced.push(record),
                Output::SignState(state) => self.nodes[index].unsynced_sign_state = Some(state),
                Output::Publish(message) => {
                    if !self.flush(index) {
                        return;
                    }
                    self.broadcast(index, &message);
                }
                Output::Decide(block) => {
                    if !self.flush(index) || !self.commit(index, *block) {
                        return;
                    }
                }
                output => self.carry_out_volatile(index, output),
            }
        }
    }

    /// Outputs that leave nothing on disk.
    fn carry_out_volatile(&mut self, index: usize, output: Output) {
        match output {
            Output::ScheduleTimeout(timeout) => {
                let node = &mut self.nodes[index];
                node.schedules += 1;
                let schedule = node.schedules;
                node.timers.insert(timeout, schedule);
                let delay = self.config.duration(timeout).as_millis() as Millis;
                self.after(index, delay, Event::Elapsed(timeout, schedule));
            }
            Output::CancelTimeout(timeout) => drop(self.nodes[index].timers.remove(&timeout)),
            Output::CancelAllTimeouts => self.nodes[index].timers.clear(),
            Output::Build { height, round } => {
                let node = &mut self.nodes[index];
                node.blocks_built += 1;
                let salt = [index as u8, node.life as u8, node.blocks_built as u8];
                let block = self.fixture.block(node.chain.last(), index, &salt);
                let delay = self.rng.random_range(1..=20);
                self.after(index, delay, Event::Answer(Input::Built { height, round, block }));
            }
            Output::Validate { height, block_hash, block, proposer } => {
                let valid = is_valid(&block, &proposer, self.nodes[index].chain.last());
                let delay = self.rng.random_range(1..=30);
                self.after(index, delay, Event::Answer(Input::Validated { height, block_hash, valid }));
            }
            Output::Behind(_) => self.after(index, 1, Event::Sync),
            Output::SignatureRefused(_) => self.refused_signatures += 1,
            _ => {}
        }
    }

    /// Commits, then empties the log: two steps, with a crash between them in some runs.
    fn commit(&mut self, index: usize, block: CertifiedBlock) -> bool {
        self.note_certified(&block);
        if !self.step(index) {
            return false;
        }
        let node = &mut self.nodes[index];
        if block.certificate().height.as_u64() == node.next() {
            node.chain.push(block);
            node.backup = node.backup.take().or_else(|| node.sign_state.clone());
        }
        if !self.step(index) {
            return false;
        }
        let node = &mut self.nodes[index];
        let next = Height::new(node.next());
        if !node.core.as_ref().is_some_and(|core| core.needs_log(Height::new(node.head()))) {
            node.log.clear();
            node.unsynced.clear();
        }
        self.after(index, Self::BLOCK_TIME, Event::StartHeight(next));
        true
    }

    /// Fetches the next block from some other node, and commits it as sync does.
    pub(super) fn sync(&mut self, index: usize) {
        let peer = self.rng.random_range(0..self.nodes.len());
        let lost = self.is_lost();
        let next = self.nodes[index].head() as usize;
        let Some(block) = self.nodes[peer].chain.get(next).filter(|_| !lost) else { return };
        let finalized = FinalizedBlock { proposed: block.proposed().clone(), certificate: block.certificate().clone() };
        let block = CertifiedBlock::verify(finalized, &self.fixture.validators, &self.fixture.context)
            .expect("nodes serve what they committed");
        if self.nodes[index].is_down() || !self.commit(index, block) {
            return;
        }
        let head = Height::new(self.nodes[index].head());
        self.feed(index, Input::Superseded { head });
    }

    /// Sends each peer the message, or one that conflicts with it, or both.
    pub(super) fn equivocate(&mut self, from: usize, message: &ConsensusMessage) {
        let conflicting = match message {
            ConsensusMessage::Vote(signed) => ConsensusMessage::Vote(self.contradict(from, signed)),
            ConsensusMessage::Proposal(message) => {
                let (height, round) = (message.proposal.proposal.height, message.proposal.proposal.round);
                let salt = if self.rng.random_ratio(1, 3) { INVALID } else { b"twin" };
                let node = &self.nodes[from];
                if height.as_u64() != node.next() {
                    return;
                }
                let body = self.fixture.block(node.chain.last(), from, salt);
                self.fixture.proposal(from, round.as_u32(), None, &body)
            }
            other => other.clone(),
        };
        for to in 0..self.nodes.len() {
            match self.rng.random_range(0..10) {
                0..5 => self.send(from, to, message.clone()),
                5..8 => self.send(from, to, conflicting.clone()),
                _ => {
                    self.send(from, to, conflicting.clone());
                    self.send(from, to, message.clone());
                }
            }
        }
    }

    /// A vote for nil instead of a block, or for some block of the equivocator instead of nil.
    fn contradict(&self, from: usize, signed: &SignedVote) -> SignedVote {
        let vote = &signed.vote;
        let twin = self.fixture.block(self.nodes[from].chain.last(), from, b"twin").hash();
        let hash = match (vote.block_hash, vote.kind) {
            (Some(_), VoteKind::Prevote) => None,
            (Some(hash), VoteKind::Precommit) if hash != twin => Some(twin),
            (Some(_), VoteKind::Precommit) => None,
            (None, _) => Some(twin),
        };
        self.fixture.vote(from, vote.height.as_u64(), vote.round.as_u32(), vote.kind, hash)
    }
}

/// The rules of a simulated block.
fn is_valid(block: &ProposedBlock, proposer: &Validator, parent: Option<&CertifiedBlock>) -> bool {
    let header = &block.block.header;
    let on_head = parent.is_none_or(|parent| header.parent_hash == parent.hash());
    on_head && header.beneficiary == proposer.fee_recipient && header.extra_data.as_ref() != INVALID
}
