//! A real server on a loopback port, over a real chain of one validator in a temporary directory and a real mempool.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod absent;
mod accounts;
mod blocks;
mod calls;
mod client;
mod fees;
mod heddle;
mod logs;
mod membership;
mod metrics;
mod node;
mod proofs;
mod state;
mod status;
mod subscriptions;
mod transactions;
mod transport;
