//! What an operator may set.

use serde::{Deserialize, Serialize};

/// Memory and file bounds of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Cache of uncompressed blocks, filters and indices, in bytes.
    pub block_cache_bytes: usize,
    /// Writes held in memory over all tables before they are flushed, in bytes.
    pub write_buffer_bytes: usize,
    /// Files kept open; at least 64 leaves room for one file a table and level.
    pub open_files_max: u16,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self { block_cache_bytes: 256 * 1024 * 1024, write_buffer_bytes: 64 * 1024 * 1024, open_files_max: 512 }
    }
}
