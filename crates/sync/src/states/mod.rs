//! Fetches a state instead of computing it: from many peers at once, none of them trusted.
//!
//! ```text
//!   Snapshots --> EpochSteps, Headers --> Plan --> Accounts, Storage, Code, RangeProof --> Headers --> Finish
//!   who offers    the light client goes   what is  tasks over all peers that offer the     the 256     the chain
//!   which state   from genesis to the     missing  pivot; each answer is verified and      before      starts at
//!                 best offer: the pivot            stored before the next tasks follow     the pivot   the pivot
//!                        ^                                   |
//!                        +---- the pivot is not served any more: a newer one
//! ```
//!
//! Rules of this module:
//! - what a peer offers is a claim until its header carries a certificate of the validators that the light client knows;
//! - the core never looks into a piece of a state: the target (`heddle_state`'s staging, by way of [`StateTarget`])
//!   says what is missing, whether an answer is right, and what follows from it;
//! - whoever sends something that is provably wrong is named, and never asked again; whoever is late, busy or stingy
//!   rests, and somebody else is asked;
//! - memory is bounded by [`StateSyncConfig::requests_max`] answers, and by the tasks that follow from so many.
//!
//! Modules: `core` (the pure [`StateSync`]; `headers` and `pieces` in it), `trust` (the light client), `peers` (whom to
//! ask), `tasks` (pieces), `service` (the loop), `pace`, `metrics`, `ports`, `server` and `budget` (the other side).

mod budget;
mod config;
mod core;
mod fault;
mod metrics;
mod pace;
mod peers;
mod ports;
mod server;
mod service;
mod tasks;
mod trust;

pub use budget::ServeConfig;
pub use config::StateSyncConfig;
pub use core::{
    Input as StateInput, Output as StateOutput, Piece, RequestId, Stage as StateSyncStage, StateSync, SyncedBase,
};
pub use fault::{CheckpointError, Outcome as StateOutcome, StateFault};
pub use metrics::StateSyncMetrics;
pub use ports::{PieceRefusal, SnapshotSource, StateProgress, StateTarget};
pub use server::SnapshotServer;
pub use service::{StateSyncError, StateSyncStatus, fetch_state};
pub use tasks::TaskId;
