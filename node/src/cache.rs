//! Memory for caches, as one figure that an operator chooses.

use heddle_chain::ChainConfig;
use heddle_storage::DatabaseConfig;
use std::num::ParseIntError;
use std::str::FromStr;

/// Memory for the caches of one node, in MiB. A half holds hot accounts, slots and trie rows, an eighth contracts' code
/// with its jump tables, the rest blocks of the database. It is taken only as it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSize {
    mebibytes: u32,
}

/// Not a size of caches: the caller's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CacheSizeError {
    /// Not a number.
    #[error("expected a number of MiB, for example 512: {0}")]
    Number(#[from] ParseIntError),
    /// Too little to run with, or more than any machine has.
    #[error("{mebibytes} MiB is not in {min} to {max}", min = CacheSize::MIN, max = CacheSize::MAX)]
    Range {
        /// What was asked for.
        mebibytes: u32,
    },
}

impl CacheSize {
    const MIN: u32 = 16;
    const MAX: u32 = 1 << 20;

    /// The settings of the database.
    pub fn database(self) -> DatabaseConfig {
        DatabaseConfig { block_cache_bytes: self.eighths(3), ..DatabaseConfig::default() }
    }

    /// The settings of the chain.
    pub fn chain(self) -> ChainConfig {
        ChainConfig {
            state_cache_bytes: self.eighths(4),
            code_cache_bytes: self.eighths(1) as u64,
            ..ChainConfig::default()
        }
    }

    /// All of it, in bytes.
    pub fn bytes(self) -> u64 {
        u64::from(self.mebibytes) << 20
    }

    fn eighths(self, count: usize) -> usize {
        (self.mebibytes as usize).saturating_mul(1 << 20) / 8 * count
    }
}

impl Default for CacheSize {
    fn default() -> Self {
        Self { mebibytes: 512 }
    }
}

impl std::fmt::Display for CacheSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.mebibytes.fmt(f)
    }
}

impl FromStr for CacheSize {
    type Err = CacheSizeError;

    fn from_str(text: &str) -> Result<Self, CacheSizeError> {
        let mebibytes = text.parse()?;
        match (Self::MIN..=Self::MAX).contains(&mebibytes) {
            true => Ok(Self { mebibytes }),
            false => Err(CacheSizeError::Range { mebibytes }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_whole() {
        let size = CacheSize { mebibytes: 17 };
        let (database, chain) = (size.database(), size.chain());
        let parts = database.block_cache_bytes + chain.state_cache_bytes + chain.code_cache_bytes as usize;
        assert_eq!(parts, 17 << 20);
        assert_eq!(CacheSize::default().to_string().parse(), Ok(CacheSize::default()));
    }

    #[test]
    fn a_bad_size_is_explained() {
        let error = |text: &str| text.parse::<CacheSize>().map_err(|error| error.to_string());
        assert_eq!(error("15"), Err("15 MiB is not in 16 to 1048576".to_owned()));
        assert!(error("much").is_err_and(|text| text.starts_with("expected a number of MiB, for example 512")));
    }
}
