//! Runs Ethereum's own test suites against Heddle: ethereum/tests and the fixtures of execution-spec-tests.
//!
//! Rules of this crate:
//! - a test is judged by the node's own code: blocks go through [`heddle_chain::Chain::import`], transactions through
//!   [`heddle_evm::transact`]; what they give is judged by code that is not the node's (roots by `alloy-trie`);
//! - formats are told by content, never by folder; a JSON file that is no known test is a failure;
//! - what is not judged stands in one table with its reason, [`SKIPS`];
//! - a panic fails its case and ends nothing else.

mod alloc;
mod archive;
mod blockchain_test;
mod engine_test;
mod exceptions;
mod format;
mod message;
mod network;
mod number;
mod options;
mod replay;
mod rlp_test;
mod skips;
mod state_test;
mod suite;
mod transaction_test;
mod trie_test;
mod verdict;

pub use archive::{fixtures, unpack};
pub use options::{Mode, Options};
pub use skips::{SKIPS, Skip};
pub use suite::{Place, Totals, files, run};
pub use verdict::{Case, Verdict};
