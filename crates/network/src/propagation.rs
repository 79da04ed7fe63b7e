//! Blocks travel as header and short ids; what a receiver lacks it asks for.
//!
//! ```text
//!   compact block --> BlockRelay --> Assembly (pure) <-- TransactionSource: the pool
//!                        |  ^           | asks
//!                 block  |  +-----------+--> peers: BlockTransactions, BlockPieces
//!                        v
//!                    BlockShelf --> serves both to peers, pieces as soon as they are proven
//! ```

mod asking;
mod assembly;
mod erasure;
#[cfg(test)]
pub(crate) mod fixture;
mod gathering;
mod metrics;
mod relay;
mod shelf;

pub use metrics::PropagationMetrics;
pub use relay::{AssemblyError, BlockRelay};
pub use shelf::BlockShelf;
