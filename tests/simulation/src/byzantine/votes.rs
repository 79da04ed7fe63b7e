//! Votes that contradict each other.

use super::{Adversary, Behaviour, Deception};
use alloy_primitives::B256;
use heddle_primitives::{ConsensusMessage, SignedVote, Vote};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

impl Adversary {
    pub(super) fn deceive_with_vote(
        &self,
        node: usize,
        signed: &SignedVote,
        deception: &mut Deception,
        rng: &mut ChaCha8Rng,
    ) {
        let vote = &signed.vote;
        let proposed = self.proposals.get(&(vote.height, vote.round));
        let votes_for_anything = self.does(node, Behaviour::ProposesInvalid) || self.does(node, Behaviour::Forgets);
        // Whoever forgets its lock takes any proposal, and so does who wants a bad one to pass.
        let value = match (vote.block_hash, proposed.and_then(|hashes| hashes.first())) {
            (None, Some(hash)) if votes_for_anything => Some(*hash),
            (value, _) => value,
        };
        let first = deception.add(self.vote(node, vote, value));
        if !self.does(node, Behaviour::Equivocates) {
            return self.peers(node).for_each(|to| deception.send(to, first));
        }
        let other = proposed.and_then(|hashes| hashes.choose(rng)).copied().filter(|hash| Some(*hash) != value);
        let other = other.or_else(|| value.is_none().then(|| B256::with_last_byte(node as u8)));
        let second = deception.add(self.vote(node, vote, other));
        for to in self.peers(node) {
            match rng.random_range(0..10) {
                0..4 => deception.send(to, first),
                4..8 => deception.send(to, second),
                _ => [second, first].into_iter().for_each(|message| deception.send(to, message)),
            }
        }
    }

    /// The same vote for something else.
    fn vote(&self, node: usize, vote: &Vote, block_hash: Option<B256>) -> ConsensusMessage {
        let vote = Vote { block_hash, ..vote.clone() };
        let context = self.fixture.genesis.signing_context();
        ConsensusMessage::Vote(SignedVote::sign(vote, &self.fixture.keys[node], &context))
    }
}
