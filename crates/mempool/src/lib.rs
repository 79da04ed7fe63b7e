//! Holds valid transactions, ordered by tip and nonce, from their arrival until a block takes them.
//!
//! ```text
//!   submit, receive                     best, get, status (snapshots)
//!         |                                      ^
//!   decode, check, recover (no lock) --> Mempool: a lock around the pure Pool
//!         |                                 |            ^ committed heads
//!   ChainReader: nonce, balance, code       +--> MempoolService --> Gossip: what became pending
//! ```
//!
//! Rules of this crate:
//! - a [`PoolTransaction`] exists only by passing every check that needs no account; its sender is recovered once, in
//!   parallel with others, and remembered;
//! - a sender's transactions are *pending* as far as their nonces follow the account's without a gap and its balance
//!   pays for all of them; the others are *queued*;
//! - the base fee decides only what the next block may hold, never what the pool keeps;
//! - when the pool is full, queued ones go before pending ones and cheap ones before dear ones, and no transaction goes
//!   before those of its sender that need it;
//! - refusals use go-ethereum's words, because wallets match on them;
//! - what the pool's core decides depends on its inputs alone: it reads no clock and no chain.

mod additions;
mod announced;
mod best;
mod config;
mod error;
mod mempool;
mod metrics;
mod ports;
mod rules;
mod sender;
mod service;
mod short_ids;
mod state;
mod transaction;
mod victims;

#[cfg(test)]
mod tests;

pub use best::Best;
pub use config::{ConfigError, MempoolConfig};
pub use error::{Fault, PoolError};
pub use mempool::{Mempool, NewPending, Received};
pub use metrics::MempoolMetrics;
pub use ports::{BlockFeed, ChainReadError, ChainReader, ChangedAccounts, CommittedHead, Gossip, HeadInfo};
pub use sender::Origin;
pub use service::MempoolService;
pub use state::{PoolContent, PoolStatus, SenderContent};
pub use transaction::PoolTransaction;
