//! Peers' messages, on the way that the handle and the loop take them.

use super::Consensus;
use crate::event::{Effect, Event, Wire};
use crate::node::application::Application;
use crate::node::{Env, Stop};
use heddle_consensus::Input;
use heddle_primitives::{ConsensusMessage, Evidence};

/// How many heights ahead messages are given to the core.
const HEIGHTS_AHEAD_MAX: u64 = 2;

impl Consensus {
    /// Takes in a peer's message, as the handle and the loop do.
    pub fn hear(&mut self, wire: &Wire, application: &mut Application, env: &mut Env<'_>) -> Result<(), Stop> {
        let (height, view) = (wire.message.height(), self.view.height);
        if let ConsensusMessage::Evidence(evidence) = &wire.message {
            return self.hear_evidence(evidence, application, env);
        }
        if height.next() < view {
            return Ok(());
        }
        let context = env.machine.fixture.genesis.signing_context();
        let message = match wire.check(self.view.validators_of(height), &context) {
            Ok(message) => message,
            Err(fault) => {
                env.effects.push(Effect::Note(format!("refuses it: {fault}")));
                return Ok(());
            }
        };
        if height > view.next() {
            env.after(0, Event::Wake);
        }
        if height.as_u64().saturating_sub(view.as_u64()) > HEIGHTS_AHEAD_MAX && !self.is_own(&wire.message) {
            return Ok(());
        }
        if let Some(pause) = &mut self.pause {
            pause.heard |= height >= pause.next;
        }
        self.feed(Input::Message(message), application, env)
    }

    /// Whether our key signed it: that matters wherever it belongs.
    fn is_own(&self, message: &ConsensusMessage) -> bool {
        match message {
            ConsensusMessage::Vote(signed) => signed.vote.validator == self.own,
            ConsensusMessage::Proposal(message) => message.proposal.proposal.validator == self.own,
            _ => false,
        }
    }

    /// Judges a peer's evidence and passes on what is new.
    fn hear_evidence(&mut self, evidence: &Evidence, application: &Application, env: &mut Env<'_>) -> Result<(), Stop> {
        let height = evidence.height();
        if height > self.view.height || self.accused.contains(&evidence.validator()) {
            return Ok(());
        }
        let context = env.machine.fixture.genesis.signing_context();
        let validators = application.validators(height)?;
        let proves = validators.is_some_and(|validators| evidence.verify(&validators, &context).is_ok());
        if proves { self.report(evidence.clone(), application, env) } else { Ok(()) }
    }

    /// Gives evidence to the chain, and tells peers when it is new.
    pub(super) fn report(
        &mut self,
        evidence: Evidence,
        application: &Application,
        env: &mut Env<'_>,
    ) -> Result<(), Stop> {
        if self.accused.contains(&evidence.validator()) || !application.report(evidence.clone())? {
            return Ok(());
        }
        self.accused.insert(evidence.validator());
        env.effects.push(Effect::Publish(Box::new(ConsensusMessage::Evidence(Box::new(evidence)))));
        Ok(())
    }
}
