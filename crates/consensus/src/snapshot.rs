//! Where consensus stands, for people: who has voted at the present height, and who was heard last when.

use alloy_primitives::B256;
use heddle_primitives::{Height, Round, ValidatorAddress};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// What a vote is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ballot {
    /// This block.
    Block(B256),
    /// No block in this round.
    Nil,
}

/// What a validator voted in one round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundVotes {
    /// Its prevote, if it is here.
    pub prevote: Option<Ballot>,
    /// Its precommit, if it is here.
    pub precommit: Option<Ballot>,
}

/// What is being done at a height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This validator has not caught up with its peers, or has none: it takes no part yet.
    CatchUp,
    /// The pause before the height; on an idle chain until there are transactions.
    NewHeight,
    /// The round's proposal is awaited.
    Propose,
    /// Prevotes are awaited.
    Prevote,
    /// Precommits are awaited.
    Precommit,
    /// The height is decided, and its block being committed or fetched.
    Commit,
}

impl Step {
    /// The name that metrics have for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CatchUp => "catch-up",
            Self::NewHeight => "new-height",
            Self::Propose => "propose",
            Self::Prevote => "prevote",
            Self::Precommit => "precommit",
            Self::Commit => "commit",
        }
    }
}

/// The present round as the core sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// The height being decided, or just decided.
    pub height: Height,
    /// Its round.
    pub round: Round,
    /// What is being done.
    pub step: Step,
    /// Whose turn it is to propose.
    pub proposer: ValidatorAddress,
    /// The block that the proposer proposed, if its proposal is here.
    pub proposal: Option<B256>,
    /// Who has voted in this round.
    pub votes: BTreeMap<ValidatorAddress, RoundVotes>,
}

/// The last vote of a validator that came to this node, at whatever height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastVote {
    /// Its height.
    pub height: Height,
    /// Its round.
    pub round: Round,
    /// When it came; validators repeat their votes every second while a height lasts.
    pub at: SystemTime,
}

/// A validator of the present height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatorView {
    /// Who it is.
    pub address: ValidatorAddress,
    /// Its voting power.
    pub power: u64,
    /// Whether this node signs for it.
    pub is_own: bool,
    /// What it voted in the present round.
    pub votes: RoundVotes,
    /// Its last vote; `None` when none came since the node started.
    pub last_vote: Option<LastVote>,
}

/// Where consensus stands. At most a tenth of a second old while the loop turns, and so are its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsensusSnapshot {
    /// The height that is being decided, or that starts next.
    pub height: Height,
    /// Its round.
    pub round: Round,
    /// What is being done.
    pub step: Step,
    /// Since when this node has been at this height.
    pub height_since: SystemTime,
    /// Since when it has been in this round and step.
    pub since: SystemTime,
    /// Whose turn it is to propose in this round.
    pub proposer: ValidatorAddress,
    /// The block that was proposed in this round, if the proposal is here.
    pub proposal: Option<B256>,
    /// Power of all validators; more than two thirds of it decide.
    pub total_power: u64,
    /// The validators of the height, by address.
    pub validators: Vec<ValidatorView>,
    /// Why this node's key signs nothing at this height, when it would and may not.
    pub refusal: Option<String>,
}
