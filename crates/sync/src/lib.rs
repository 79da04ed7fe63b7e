//! Brings a late node to its peers' head: asks for final headers and for their blocks, checks them, hands them to the chain.
//!
//! ```text
//!            Status, Headers        Blocks, several peers at once         in order, one range at a time
//!   peers --------------> State ------------------------------> prepared -----------------------------> chain
//!                         (pure)                                 ahead                                    execute, commit
//! ```
//!
//! Rules of this crate:
//! - a peer's word about its height only decides whom to ask; a header counts when a light client that starts at the head
//!   finds it to be final, a block when it is that of a final header, so that a wrong one is found when it arrives;
//! - a peer has at most one request for headers and two for blocks in flight, all peers together at most
//!   [`SyncConfig::ranges_max`] ranges of blocks in flight or in memory, and so at most that many times
//!   [`MAX_RESPONSE_BYTES`](heddle_primitives::MAX_RESPONSE_BYTES), and at most [`SyncConfig::headers_max`] headers;
//! - an access list that is not the block's is dropped, and counts against its sender, never against the block;
//! - whoever serves fast is asked first; what is late is asked of somebody else too, and the first answer counts;
//! - whoever breaks its promise rests before it is asked again, longer each time, and the next peer is asked instead;
//! - consensus and sync may commit at the same time: the chain decides, and a height that is already there is nobody's
//!   fault.
//!
//! [`start`] gives the loop that catches up, [`SyncServer`] answers peers that do. The pure [`State`] and the checks beside it
//! are public for the simulator, which runs them without either.

mod backfill;
mod config;
mod error;
mod metrics;
mod peer;
mod ports;
mod rest;
mod server;
mod service;
mod state;
mod states;
#[cfg(test)]
mod test_chain;
mod verify;

pub use backfill::{BackfillConfig, Depth, Past, backfill};
pub use config::SyncConfig;
pub use error::{CommitError, ImportError, PeerFault, RequestError, ServeError, SyncError};
pub use metrics::SyncMetrics;
pub use peer::PeerId;
pub use ports::{BlockSource, Chain, Peers};
pub use server::SyncServer;
pub use service::{SyncHandle, start};
pub use state::{Input, Output, State, SyncStatus};
pub use states::*;
pub use verify::{can_follow, match_blocks, verify_headers};
