//! Every vote that anybody signed, and whether those of honest validators are justified by the others.

use alloy_primitives::B256;
use heddle_primitives::{Height, Proposal, Round, ValidatorAddress, ValidatorSet, Vote, VoteKind};
use std::collections::{BTreeMap, BTreeSet};

/// Where a vote stands: height, round, kind.
type Slot = (Height, Round, VoteKind);

/// Who voted for what. A block hash, or `None` for nil.
#[derive(Default)]
pub struct Ledger {
    votes: BTreeMap<Slot, BTreeMap<Option<B256>, BTreeSet<ValidatorAddress>>>,
    /// Blocks that somebody proposed in its turn.
    proposed: BTreeSet<(Height, B256)>,
}

impl Ledger {
    /// Notes a vote with a good signature, whosever it is.
    pub fn note(&mut self, vote: &Vote) {
        let slot = (vote.height, vote.round, vote.kind);
        self.votes.entry(slot).or_default().entry(vote.block_hash).or_default().insert(vote.validator);
    }

    /// Notes a proposal with a good signature.
    pub fn note_proposal(&mut self, proposal: &Proposal, validators: &ValidatorSet) {
        let turn = u128::from(proposal.height.as_u64()) + u128::from(proposal.round.as_u32());
        let members = validators.validators();
        let proposer = members.get((turn % members.len() as u128) as usize);
        if proposer.is_some_and(|proposer| proposer.address == proposal.validator) {
            self.proposed.insert((proposal.height, proposal.block_hash));
        }
    }

    /// An honest validator votes for what was proposed in turn. Its own proposal it may have lost in a crash after it
    /// was logged and before it was sent.
    ///
    /// # Errors
    /// Nobody whose turn it was proposed that.
    pub fn justify_value(&self, vote: &Vote, validators: &ValidatorSet) -> Result<(), String> {
        let Vote { height, round, block_hash: Some(hash), validator, .. } = vote else { return Ok(()) };
        let own_turn = |round| validators.proposer(*height, round).address == *validator;
        if self.proposed.contains(&(*height, *hash)) || (0..=round.as_u32()).any(own_turn) {
            return Ok(());
        }
        Err(format!("{validator} voted at {height}/{round} for {hash}, which nobody proposed in turn"))
    }

    /// An honest validator precommits only what two thirds prevoted, and prevotes against its lock only what two thirds
    /// prevoted since.
    ///
    /// # Errors
    /// The vote is not justified by any votes that were ever signed.
    pub fn justify(&self, vote: &Vote, validators: &ValidatorSet) -> Result<(), String> {
        let Vote { height, round, kind, block_hash: Some(hash), validator } = vote else { return Ok(()) };
        if *kind == VoteKind::Precommit {
            if self.has_polka(*height, *round, *hash, *validator, validators) {
                return Ok(());
            }
            return Err(format!("{validator} precommitted {hash} at {height}/{round}, which too few prevoted"));
        }
        let Some((locked_round, locked)) = self.lock(*height, *round, *validator) else { return Ok(()) };
        let since = (locked_round.as_u32()..round.as_u32()).map(Round::new);
        let polka = |round| self.has_polka(*height, round, *hash, *validator, validators);
        if locked == *hash || since.into_iter().any(polka) {
            return Ok(());
        }
        Err(format!("{validator} prevoted {hash} at {height}/{round}, locked on {locked} since round {locked_round}"))
    }

    /// A round is entered because more than a third voted in it, or because two thirds precommitted in the one before.
    ///
    /// # Errors
    /// Neither is so.
    pub fn justify_round(
        &self,
        own: ValidatorAddress,
        height: Height,
        round: Round,
        validators: &ValidatorSet,
    ) -> Result<(), String> {
        let Some(previous) = round.as_u32().checked_sub(1).map(Round::new) else { return Ok(()) };
        let mut here = self.voters((height, round, VoteKind::Prevote));
        here.extend(self.voters((height, round, VoteKind::Precommit)));
        let mut before = self.voters((height, previous, VoteKind::Precommit));
        before.insert(own);
        let total = power(validators, validators.validators().iter().map(|validator| validator.address));
        if 3 * power(validators, here) > total || 3 * power(validators, before) > 2 * total {
            return Ok(());
        }
        Err(format!("{own} entered round {round} of height {height} without votes that justify it"))
    }

    /// Everybody who voted there, for whatever.
    fn voters(&self, slot: Slot) -> BTreeSet<ValidatorAddress> {
        self.votes.get(&slot).into_iter().flat_map(BTreeMap::values).flatten().copied().collect()
    }

    /// What a validator precommitted last below a round.
    fn lock(&self, height: Height, below: Round, validator: ValidatorAddress) -> Option<(Round, B256)> {
        (0..below.as_u32()).rev().map(Round::new).find_map(|round| {
            let values = self.votes.get(&(height, round, VoteKind::Precommit))?;
            let of_validator = values.iter().filter(|(_, voters)| voters.contains(&validator));
            of_validator.filter_map(|(value, _)| *value).next().map(|hash| (round, hash))
        })
    }

    /// Whether two thirds prevoted; `own` may have done so unseen, before a crash.
    fn has_polka(
        &self,
        height: Height,
        round: Round,
        hash: B256,
        own: ValidatorAddress,
        validators: &ValidatorSet,
    ) -> bool {
        let values = self.votes.get(&(height, round, VoteKind::Prevote));
        let mut voters = values.and_then(|values| values.get(&Some(hash))).cloned().unwrap_or_default();
        voters.insert(own);
        let total = power(validators, validators.validators().iter().map(|validator| validator.address));
        3 * power(validators, voters) > 2 * total
    }
}

/// The power of distinct validators, counted anew.
fn power(validators: &ValidatorSet, addresses: impl IntoIterator<Item = ValidatorAddress>) -> u128 {
    let of = |address| validators.validators().iter().find(|validator| validator.address == address);
    addresses.into_iter().filter_map(of).map(|validator| u128::from(validator.power)).sum()
}
