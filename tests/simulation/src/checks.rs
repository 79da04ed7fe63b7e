//! The invariants, checked from outside the nodes: nothing here asks a node whether it is right.

mod referee;
mod votes;

pub use referee::Referee;

use crate::scenario::Scenario;
use alloy_primitives::B256;
use heddle_chain::Chain;
use heddle_primitives::StateChanges;
use heddle_primitives::{
    CommitCertificate, ConsensusMessage, Height, Round, SigningContext, ValidatorAddress, ValidatorSet, Vote, VoteKind,
};
use std::collections::{BTreeMap, BTreeSet};
use votes::Ledger;

/// Most rounds that a height may take once nothing goes wrong any more.
const ROUNDS_MAX: u32 = 20;

/// A signing position: height, round, and step (0 propose, 1 prevote, 2 precommit).
type Position = (Height, Round, u8);

/// What was seen so far.
#[derive(Default)]
pub struct Checks {
    /// The one block that was certified at each height.
    certified: BTreeMap<Height, B256>,
    /// Certificates that were counted already, by digest.
    counted: BTreeSet<B256>,
    /// What each node committed.
    committed: BTreeMap<(usize, Height), B256>,
    /// What each honest validator signed.
    signed: BTreeMap<(ValidatorAddress, Position), B256>,
    /// What anybody voted for.
    ledger: Ledger,
    /// Since the faults stopped: the height of each node and in which of its rounds it was first seen there.
    since: BTreeMap<usize, (Height, Round)>,
}

impl Checks {
    /// Notes a vote or a proposal that somebody signed.
    pub fn signed(&mut self, message: &ConsensusMessage, validators: &ValidatorSet) {
        match message {
            ConsensusMessage::Vote(signed) => self.ledger.note(&signed.vote),
            ConsensusMessage::Proposal(message) => self.ledger.note_proposal(&message.proposal.proposal, validators),
            _ => {}
        }
    }

    /// An honest validator signs one message for each height, round and step, in all its lives, and no vote that the
    /// votes of others do not justify.
    ///
    /// # Errors
    /// It contradicted itself, or broke its lock.
    pub fn published(
        &mut self,
        message: &ConsensusMessage,
        own: ValidatorAddress,
        validators: &ValidatorSet,
        context: &SigningContext,
    ) -> Result<(), String> {
        self.contradicts(message, own, context)?;
        self.signed(message, validators);
        let ConsensusMessage::Vote(signed) = message else { return Ok(()) };
        self.ledger.justify_value(&signed.vote, validators)?;
        self.ledger.justify(&signed.vote, validators)
    }

    fn contradicts(
        &mut self,
        message: &ConsensusMessage,
        own: ValidatorAddress,
        context: &SigningContext,
    ) -> Result<(), String> {
        let (validator, position, digest) = match message {
            ConsensusMessage::Vote(signed) => {
                let vote = &signed.vote;
                let step = if vote.kind == VoteKind::Prevote { 1 } else { 2 };
                (vote.validator, (vote.height, vote.round, step), vote.digest(context))
            }
            ConsensusMessage::Proposal(message) => {
                let proposal = &message.proposal.proposal;
                (proposal.validator, (proposal.height, proposal.round, 0), proposal.digest(context))
            }
            _ => return Ok(()),
        };
        let first = *self.signed.entry((validator, position)).or_insert(digest);
        if validator != own || first == digest {
            return Ok(());
        }
        let (height, round, step) = position;
        Err(format!("honest validator {own} signed two messages at height {height} round {round} step {step}"))
    }

    /// A committed block has a certificate that proves it, no other block has one at its height, and it never changes.
    ///
    /// # Errors
    /// Which of these does not hold.
    pub fn committed(
        &mut self,
        node: usize,
        certificate: &CommitCertificate,
        validators: &ValidatorSet,
        context: &SigningContext,
    ) -> Result<(), String> {
        let (height, hash) = (certificate.height, certificate.block_hash);
        if self.counted.insert(certificate.digest()) {
            count(certificate, validators, context)
                .map_err(|reason| format!("node {node} committed block {height} without proof: {reason}"))?;
        }
        let first = *self.certified.entry(height).or_insert(hash);
        if first != hash {
            return Err(format!("two blocks are certified at height {height}: {first} and {hash}"));
        }
        let before = *self.committed.entry((node, height)).or_insert(hash);
        if before != hash {
            return Err(format!("node {node} committed {before} and {hash} at height {height}"));
        }
        Ok(())
    }

