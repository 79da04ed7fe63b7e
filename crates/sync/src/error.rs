//! What can go wrong while catching up, and whose fault it is.

use heddle_primitives::{AccessListMismatch, Height};

/// Ours: ends the loop, and with it the node.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SyncError {
    /// The chain could not commit a block whose certificate verifies.
    #[error("cannot commit block {height}: {reason}")]
    Commit {
        /// Height of the block.
        height: Height,
        /// The chain's words.
        reason: String,
    },
    /// The chain could not say where its head is.
    #[error("cannot follow headers from the head: {0}")]
    Head(String),
    /// A task that verifies headers or blocks died.
    #[error("verification did not finish: {0}")]
    Verification(String),
}

/// Why the chain did not go on behind a height.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("block {height}: {error}")]
pub struct ImportError {
    /// The block that was not committed; those before it are.
    pub height: Height,
    /// Why not.
    pub error: CommitError,
}

/// Why the chain did not commit a certified block.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CommitError {
    /// The block breaks a rule, for example its transactions are not those its header names. The sender's fault.
    #[error("{0}")]
    Invalid(String),
    /// Consensus committed this height meanwhile. Nobody's fault.
    #[error("the height is committed already")]
    Stale,
    /// The database failed, or two certificates contradict each other. Ours: the node stops.
    #[error("{0}")]
    Internal(String),
}

/// Why a request has no answer: disconnected, refused, timed out. The peer is asked less for a while.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct RequestError(pub String);

/// What a peer did that an honest and correct one does not do.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerFault {
    /// The answer is not one to the question: another kind, other heights, more than asked for.
    #[error("answered something else than it was asked")]
    WrongAnswer,
    /// It has no block at a height that its status says it serves. An honest peer that has just pruned does this too,
    /// so once is little.
    #[error("did not serve a height that it announced")]
    BrokenPromise,
    /// A header that does not follow the final one before it, or whose certificate fails.
    #[error("sent an invalid header: {0}")]
    InvalidHeader(String),
    /// A block that is not the final one of its height, or whose contents are not those that its header binds.
    #[error("sent an invalid block: {0}")]
    InvalidBlock(String),
    /// A block with an access list that is not the block's. The block may be right, and is executed without the list.
    #[error("sent block {0} with another access list than its own: {1}")]
    WrongAccessList(Height, AccessListMismatch),
    /// Something that is no part of the state being fetched, or of the chain that leads to it.
    #[error(transparent)]
    State(#[from] crate::StateFault),
}

/// Why a peer's request is not answered.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ServeError {
    /// The count is out of range. The peer's fault.
    #[error("asked for {count} at once, accepted are 1 to {max}")]
    Count {
        /// What was asked for.
        count: u64,
        /// The most that is served at once.
        max: u64,
    },
    /// Something could not be read. Ours.
    #[error("cannot read {what} {number}: {reason}")]
    Read {
        /// What was asked for: "block", "header", "receipts of block" or "end of epoch".
        what: &'static str,
        /// Height or epoch.
        number: u64,
        /// What the source said.
        reason: String,
    },
    /// A state could not be read. Ours.
    #[error("cannot read a state: {0}")]
    State(String),
    /// The task that reads died. Ours.
    #[error("reading did not finish: {0}")]
    Interrupted(String),
}
