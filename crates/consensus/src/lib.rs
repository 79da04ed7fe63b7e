//! Decides one block a height: Malachite's Tendermint core, driven over our messages, log and keys.
//!
//! Rules of this crate:
//! - [`Core`] is pure: inputs in, outputs out, no clock, socket, disk, task or lock; the same core runs in the
//!   simulator under `tests/`;
//! - nothing signed leaves the node before the log and the sign state that remember it are durable; when that write
//!   fails, consensus ends and publishes nothing;
//! - a lower or conflicting signature is refused for ever, whatever happened to the log;
//! - the log is emptied only after the decided block is committed, and holds no later height: when the blocks below a
//!   lock are lost, the lock is not;
//! - every message of a peer is checked before it is queued ([`CheckedMessage`]), and every queue is bounded;
//! - a validator takes part only when it has caught up with its peers, and listens first when it may have forgotten what
//!   it signed ([`CatchUp`]);
//! - no message of a peer can make the core fail.

mod allowance;
mod blocks;
mod config;
mod context;
mod convert;
mod disk;
mod error;
mod evidence;
mod future;
mod gate;
mod handle;
mod heartbeat;
mod host;
mod io;
mod message;
mod metrics;
mod observer;
mod pause;
mod ports;
mod proposal;
mod record;
mod service;
mod sign_guard;
mod sign_record;
mod signer;
mod snapshot;
mod start;
mod state;
mod steps;
mod timers;

pub use config::{ConfigError, ConsensusConfig};
pub use error::{ConsensusError, CoreError};
pub use gate::{CatchUp, Gate};
pub use handle::{ConsensusHandle, ConsensusStatus, Verdict};
pub use heartbeat::Heartbeat;
pub use io::{Input, Output, Timeout, TimeoutKind};
pub use message::{CheckedMessage, MessageFault};
pub use metrics::ConsensusMetrics;
pub use ports::{Application, ApplicationError, BlockVerdict, DurableLog, Outbound};
pub use sign_guard::{Refusal, SignGuard, SignState, SignStep};
pub use sign_record::{SignStateMismatch, SignStateRecord};
pub use snapshot::{Ballot, ConsensusSnapshot, LastVote, Present, RoundVotes, Step, ValidatorView};
pub use start::{Ports, Recovered, Setup, start};
pub use state::{Core, Identity, last_logged};
