//! Accounts, storage and code over the database: the Merkle-Patricia trie, roots, history and consistent views.
//!
//! Rules of this crate:
//! - nothing is written here: a [`StateUpdate`] adds its rows to the caller's batch, so that a block and its state are
//!   committed together or not at all;
//! - a [`StateView`] is one committed state for as long as it lives, whatever is committed meanwhile;
//! - the tables hold the last committed state flat (one read an account or slot), which is also the leaves of the tries,
//!   the branches of the tries of exactly that state (none too many), and the values that each block replaced, from which
//!   earlier states are read;
//! - a row that cannot be read as what it must be is an error, never an empty account;
//! - what is cached is of the last committed state, and no view is served a value of another state than its own.
//!
//! Modules: `store` (the door), `view` (reads), `update` (from changes to rows), `trie` (the incremental trie), `history`
//! (earlier states), `cache` and `caches` (of the last committed state), `proof` (proofs of accounts, slots and ranges),
//! `range_proof` (verifying the latter), `snapshot` (a state from peer to peer, piece by piece), `rebuild` (a trie from its leaves), `migrate` (from older formats), `check` (whether the
//! tables are what they must be), `rows` (keys and values of the tables), `genesis`,
//! `stats` (what is counted), `error`.

mod cache;
mod caches;
mod check;
mod error;
mod genesis;
mod history;
mod migrate;
mod proof;
mod range_proof;
mod rebuild;
mod rows;
mod snapshot;
mod stats;
mod store;
mod trie;
mod update;
mod view;

#[cfg(test)]
mod tests;

pub use caches::{CommittedState, StateConfig};
pub use check::{CheckObserver, CheckProgress, Finding, Findings, META_KEYS, check};
pub use error::StateError;
pub use genesis::genesis_changes;
pub use migrate::HASHED_KEYS;
pub use proof::{AccountProof, ProofLimits, RangeProof, StorageProof};
pub use range_proof::{RangeProofError, verify_range};
pub use snapshot::{
    AcceptError, Accepted, PieceError, RestoreObserver, RestoreProgress, StagedProgress, Staging, verify_accounts,
    verify_storage,
};
pub use stats::{CacheStats, RowCounts, StateStats};
pub use store::StateStore;
pub use update::StateUpdate;
pub use view::StateView;
