//! What comes in, and what goes out.

use crate::states::fault::Outcome;
use crate::states::tasks::TaskId;
use crate::{PeerFault, PeerId};
use heddle_primitives::{Epoch, Pivot, Request, Response, SealedHeader, StateTask, ValidatorSet, VerifiedHeader};

/// Names a request.
pub type RequestId = u64;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time passed; these peers are connected. To come a few times a second.
    Tick(Vec<PeerId>),
    /// The answer to a request.
    Answered(RequestId, Response),
    /// A request ended without an answer.
    Failed(RequestId),
    /// What is missing for the pivot.
    Planned(Vec<StateTask>),
    /// The answer was right and is stored; these tasks follow from it.
    Accepted(TaskId, Vec<StateTask>),
    /// The answer was wrong, and nothing of it is stored.
    Refuted(TaskId, String),
    /// The chain starts at the pivot.
    Finished,
}

/// An answer to be verified against a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Names it.
    pub id: TaskId,
    /// Who sent it.
    pub peer: PeerId,
    /// The state.
    pub pivot: Pivot,
    /// What was asked for.
    pub task: StateTask,
    /// What came.
    pub response: Response,
}

/// Where a chain starts whose state was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncedBase {
    /// The block whose state it is.
    pub pivot: VerifiedHeader,
    /// The up to 256 headers before it, each the parent of the next, oldest first; genesis is not among them.
    pub ancestors: Vec<SealedHeader>,
    /// Every validator set on the way, with the first epoch of each.
    pub validator_sets: Vec<(Epoch, ValidatorSet)>,
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this request; exactly one [`Input::Answered`] or [`Input::Failed`] must follow.
    Ask(RequestId, PeerId, Request),
    /// Find out what is missing for this state; one [`Input::Planned`] must follow. No piece is being verified meanwhile.
    Plan(Pivot),
    /// Verify and store this; one [`Input::Accepted`] or [`Input::Refuted`] must follow.
    Accept(Piece),
    /// Everything is stored: let the chain start there; [`Input::Finished`] must follow.
    Finish(Box<SyncedBase>),
    /// Tell the network.
    Report(PeerId, PeerFault),
    /// It is over: nothing more comes, and nothing more has an effect.
    End(Outcome),
}

/// What is being done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// A state is looked for.
    #[default]
    Seeking,
    /// What is missing of it is being found out.
    Planning,
    /// Pieces come in.
    Fetching,
    /// The headers before it come in.
    Linking,
    /// The chain moves there.
    Finishing,
    /// It is over.
    Ended,
}
