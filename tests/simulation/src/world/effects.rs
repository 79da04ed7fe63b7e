//! What a node does to the world.

use super::World;
use crate::checks::Checks;
use crate::event::{Effect, Event, Wire};
use crate::time::{Micros, SECOND};
use crate::without_bugs;
use heddle_primitives::{CertifiedBlock, ConsensusMessage, Height, Request, Response, Round};
use heddle_sync::PeerFault;
use rand::Rng;
use std::rc::Rc;

impl World {
    pub(super) fn apply(&mut self, index: usize, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::After(delay, event) => self.push(self.now + delay, index, event),
            Effect::Publish(message) => return self.publish(index, *message),
            Effect::Ask(to, id, request) => self.ask(index, to, id, request),
            Effect::Answer(to, id, response) => self.answer(index, to, id, response),
            Effect::Committed(block) => return self.committed(index, &block),
            Effect::Round(height, round) => return self.round(index, height, round),
            Effect::Refused => self.summary.refused += 1,
            Effect::Blames(peer, fault) => return self.blames(index, peer, &fault),
            Effect::Note(text) => self.trace.note(self.now, index, &text),
        }
        Ok(())
    }

    /// What was forged, no honest node sends.
    fn blames(&mut self, index: usize, peer: usize, fault: &PeerFault) -> Result<(), String> {
        self.trace.note(self.now, index, &format_args!("blames node {peer}: {fault}"));
        let is_forged =
            matches!(fault, PeerFault::InvalidHeader(_) | PeerFault::InvalidBlock(_) | PeerFault::WrongAccessList(..));
        if is_forged && self.scenario.is_honest(index) && self.scenario.is_honest(peer) {
            return Err(format!("node {index} blames node {peer}, which is honest: {fault}"));
        }
        Ok(())
    }

    fn publish(&mut self, from: usize, message: ConsensusMessage) -> Result<(), String> {
        if !self.scenario.is_honest(from) {
            return self.deceive(from, &message);
        }
        let wire = Rc::new(Wire::new(message));
        let message = &wire.message;
        self.check_published(from, &wire)?;
        if let ConsensusMessage::Proposal(message) = &wire.message {
            let proposal = &message.proposal.proposal;
            self.traffic.proposed(proposal.height, proposal.round, self.now);
        }
        self.adversary.hear(message);
        self.spread(from, None, &wire);
        Ok(())
    }

    /// Sends a message to all of the mesh but where it came from.
    fn spread(&mut self, node: usize, source: Option<usize>, wire: &Rc<Wire>) {
        self.is_news(node, wire);
        for to in self.network.mesh(node).into_iter().filter(|to| Some(*to) != source) {
            self.send(node, to, wire, 0);
        }
    }

    /// Whether a node has not seen a message before; now it has.
    fn is_news(&mut self, node: usize, wire: &Rc<Wire>) -> bool {
        self.nodes[node].seen.insert(Rc::as_ptr(wire) as usize, Rc::clone(wire)).is_none()
    }

    /// Takes in a message in a mesh: whoever follows the rules passes on what is new and good. False when it is not new.
    pub(super) fn forward(&mut self, node: usize, source: usize, wire: &Rc<Wire>) -> bool {
        if !self.is_news(node, wire) {
            return false;
        }
        let context = self.fixture.genesis.signing_context();
        let validators = self.referee.validators(wire.message.height());
        if validators.is_ok_and(|validators| wire.check(&validators, &context).is_ok()) {
            self.spread(node, Some(source), wire);
        }
        true
    }

    fn check_published(&mut self, from: usize, wire: &Wire) -> Result<(), String> {
        // Evidence may be as old as it likes.
        if matches!(wire.message, ConsensusMessage::Evidence(_)) {
            return Ok(());
        }
        let (message, own) = (&wire.message, self.fixture.address(from));
        let validators = self.referee.validators(message.height())?;
        let context = self.fixture.genesis.signing_context();
        self.checks.published(message, own, &validators, &context)?;
        wire.check(&validators, &context)
            .map(drop)
            .map_err(|fault| format!("node {from} sends what is refused: {fault}"))
    }

    /// Sends a message to one node, over whatever the network is now.
    pub(super) fn send(&mut self, from: usize, to: usize, wire: &Rc<Wire>, late_by: Micros) {
        let faults = self.scenario.faults_at(self.now);
        if self.network.is_cut(from, to, self.now, faults) {
            return;
        }
        let (loss, duplicate) = faults.map_or((0, 0), |faults| (faults.loss_percent, faults.duplicate_percent));
        if self.rng.random_ratio(loss, 100) {
            return;
        }
        self.traffic.messages += 1;
        self.traffic.bytes += wire.bytes as u64;
        let copies = 1 + usize::from(self.rng.random_ratio(duplicate, 100));
        for _ in 0..copies {
            let faults = self.scenario.faults_at(self.now);
            let delay = self.network.delay(from, to, faults, &mut self.rng);
            self.push(self.now + late_by + delay, to, Event::Gossip(from, Rc::clone(wire)));
        }
    }

    /// Requests and answers travel over connections: they are late where a message would be lost, but a cut stops them.
    fn connect(&mut self, from: usize, to: usize, event: Event) {
        let faults = self.scenario.faults_at(self.now);
        if self.network.is_cut(from, to, self.now, faults) {
            return;
        }
        let loss = faults.map_or(0, |faults| faults.loss_percent);
        let mut delay = self.network.delay(from, to, faults, &mut self.rng);
        while self.rng.random_ratio(loss, 100) {
            delay += SECOND / 5;
        }
        self.push(self.now + delay, to, event);
    }

    fn ask(&mut self, from: usize, to: usize, id: u64, request: Request) {
        self.connect(from, to, Event::Request(from, id, request));
    }

    fn answer(&mut self, from: usize, to: usize, id: u64, response: Response) {
        let response = self.answer_of(from, response);
        self.connect(from, to, Event::Response(from, id, Some(Rc::new(response))));
    }

    /// A node that is down is not reached.
    pub(super) fn refuse(&mut self, from: usize, to: usize, id: u64) {
        self.connect(from, to, Event::Response(from, id, None));
    }

    fn committed(&mut self, index: usize, block: &CertifiedBlock) -> Result<(), String> {
        let height = block.certificate().height;
        self.trace.note(self.now, index, &format_args!("commits {height} {}", block.hash()));
        self.traffic.committed(height, self.now);
        if !self.scenario.is_honest(index) {
            return Ok(());
        }
        if self.target.is_some() && self.summary.resumed_after == 0 && height.as_u64() > self.referee.height() {
            self.summary.resumed_after = self.now - self.scenario.heal_at;
        }
        let context = self.fixture.genesis.signing_context();
        let validators = self.referee.validators(height)?;
        without_bugs(|| {
            self.checks.committed(index, block.certificate(), &validators, &context)?;
            self.referee.judge(block, self.now)
        })?;
        self.summary.rounds_max = self.summary.rounds_max.max(block.certificate().round.as_u32() + 1);
        match &self.nodes[index].process {
            Some(process) => Checks::state_root(index, process.chain()),
            None => Ok(()),
        }
    }

    fn round(&mut self, index: usize, height: Height, round: Round) -> Result<(), String> {
        self.trace.note(self.now, index, &format_args!("enters {height}/{round}"));
        if !self.scenario.is_honest(index) {
            return Ok(());
        }
        let validators = self.referee.validators(height)?;
        self.checks.justify_round(self.fixture.address(index), height, round, &validators)?;
        if self.target.is_some() { self.checks.count_round(index, height, round) } else { Ok(()) }
    }
}
