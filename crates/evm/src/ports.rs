//! What the executor needs from others: the state it runs on.

use crate::Code;
use alloy_primitives::{Address, B256, U256};
use heddle_primitives::{Account, StateChanges};
use std::error::Error;
use std::sync::Arc;

/// The state could not be read. Always our own fault, never that of a block or a caller.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot read the state: {0}")]
pub struct StateError(Arc<dyn Error + Send + Sync>);

impl StateError {
    /// Wraps what the store said.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(cause.into()))
    }

    /// What the store said, if it is of this type.
    pub fn cause<T: Error + 'static>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

/// The state after one block, with the hashes of the block's ancestors. Reads must be consistent with each other.
pub trait StateReader: Send + Sync {
    /// The account at `address`, if it exists.
    ///
    /// # Errors
    /// When the store fails.
    fn account(&self, address: Address) -> Result<Option<Account>, StateError>;

    /// The value of a storage slot; zero when it was never written.
    ///
    /// # Errors
    /// When the store fails.
    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError>;

    /// The code with the given Keccak-256 hash; never asked for the hash of empty code.
    ///
    /// # Errors
    /// When the store fails or does not have the code.
    fn code(&self, hash: B256) -> Result<Code, StateError>;

    /// Whether any storage slot of the account is nonzero. Asked for the few accounts that a contract is created at
    /// although they exist (EIP-7610).
    ///
    /// # Errors
    /// When the store fails.
    fn has_storage(&self, address: Address) -> Result<bool, StateError>;

    /// The hash of block `number`, asked for at most 256 blocks back; zero when there is no such block.
    ///
    /// # Errors
    /// When the store fails.
    fn block_hash(&self, number: u64) -> Result<B256, StateError>;

    /// The state root after `changes` to this state. Asked only for blocks before Byzantium, whose receipts hold the
    /// state root after their transaction.
    ///
    /// # Errors
    /// When the store fails, or cannot compute roots on this state.
    fn root_with(&self, changes: &StateChanges) -> Result<B256, StateError>;
}
