//! Worlds of accounts and contracts, and blocks over them: what benchmarks and property tests execute.
//!
//! A [`Workload`] is one block with the state before it, made by [`by_name`] or [`all`], the same bytes at every call.
//! Balances, allowances and reserves stand in the state from the start, so that no block has to set them up.

mod catalogue;
mod chain;
mod contracts;
pub mod mainnet;
pub mod measure;
mod mixed;
mod programs;
mod state;
mod swaps;
#[cfg(test)]
mod tests;
mod tokens;
mod transfers;
mod world;

pub use catalogue::{NAMES, STORAGE_READS, Size, Workload, all, by_name, storage_reads};
pub use chain::{CHAIN_ID, Chain};
pub use state::MemoryState;

/// The lots of every workload.
fn rng() -> rand_chacha::ChaCha8Rng {
    rand::SeedableRng::seed_from_u64(4)
}
