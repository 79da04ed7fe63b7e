//! Messages of heights that have not started here: peers may be a little ahead.

use crate::CheckedMessage;
use heddle_primitives::{ConsensusMessage, Height, Round, SigningContext, ValidatorAddress, ValidatorSet};
use std::collections::BTreeMap;

/// Messages for the next few heights, bounded by validator, so that one of them cannot crowd out another.
#[derive(Debug, Default)]
pub(crate) struct FutureMessages {
    heights: BTreeMap<Height, BTreeMap<ValidatorAddress, Vec<CheckedMessage>>>,
}

impl FutureMessages {
    /// How many heights ahead messages are kept; a node further behind catches up by sync.
    pub(crate) const HEIGHTS_MAX: u64 = 2;
    /// Votes kept for each validator and height: two a round for the first rounds.
    const VOTES_MAX: usize = 8;
    /// Proposals are kept for rounds below this, one for each: they carry whole blocks.
    pub(crate) const PROPOSAL_ROUND_END: Round = Round::new(2);

    /// Keeps a message for later, if there is room. Certificates are not kept: they are sent again when they matter.
    pub(crate) fn insert(&mut self, current: Height, message: CheckedMessage) {
        let height = message.height();
        let ahead = height.as_u64().saturating_sub(current.as_u64());
        if !(1..=Self::HEIGHTS_MAX).contains(&ahead) {
            return;
        }
        let Some(validator) = sender(&message) else { return };
        let kept = self.heights.entry(height).or_default().entry(validator).or_default();
        if !kept.contains(&message) && Self::has_room(kept, message.get()) {
            kept.push(message);
        }
    }

    fn has_room(kept: &[CheckedMessage], message: &ConsensusMessage) -> bool {
        match message {
            ConsensusMessage::Proposal(proposal) => {
                let round = proposal.proposal.proposal.round;
                let same_round = |m: &CheckedMessage| matches!(m.get(), ConsensusMessage::Proposal(p) if p.proposal.proposal.round == round);
                round < Self::PROPOSAL_ROUND_END && !kept.iter().any(same_round)
            }
            _ => kept.iter().filter(|m| matches!(m.get(), ConsensusMessage::Vote(_))).count() < Self::VOTES_MAX,
        }
    }

    /// Forgets the heights up to this one.
    pub(crate) fn forget(&mut self, height: Height) {
        self.heights = self.heights.split_off(&height.next());
    }

    /// Drops what other validators than these could not have sent.
    pub(crate) fn check_again(&mut self, validators: &ValidatorSet, context: &SigningContext) {
        let kept = self.heights.values_mut().flat_map(BTreeMap::values_mut);
        kept.for_each(|messages| {
            messages.retain(|m| CheckedMessage::check(m.get().clone(), validators, context).is_ok())
        });
    }

    /// Takes what was kept for a height that starts, and forgets the heights before it.
    pub(crate) fn take(&mut self, height: Height) -> Vec<CheckedMessage> {
        self.heights = self.heights.split_off(&height);
        self.heights.remove(&height).into_iter().flat_map(BTreeMap::into_values).flatten().collect()
    }
}

fn sender(message: &CheckedMessage) -> Option<ValidatorAddress> {
    match message.get() {
        ConsensusMessage::Vote(signed) => Some(signed.vote.validator),
        ConsensusMessage::Proposal(message) => Some(message.proposal.proposal.validator),
        ConsensusMessage::PolkaCertificate(_)
        | ConsensusMessage::RoundCertificate(_)
        | ConsensusMessage::CommitCertificate(_)
        | ConsensusMessage::Evidence(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heddle_primitives::{ConsensusKey, SignedVote, Validator, Vote, VoteKind};

    fn vote(height: u64, round: u32, index: u8) -> CheckedMessage {
        let context = SigningContext { genesis_hash: alloy_primitives::B256::ZERO };
        let key = ConsensusKey::from_bytes(&[index; 32]);
        let validator = Validator::new(key.public_key(), 1, alloy_primitives::Address::ZERO);
        let vote = Vote {
            height: Height::new(height),
            round: Round::new(round),
            kind: VoteKind::Prevote,
            block_hash: None,
            validator: validator.address,
        };
        let message = ConsensusMessage::Vote(SignedVote::sign(vote, &key, &context));
        CheckedMessage::check(message, &ValidatorSet::new(vec![validator]).unwrap(), &context).unwrap()
    }

    #[test]
    fn only_the_next_heights_are_kept_and_old_ones_forgotten() {
        let mut future = FutureMessages::default();
        let current = Height::new(10);
        for height in [9, 10, 11, 12, 13] {
            future.insert(current, vote(height, 0, 1));
        }
        assert!(future.heights.keys().copied().eq([11, 12].map(Height::new)));
        assert_eq!(future.take(Height::new(12)).len(), 1);
        assert!(future.heights.is_empty(), "height 11 was passed over");
    }

    #[test]
    fn a_flood_of_one_validator_leaves_room_for_another() {
        let mut future = FutureMessages::default();
        let current = Height::new(10);
        for round in 0..100 {
            future.insert(current, vote(11, round, 1));
            future.insert(current, vote(11, 0, 1));
        }
        future.insert(current, vote(11, 0, 2));
        assert_eq!(future.take(Height::new(11)).len(), FutureMessages::VOTES_MAX + 1);
    }
}
