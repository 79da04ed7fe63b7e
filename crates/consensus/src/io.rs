//! What goes into the core and what comes out of it.

use crate::CheckedMessage;
use alloy_primitives::B256;
use heddle_primitives::{
    CertifiedBlock, ConsensusMessage, Evidence, Height, ProposedBlock, Round, Validator, ValidatorAddress, ValidatorSet,
};

/// What a timeout waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimeoutKind {
    /// The round's proposal.
    Propose,
    /// More prevotes, once two thirds are in.
    Prevote,
    /// More precommits, once two thirds are in.
    Precommit,
    /// Anything: then our own messages of the round go out again.
    Rebroadcast,
}

impl TimeoutKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Propose, Self::Prevote, Self::Precommit, Self::Rebroadcast];
}

/// A timeout of one round of one height. Scheduling it again restarts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timeout {
    /// Height that is being decided.
    pub height: Height,
    /// Round of the height.
    pub round: Round,
    /// What it waits for.
    pub kind: TimeoutKind,
}

/// What the core may be told.
#[derive(Clone, Debug)]
pub enum Input {
    /// Begin to decide a height above the current one; its parent is committed.
    StartHeight {
        /// The height.
        height: Height,
        /// Who decides it.
        validators: ValidatorSet,
    },
    /// The current height was committed without the core (by sync): it must not go on with it.
    Superseded {
        /// The last committed block.
        head: Height,
    },
    /// A peer's message.
    Message(CheckedMessage),
    /// The answer to [`Output::Build`].
    Built {
        /// Height of the request.
        height: Height,
        /// Round of the request.
        round: Round,
        /// The block to propose.
        block: ProposedBlock,
    },
    /// The answer to [`Output::Validate`].
    Validated {
        /// Height of the request.
        height: Height,
        /// Hash of the block.
        block_hash: B256,
        /// Whether it may be voted for.
        valid: bool,
    },
    /// A scheduled timeout elapsed.
    Timeout(Timeout),
}

/// What the core wants done, in this order. Before a [`Output::Publish`] or a [`Output::Decide`] is carried out, every
/// [`Output::Log`] and the last [`Output::SignState`] before it must be durable.
#[derive(Clone, Debug)]
pub enum Output {
    /// Append this record to the consensus log.
    Log(Vec<u8>),
    /// Replace the sign-state file's content.
    SignState(Vec<u8>),
    /// Send to all peers.
    Publish(ConsensusMessage),
    /// Start a timeout, or start it again.
    ScheduleTimeout(Timeout),
    /// Stop a timeout.
    CancelTimeout(Timeout),
    /// Stop all timeouts.
    CancelAllTimeouts,
    /// A round begins.
    RoundStarted {
        /// Height being decided.
        height: Height,
        /// The round.
        round: Round,
        /// Whose turn it is to propose.
        proposer: ValidatorAddress,
    },
    /// Build a block to propose and answer with [`Input::Built`].
    Build {
        /// Height of the block.
        height: Height,
        /// Round to propose it in.
        round: Round,
    },
    /// Validate a proposed block and answer with [`Input::Validated`].
    Validate {
        /// Height of the block.
        height: Height,
        /// Hash of the block.
        block_hash: B256,
        /// The block.
        block: ProposedBlock,
        /// Whose fee recipient its beneficiary must be.
        proposer: Box<Validator>,
    },
    /// The height is decided: commit this block, empty the log, then start the next height.
    Decide(Box<CertifiedBlock>),
    /// The height is decided but its block is not here: sync must bring it.
    Behind(Height),
    /// The guard refused a signature: an earlier one could be contradicted. The node goes on without it.
    SignatureRefused(crate::Refusal),
    /// A peer showed a signature of our own key that was never permitted here. Nothing is signed up to and including
    /// its height any more; the [`Output::SignState`] before this must be durable at once.
    ForeignSignature(crate::SignState),
    /// Proof that a validator signed two conflicting messages, at most once a validator and height.
    Evidence(Evidence),
}
