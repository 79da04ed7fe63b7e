//! Drives real `heddle` processes from outside: RPC, files, signals.
//!
//! Each file under `tests/` is a theme, each test a story: make a network, start nodes, hurt them, look at what all
//! of them say. The binary comes from the environment variable `HEDDLE_BIN`, or stands beside the tests in the
//! target directory (`make test` builds it first).
//!
//! Rules of this crate:
//! - a wait is for a condition, never for a time; [`DEADLINE`] only ends a test that would hang;
//! - everything fails by panicking with what was expected and the ends of the nodes' logs;
//! - one network, or devnet, at a time in a test binary: they are several processes each.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a harness fails by panicking")]

mod binary;
mod devnet;
pub mod docker;
pub mod docs;
pub mod kubernetes;
mod last_words;
pub mod netns;
mod network;
mod ports;
mod process;
mod prometheus;
mod rpc;
mod small_disk;
mod tools;
mod wait;
mod wallet;

pub use binary::{Finished, heddle, run, run_binary, run_with};
pub use devnet::Devnet;
pub use network::{Network, path_text};
pub use ports::{free_port, free_ports};
pub use process::{Process, Signal};
pub use prometheus::Prometheus;
pub use rpc::{CallError, Rpc, quantity, u256};
pub use small_disk::SmallDisk;
pub use tools::{has_package, has_program};
pub use wait::{DEADLINE, eventually, turn, within};
pub use wallet::{CHAIN_ID, Signed, account, contract_call, ether, transfer};
