//! The block that an operator says is on the chain.

use crate::{Chain, ChainError};
use alloy_primitives::B256;

impl Chain {
    /// Refuses another block than the checkpoint at its height.
    pub(crate) fn require_checkpoint(&self, number: u64, hash: B256) -> Result<(), ChainError> {
        match self.inner.config.checkpoint {
            Some(checkpoint) if checkpoint.height.as_u64() == number && checkpoint.hash != hash => {
                Err(ChainError::Checkpoint { number, hash, checkpoint: checkpoint.hash })
            }
            _ => Ok(()),
        }
    }

    /// Refuses a chain that has another block than the checkpoint. One whose header there is absent began behind it.
    pub(crate) fn require_checkpoint_below_head(&self) -> Result<(), ChainError> {
        let Some(checkpoint) = self.inner.config.checkpoint else { return Ok(()) };
        match self.inner.blocks.hash(checkpoint.height.as_u64())? {
            Some(hash) => self.require_checkpoint(checkpoint.height.as_u64(), hash),
            None => Ok(()),
        }
    }
}
