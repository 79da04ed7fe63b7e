//! A real server on a loopback port, over a real chain of one validator in a temporary directory and a real mempool.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod absent;
mod accounts;
mod between;
mod blocks;
mod calls;
mod client;
mod fees;
mod filters;
mod fork_config;
mod fuzz;
mod heddle;
mod hostile;
mod limits;
mod logs;
mod membership;
mod metrics;
mod node;
mod openrpc;
mod operators;
mod overrides;
mod pending;
mod proofs;
mod quantities;
mod raw;
mod schema;
mod send_sync;
mod simulate;
mod state;
mod status;
mod subscriptions;
mod traces;
mod transactions;
mod transport;
mod txpool;
mod uploads;
mod websocket;
mod why_pending;
mod witness;
