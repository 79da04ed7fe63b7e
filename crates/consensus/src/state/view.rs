//! What the core shows of itself.

use super::Core;
use crate::convert;
use crate::snapshot::{Ballot, Present, RoundVotes, Step};
use heddle_primitives::ValidatorAddress;
use malachitebft_core_types::{NilOrVal, Round as BftRound, VoteType};
use std::collections::BTreeMap;

impl Core {
    /// The present round. Costs as much as the round has votes.
    pub fn present(&self) -> Present {
        let (height, round) = (self.host.height, self.round());
        let proposals = self.bft.driver.proposals_and_validities_for_round(convert::round(round));
        Present {
            height,
            round,
            step: self.step(),
            proposer: self.host.validators.proposer(height, round.as_u32()).address,
            proposal: proposals.first().map(|(proposal, _)| proposal.message.value.0),
            votes: self.votes(convert::round(round)),
        }
    }

    /// What is being done at the present height.
    pub(crate) fn step(&self) -> Step {
        let driver = &self.bft.driver;
        match (self.is_over(), driver.step_is_propose(), driver.step_is_prevote()) {
            (true, _, _) => Step::Commit,
            (false, true, _) => Step::Propose,
            (false, false, true) => Step::Prevote,
            (false, false, false) if driver.step_is_precommit() => Step::Precommit,
            (false, false, false) if driver.step_is_commit() => Step::Commit,
            (false, false, false) => Step::NewHeight,
        }
    }

    fn votes(&self, round: BftRound) -> BTreeMap<ValidatorAddress, RoundVotes> {
        let received = self.bft.driver.votes().per_round(round).map(|round| round.received_votes());
        let mut votes = BTreeMap::<_, RoundVotes>::new();
        for vote in received.into_iter().flatten() {
            let ballot = match vote.message.value {
                NilOrVal::Nil => Ballot::Nil,
                NilOrVal::Val(hash) => Ballot::Block(hash.0),
            };
            let of_validator = votes.entry(vote.message.validator.0).or_default();
            match vote.message.kind {
                VoteType::Prevote => of_validator.prevote = Some(ballot),
                VoteType::Precommit => of_validator.precommit = Some(ballot),
            }
        }
        votes
    }
}
