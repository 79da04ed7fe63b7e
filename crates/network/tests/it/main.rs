//! Real swarms on loopback, on ports that the operating system chooses.

#![allow(clippy::unwrap_used)] // A helper that fails, fails its test.

mod connections;
mod gossip;
mod hostile;
mod requests;
mod support;
mod transactions;
