//! Tests against a chain in memory.

mod build;
mod call;
mod chain;
mod execution;
mod header;
mod legacy;
mod machine;
mod ommers;
mod parallelism;
mod transact;
mod transaction;
