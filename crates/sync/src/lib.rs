//! Brings a late node to its peers' head: asks for ranges of final blocks, checks them, hands them to the chain.
//!
//! ```text
//!            Status            ranges, several peers at once        in order, one at a time
//!   peers ----------> State ---------------------------------> blocks ----------------------> chain
//!                     (pure)                                    CertifiedBlock::verify         commit
//! ```
//!
//! Rules of this crate:
//! - a peer's word about its height only decides whom to ask; nothing is committed without a commit certificate
//!   that verifies against the validators of that height;
//! - a peer has at most one request for blocks in flight, all peers together at most [`SyncConfig::ranges_max`]
//!   ranges in flight or in memory, and so at most that many times
//!   [`MAX_RESPONSE_BYTES`](heddle_primitives::MAX_RESPONSE_BYTES);
//! - an access list that is not the block's is dropped, and counts against its sender, never against the block;
//! - whoever breaks its promise rests before it is asked again, longer each time, and the next peer is asked instead;
//! - consensus and sync may commit at the same time: the chain decides, and a height that is already there is nobody's
//!   fault.
//!
//! [`start`] gives the loop that catches up, [`SyncServer`] answers peers that do. The pure [`State`] is public for the
//! simulator, which runs it without either.

mod backfill;
mod config;
mod error;
mod metrics;
mod peer;
mod ports;
mod server;
mod service;
mod state;
mod states;

pub use backfill::{BackfillConfig, Depth, Past, backfill};
pub use config::SyncConfig;
pub use error::{CommitError, PeerFault, RequestError, ServeError, SyncError};
pub use metrics::SyncMetrics;
pub use peer::PeerId;
pub use ports::{BlockSource, Chain, Peers};
pub use server::SyncServer;
pub use service::{SyncHandle, start, verify};
pub use state::{Input, Output, State, SyncStatus};
pub use states::*;
