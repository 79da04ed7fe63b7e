//! What Byzantine nodes send in place of what their cores wanted.

use super::World;
use crate::byzantine::Behaviour;
use crate::event::Wire;
use crate::fixture::GENESIS_TIME;
use crate::time::SECOND;
use heddle_chain::BuildRequest;
use heddle_primitives::{ConsensusMessage, ProposedBlock, Response};
use rand::Rng;
use std::rc::Rc;

impl World {
    pub(super) fn deceive(&mut self, from: usize, message: &ConsensusMessage) -> Result<(), String> {
        let Ok(validators) = self.referee.validators(message.height()) else { return Ok(()) };
        // Its core counts its own vote as it was, and may put it into certificates.
        self.checks.signed(message, &validators);
        let spare = self.spare_block(from, message);
        let chain = self.nodes[from].process.as_ref().map(|process| process.chain().clone());
        let deception = self.adversary.deceive(from, message, spare, chain.as_ref(), &mut self.rng);
        let wires = Vec::from_iter(deception.messages.into_iter().map(|message| {
            self.checks.signed(&message, &validators);
            self.adversary.hear(&message);
            Rc::new(Wire::new(message))
        }));
        for sent in deception.sent {
            if let Some(wire) = wires.get(sent.message) {
                self.send(from, sent.to, wire, sent.late_by);
            }
        }
        Ok(())
    }

    /// A valid block that a node could propose, and nobody else would: an empty one, dated a little later.
    fn spare_block(&mut self, from: usize, message: &ConsensusMessage) -> Option<ProposedBlock> {
        let wanted = match message {
            ConsensusMessage::Proposal(_) => self.adversary.does(from, Behaviour::Equivocates),
            ConsensusMessage::Vote(_) => self.adversary.does(from, Behaviour::ProposesInvalid),
            _ => false,
        };
        let process = self.nodes[from].process.as_ref().filter(|_| wanted)?;
        let request = BuildRequest {
            timestamp: GENESIS_TIME + self.now / SECOND + self.rng.random_range(1..10),
            fee_recipient: self
                .referee
                .validators(message.height())
                .ok()?
                .get(&self.fixture.address(from))?
                .fee_recipient,
            candidates: Box::new(std::iter::empty()),
            deadline: &|| false,
        };
        let built = process.chain().build(request).ok()?;
        (built.proposed.block.header.number == message.height().as_u64()).then_some(built.proposed)
    }

    /// What a node answers: the truth, or not.
    pub(super) fn answer_of(&mut self, from: usize, truth: Response) -> Response {
        if self.adversary.does(from, Behaviour::LiesToSync) && self.rng.random_ratio(2, 3) {
            return self.adversary.lie(truth, &mut self.rng);
        }
        truth
    }
}
