//! A chain that nobody's messages reach: it executes every committed block again.

use crate::fixture::{Fixture, GENESIS_TIME};
use crate::time::{Micros, SECOND};
use heddle_chain::{Chain, ChainConfig, ExecutionMode};
use heddle_primitives::{CertifiedBlock, FinalizedBlock, Height, ValidatorSet};
use heddle_storage::{Database, DatabaseConfig};
use std::sync::Arc;

/// By how many seconds a proposal may be ahead of its voters' clocks.
const DRIFT_SECS: u64 = 15;

/// Commits, once, whatever the nodes commit.
pub struct Referee {
    chain: Chain,
    /// By how much clocks are wrong at most, in seconds.
    skew_secs: u64,
}

impl Referee {
    /// A referee at genesis.
    ///
    /// # Errors
    /// A database cannot be opened.
    pub fn new(fixture: &Fixture, config: &DatabaseConfig, skew_secs: u64) -> Result<Self, String> {
        let database = Database::open_in_memory(config).map_err(|error| error.to_string())?;
        let config = ChainConfig {
            execution: ExecutionMode::Sequential,
            code_cache_bytes: 1 << 16,
            state_cache_bytes: 1 << 18,
            ..ChainConfig::default()
        };
        let chain = Chain::open(fixture.genesis.clone(), database, config).map_err(|error| error.to_string())?;
        Ok(Self { chain, skew_secs })
    }

    /// Height of the last block that was judged.
    pub fn height(&self) -> u64 {
        self.chain.head().header.number
    }

    /// The validators of the height after it.
    ///
    /// # Errors
    /// The database's.
    pub fn next_validators(&self) -> Result<Arc<ValidatorSet>, String> {
        self.validators(self.chain.head().height().next())
    }

    /// The validators of a height whose parent was judged.
    ///
    /// # Errors
    /// It was not.
    pub fn validators(&self, height: Height) -> Result<Arc<ValidatorSet>, String> {
        self.chain.validators(height).map_err(|error| error.to_string())
    }

    /// Judges a block that a node committed; the nodes commit heights in order, so it does, too.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn judge(&self, block: &CertifiedBlock, now: Micros) -> Result<(), String> {
        let height = block.certificate().height;
        if height <= self.chain.head().height() {
            return Ok(());
        }
        let timestamp = block.proposed().block.header.timestamp;
        let latest = GENESIS_TIME + now / SECOND + self.skew_secs + DRIFT_SECS;
        if timestamp > latest {
            return Err(format!("block {height} is dated {timestamp}, and it is {latest} at most"));
        }
        self.commit(block).map_err(|reason| format!("block {height} breaks a rule: {reason}"))
    }

    fn commit(&self, block: &CertifiedBlock) -> Result<(), String> {
        let proposed = block.proposed().clone();
        let validators = self.chain.validators(Height::new(proposed.block.header.number)).map_err(|e| e.to_string())?;
        let finalized = FinalizedBlock { proposed, certificate: block.certificate().clone() };
        let verified = CertifiedBlock::verify(finalized, &validators, &self.chain.signing_context());
        self.chain.commit(&verified.map_err(|e| e.to_string())?).map(drop).map_err(|e| e.to_string())
    }
}
