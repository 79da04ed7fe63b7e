//! The adversary: it holds the keys of the Byzantine nodes, hears everything, and changes what they send.

mod answers;
mod blocks;
mod certificates;
mod forge;
mod votes;

use crate::fixture::Fixture;
use alloy_primitives::B256;
use heddle_chain::Chain;
use heddle_primitives::{
    CommitSignature, ConsensusMessage, Height, ProposalMessage, ProposedBlock, Round, SignedProposal, SignedVote,
    VoteKind,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Heights of which what was heard is kept.
const HEIGHTS_KEPT: u64 = 4;

/// What a Byzantine node does beside what its honest core would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// It tells some peers one thing and others another.
    Equivocates,
    /// It forgets what it signed and what it is locked on.
    Forgets,
    /// It sends proposals and votes late, or never.
    Withholds,
    /// It proposes blocks that break a rule, also out of turn, and votes for those of others.
    ProposesInvalid,
    /// It sends certificates with too few, repeated or forged signatures.
    ForgesCertificates,
    /// It answers those who catch up with lies.
    LiesToSync,
}

impl Behaviour {
    const ALL: [Self; 6] = [
        Self::Equivocates,
        Self::Forgets,
        Self::Withholds,
        Self::ProposesInvalid,
        Self::ForgesCertificates,
        Self::LiesToSync,
    ];

    /// Draws some of them, at least one.
    pub fn draw(rng: &mut ChaCha8Rng) -> Vec<Self> {
        let sure = rng.random_range(0..Self::ALL.len());
        let chosen = Self::ALL.into_iter().enumerate();
        chosen.filter(|(index, _)| *index == sure || rng.random_ratio(1, 3)).map(|(_, behaviour)| behaviour).collect()
    }
}

/// One message on its way to one peer, so much later than it could be.
pub struct Sent {
    /// Who gets it.
    pub to: usize,
    /// By how much it is held back.
    pub late_by: crate::time::Micros,
    /// The message, as an index into those of the same deception.
    pub message: usize,
}

/// What a Byzantine node sends instead of one message.
#[derive(Default)]
pub struct Deception {
    /// The messages.
    pub messages: Vec<ConsensusMessage>,
    /// Who gets which.
    pub sent: Vec<Sent>,
}

impl Deception {
    /// Adds a message and gives its index.
    fn add(&mut self, message: ConsensusMessage) -> usize {
        self.messages.push(message);
        self.messages.len() - 1
    }

    fn send(&mut self, to: usize, message: usize) {
        self.sent.push(Sent { to, late_by: 0, message });
    }
}

/// All Byzantine nodes together.
pub struct Adversary {
    fixture: Arc<Fixture>,
    nodes: usize,
    behaviours: BTreeMap<usize, Vec<Behaviour>>,
    /// Signatures of votes that were heard.
    votes: BTreeMap<(Height, Round, VoteKind, Option<B256>), Vec<CommitSignature>>,
    /// Blocks that were proposed, each with the last one first.
    proposals: BTreeMap<(Height, Round), Vec<B256>>,
}

impl Adversary {
    /// An adversary with these nodes.
    pub fn new(fixture: Arc<Fixture>, nodes: usize, behaviours: BTreeMap<usize, Vec<Behaviour>>) -> Self {
        Self { fixture, nodes, behaviours, votes: BTreeMap::new(), proposals: BTreeMap::new() }
    }

    /// Whether a node does this.
    pub fn does(&self, node: usize, behaviour: Behaviour) -> bool {
        self.behaviours.get(&node).is_some_and(|behaviours| behaviours.contains(&behaviour))
    }

    /// Hears what somebody sent.
    pub fn hear(&mut self, message: &ConsensusMessage) {
        match message {
            ConsensusMessage::Vote(SignedVote { vote, signature }) => {
                let slot = (vote.height, vote.round, vote.kind, vote.block_hash);
                let heard = self.votes.entry(slot).or_default();
                if heard.iter().all(|known| known.validator != vote.validator) {
                    heard.push(CommitSignature { validator: vote.validator, signature: *signature });
                }
            }
            ConsensusMessage::Proposal(message) => {
                let proposal = &message.proposal.proposal;
                self.proposals.entry((proposal.height, proposal.round)).or_default().insert(0, proposal.block_hash);
            }
            _ => {}
        }
        let oldest = Height::new(message.height().as_u64().saturating_sub(HEIGHTS_KEPT));
        self.votes = self.votes.split_off(&(oldest, Round::ZERO, VoteKind::Prevote, None));
        self.proposals = self.proposals.split_off(&(oldest, Round::ZERO));
    }

    /// What a Byzantine node sends instead of what its core wanted; `spare` is another block that it could propose,
    /// `chain` its own chain.
    pub fn deceive(
        &self,
        node: usize,
        message: &ConsensusMessage,
        spare: Option<ProposedBlock>,
        chain: Option<&Chain>,
        rng: &mut ChaCha8Rng,
    ) -> Deception {
        let mut deception = Deception::default();
        match message {
            ConsensusMessage::Vote(signed) => self.deceive_with_vote(node, signed, &mut deception, rng),
            ConsensusMessage::Proposal(message) => {
                self.deceive_with_proposal(node, message, spare.as_ref(), chain, &mut deception, rng)
            }
            other => {
                let index = deception.add(other.clone());
                self.peers(node).for_each(|to| deception.send(to, index));
            }
        }
        if let (ConsensusMessage::Vote(signed), true) = (message, self.does(node, Behaviour::ProposesInvalid))
            && rng.random_ratio(1, 4)
            && let Some(spare) = spare
        {
            self.propose_out_of_turn(node, &signed.vote, spare, chain, &mut deception, rng);
        }
        if self.does(node, Behaviour::ForgesCertificates) && rng.random_ratio(1, 3) {
            self.add_forgeries(node, message, &mut deception, rng);
        }
        if self.does(node, Behaviour::Withholds) {
            withhold(&mut deception, rng);
        }
        deception
    }

    fn peers(&self, node: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.nodes).filter(move |peer| *peer != node)
    }

    /// Signs a proposal of a block as this node.
    fn propose(&self, node: usize, round: Round, pol_round: Option<Round>, body: ProposedBlock) -> ConsensusMessage {
        let proposal = heddle_primitives::Proposal {
            height: Height::new(body.block.header.number),
            round,
            block_hash: body.hash(),
            pol_round,
            validator: self.fixture.address(node),
        };
        let context = self.fixture.genesis.signing_context();
        let proposal = SignedProposal::sign(proposal, &self.fixture.keys[node], &context);
        ConsensusMessage::Proposal(Box::new(ProposalMessage { proposal, body }))
    }
}

/// Drops some of what would be sent, and holds some of it back.
fn withhold(deception: &mut Deception, rng: &mut ChaCha8Rng) {
    use crate::time::SECOND;
    match rng.random_range(0..4) {
        0 => deception.sent.clear(),
        1 => deception.sent.retain(|_| rng.random()),
        2 => deception.sent.iter_mut().for_each(|sent| sent.late_by = rng.random_range(0..6 * SECOND)),
        _ => {}
    }
}