    /// What a node's database holds is what it committed, to the last block.
    ///
    /// # Errors
    /// A block is missing or another one.
    pub fn kept(&self, node: usize, chain: &Chain) -> Result<(), String> {
        for ((_, height), hash) in self.committed.range((node, Height::GENESIS)..(node + 1, Height::GENESIS)) {
            let found = chain.header(height.as_u64()).map_err(|error| error.to_string())?.map(|header| header.seal());
            if found != Some(*hash) {
                return Err(format!("node {node} committed {hash} at height {height}, and now has {found:?} there"));
            }
        }
        Ok(())
    }

    /// A node's state root is the root of its state.
    ///
    /// # Errors
    /// It is another.
    pub fn state_root(node: usize, chain: &Chain) -> Result<(), String> {
        let head = chain.head();
        let found = crate::state_root::recompute(head.state().snapshot(), &StateChanges::default())?;
        let expected = head.header.state_root;
        if found == expected {
            return Ok(());
        }
        Err(format!("block {} of node {node} has state root {expected}, its state makes {found}", head.height()))
    }

    /// An honest validator enters a round only when votes justify it.
    ///
    /// # Errors
    /// They do not.
    pub fn justify_round(
        &self,
        own: ValidatorAddress,
        height: Height,
        round: Round,
        validators: &ValidatorSet,
    ) -> Result<(), String> {
        self.ledger.justify_round(own, height, round, validators)
    }

    /// Once nothing goes wrong, no height takes too many rounds.
    ///
    /// # Errors
    /// This one does.
    pub fn count_round(&mut self, node: usize, height: Height, round: Round) -> Result<(), String> {
        let since = self.since.entry(node).or_insert((height, round));
        if since.0 != height {
            *since = (height, round);
        }
        if round.as_u32().saturating_sub(since.1.as_u32()) <= ROUNDS_MAX {
            return Ok(());
        }
        Err(format!("node {node} is in round {round} of height {height}, and was in {} long after all faults", since.1))
    }

    /// The greatest height that any of the honest nodes committed.
    pub fn highest(&self, scenario: &Scenario) -> Height {
        let honest = self.committed.keys().filter(|(node, _)| scenario.is_honest(*node));
        honest.map(|(_, height)| *height).max().unwrap_or_default()
    }

    /// The greatest height that one node committed.
    pub fn head(&self, node: usize) -> Height {
        let of_node = (node, Height::GENESIS)..(node + 1, Height::GENESIS);
        self.committed.range(of_node).next_back().map_or(Height::GENESIS, |((_, height), _)| *height)
    }
}

/// Counts a certificate's signatures: distinct validators, each signature good, and more than two thirds of the power.
fn count(certificate: &CommitCertificate, validators: &ValidatorSet, context: &SigningContext) -> Result<(), String> {
    let CommitCertificate { height, round, block_hash, signatures } = certificate;
    let mut signers = BTreeSet::new();
    let mut signed = 0u64;
    for signature in signatures {
        let address = signature.validator;
        let member = validators.validators().iter().find(|validator| validator.address == address);
        let member = member.ok_or_else(|| format!("{address} is no validator"))?;
        let kind = VoteKind::Precommit;
        let vote = Vote { height: *height, round: *round, kind, block_hash: Some(*block_hash), validator: address };
        if !signature.signature.verify(&member.public_key, vote.digest(context)) {
            return Err(format!("the signature of {address} is forged"));
        }
        if signers.insert(address) {
            signed += member.power;
        }
    }
    let total: u64 = validators.validators().iter().map(|validator| validator.power).sum();
    if 3 * u128::from(signed) > 2 * u128::from(total) { Ok(()) } else { Err(format!("{signed} of {total} signed")) }
}
