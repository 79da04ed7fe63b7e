//! Tests against a chain in memory.

mod build;
mod call;
mod chain;
mod created_list;
mod execution;
mod header;
mod legacy;
mod machine;
mod ommers;
mod overrides;
mod parallelism;
mod short;
mod simulate;
mod transact;
mod transaction;
