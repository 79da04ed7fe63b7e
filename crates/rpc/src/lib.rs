//! Answers Ethereum's JSON-RPC over HTTP and WebSocket from the chain and the mempool.
//!
//! Rules of this crate:
//! - results, error codes and error messages are go-ethereum's, so that every client, wallet and library works;
//! - every committed block is final: `latest`, `safe` and `finalized` name the same block; `pending` is what this node would
//!   propose now, made of what waits in the mempool;
//! - a method either reads memory and answers at once, or runs on a blocking thread under a semaphore: database reads
//!   under one, EVM calls under a smaller one; an EVM call that is over within a millisecond, whatever its code, is answered
//!   at once too; what waits for an event holds no thread. All of it runs on threads of this
//!   crate, of low priority: no caller can occupy the node, and consensus waits for none;
//! - every connection, byte, level, call and second that a caller can take is bounded ([`RpcLimits`]), and what all callers
//!   take together is;
//! - a caller's mistake is answered with its cause; a fault of the node is logged and answered as an internal error.
//!
//! ```text
//! transport ── dispatch ── registry ── net, web3, heddle, eth::{blocks, state, transactions, ..}
//!                                             │ backend
//!                              heddle-chain, heddle-mempool, ports::NodeStatus
//! ```

mod account_history;
mod answer;
mod arguments;
mod backend;
mod batch;
mod budget;
mod config;
mod convert;
mod debug;
mod depth;
mod dev_accounts;
mod dispatch;
mod entry;
mod erigon;
mod error;
mod eth;
mod filters;
mod heddle;
mod intake;
mod lane;
mod log_query;
mod metrics;
mod modules;
mod net;
mod obstacle;
mod openrpc;
mod ots;
mod overrides;
mod pending;
mod ports;
mod quantities;
mod rate;
mod recent;
mod registry;
mod server;
mod shared;
mod testing;
mod texts;
mod threads;
mod trace;
mod trace_budget;
mod transport;
mod txpool;
mod waiting;
mod web3;

pub use backend::RpcContext;
pub use config::{Api, AuthConfig, ParseApiError, RpcConfig, RpcLimits};
pub use dev_accounts::DevAccounts;
pub use error::RpcError;
pub use heddle::{ForkIdReport, HeadReport, MempoolReport, StatusReport};
pub use intake::TransactionIntake;
pub use metrics::RpcMetrics;
pub use ports::{
    Ballot, ConsensusPosition, ConsensusReport, ConsensusStep, Nil, NodeReport, NodeStatus, PeerCounts, SyncProgress,
    ValidatorReport, VoteReport,
};
pub use server::RpcServer;
pub use threads::RPC_NICENESS;

pub use alloy_rpc_types_engine::JwtSecret;
