//! Answers Ethereum's JSON-RPC over HTTP and WebSocket from the chain and the mempool.
//!
//! Rules of this crate:
//! - results, error codes and error messages are go-ethereum's, so that every client, wallet and library works;
//! - every committed block is final: `latest`, `safe`, `finalized` and `pending` name the same block, and only
//!   `eth_getTransactionCount` looks past it into the mempool;
//! - a method either reads memory and answers at once, or runs on a blocking thread under a semaphore: database reads
//!   under one, EVM calls under a smaller one. No caller can occupy the node;
//! - sizes of bodies, batches, answers, log searches and subscriptions, and the number of connections are bounded;
//! - a caller's mistake is answered with its cause; a fault of the node is logged and answered as an internal error.
//!
//! ```text
//! HTTP, WebSocket ── server ── middleware ── registry ── net, web3, heddle, eth::{blocks, state, transactions, ..}
//!                                                             │ backend
//!                                              heddle-chain, heddle-mempool, ports::NodeStatus
//! ```

mod arguments;
mod backend;
mod config;
mod convert;
mod dev_accounts;
mod error;
mod eth;
mod heddle;
mod intake;
mod lane;
mod metrics;
mod middleware;
mod net;
mod ports;
mod recent;
mod registry;
mod server;
mod web3;

pub use backend::RpcContext;
pub use config::{Api, ParseApiError, RpcConfig, RpcLimits};
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
