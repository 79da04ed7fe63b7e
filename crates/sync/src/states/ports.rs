//! What fetching and serving a state need from the database. All of it blocks, and is called off the async threads.

use super::core::SyncedBase;
use alloy_primitives::Bytes;
use heddle_primitives::{
    AccountRange, AccountsRequest, CodeRequest, Pivot, RangeProofRequest, Response, SnapshotOffer, StateTask,
    StorageRanges, StorageRequest,
};

/// How much of a state is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateProgress {
    /// Parts of a million of the keys that accounts can have.
    pub covered: u32,
    /// Accounts.
    pub accounts: u64,
    /// Storage slots.
    pub slots: u64,
    /// Codes.
    pub codes: u64,
    /// Bytes of all these.
    pub bytes: u64,
}

/// Why a piece is not stored. Nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PieceRefusal {
    /// It is not of the state: its sender's fault.
    #[error("{0}")]
    Peer(String),
    /// The disk's, or ours: ends the loop.
    #[error("{0}")]
    Ours(String),
}

/// Where the state goes. What is stored survives a crash: whoever starts again plans only what is missing.
pub trait StateTarget: Send + Sync + 'static {
    /// What is missing of a state, or has to be proven again. Nothing, when it is complete. Never called while a piece is
    /// being accepted.
    ///
    /// # Errors
    /// The disk's, in words.
    fn plan(&self, pivot: Pivot) -> Result<Vec<StateTask>, String>;

    /// Verifies an answer against the state and stores it; returns what is to be asked for next. Called from two threads
    /// at a time at most.
    ///
    /// # Errors
    /// See [`PieceRefusal`].
    fn accept(&self, pivot: Pivot, task: &StateTask, response: &Response) -> Result<Vec<StateTask>, PieceRefusal>;

    /// How much there is.
    ///
    /// # Errors
    /// The disk's, in words.
    fn progress(&self) -> Result<StateProgress, String>;

    /// Makes the state the chain's, which starts after the pivot from then on.
    ///
    /// # Errors
    /// In words, when the state is not the pivot's after all, or the disk fails: the chain is at genesis then.
    fn finish(&self, base: SyncedBase) -> Result<(), String>;
}

/// The states that peers may ask us for.
pub trait SnapshotSource: Send + Sync + 'static {
    /// Which there are, the newest first. In memory, never blocks.
    fn offers(&self) -> Vec<SnapshotOffer>;

    /// Accounts of a state, up to about so many bytes; `None` when that state is not there.
    ///
    /// # Errors
    /// When the database fails, in words.
    fn accounts(&self, request: &AccountsRequest, bytes_max: usize) -> Result<Option<AccountRange>, String>;

    /// Slots of a state, up to about so many bytes; `None` when that state is not there.
    ///
    /// # Errors
    /// When the database fails, in words.
    fn storage(&self, request: &StorageRequest, bytes_max: usize) -> Result<Option<StorageRanges>, String>;

    /// Code that any of the states has, up to about so many bytes; `None` when there is no state.
    ///
    /// # Errors
    /// When the database fails, in words.
    fn code(&self, request: &CodeRequest, bytes_max: usize) -> Result<Option<Vec<Bytes>>, String>;

    /// The nodes above both ends of a range of a state; `None` when that state is not there.
    ///
    /// # Errors
    /// When the database fails, in words.
    fn range_proof(&self, request: &RangeProofRequest) -> Result<Option<Vec<Bytes>>, String>;
}
