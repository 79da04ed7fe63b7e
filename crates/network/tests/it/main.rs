//! Real swarms on loopback, on ports that the operating system chooses.

#![allow(clippy::unwrap_used)] // A helper that fails, fails its test.

mod admission;
mod connections;
mod gossip;
mod hostile;
mod names;
mod operator;
mod propagation;
mod relay;
mod requests;
mod store;
mod support;
mod sybils;
mod transactions;
mod versions;
