//! What the chain holds and counts, for whoever watches a running node.

use crate::{Chain, ChainError, ExecutionMode};
use heddle_state::StateStats;
use heddle_storage::EngineStats;
use std::num::NonZeroUsize;

/// What a chain holds in memory and on disk. Asking for it reads nothing from disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainStats {
    /// The database.
    pub database: EngineStats,
    /// The caches of the last committed state, and what was committed.
    pub state: StateStats,
    /// The cache of contracts' code.
    pub code: CodeCacheStats,
}

/// The cache of contracts' code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeCacheStats {
    /// Reads that it did not answer, since the chain was opened.
    pub misses: u64,
    /// Bytes that it takes, jump tables included.
    pub bytes: u64,
    /// Bytes that it may take.
    pub capacity_bytes: u64,
}

impl Chain {
    /// What the chain holds now.
    ///
    /// # Errors
    /// RocksDB's own.
    pub fn stats(&self) -> Result<ChainStats, ChainError> {
        let codes = &self.inner.codes;
        Ok(ChainStats {
            database: self.inner.database.engine_stats()?,
            state: self.inner.states.stats(),
            code: CodeCacheStats {
                misses: codes.loads(),
                bytes: codes.bytes(),
                capacity_bytes: codes.capacity_bytes(),
            },
        })
    }

    /// How blocks are executed, and on how many threads.
    pub fn execution_mode(&self) -> (ExecutionMode, NonZeroUsize) {
        let config = &self.inner.config;
        (config.execution, config.build_threads())
    }
}
