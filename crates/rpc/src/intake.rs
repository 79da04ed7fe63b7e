//! Where the transactions of callers go.

use alloy_primitives::TxHash;
use heddle_mempool::{Mempool, Origin, PoolError};
use std::time::SystemTime;

/// Takes the transactions of callers.
pub trait TransactionIntake: Send + Sync + 'static {
    /// Takes an EIP-2718 encoded transaction, whose call came at `received`. Blocks.
    ///
    /// # Errors
    /// Why it is refused.
    fn submit(&self, raw: &[u8], received: SystemTime) -> Result<TxHash, PoolError>;
}

impl TransactionIntake for Mempool {
    fn submit(&self, raw: &[u8], _received: SystemTime) -> Result<TxHash, PoolError> {
        Self::submit(self, raw, Origin::Local)
    }
}
