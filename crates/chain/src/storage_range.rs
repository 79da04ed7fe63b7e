//! The slots of an account, page by page, also between the transactions of a block.

use crate::{Chain, ChainError, ProofLimits, TraceBounds};
use alloy_primitives::{Address, B256, U256, keccak256};
use heddle_evm::changes_after;
use std::collections::BTreeMap;

/// Whose slots, when, and which.
#[derive(Clone, Copy, Debug)]
pub struct StorageQuery {
    /// In this block.
    pub number: u64,
    /// Before the transaction of this index.
    pub index: usize,
    /// Of this account.
    pub address: Address,
    /// From this hashed slot on.
    pub start: B256,
    /// At most so many.
    pub limit: usize,
}

/// A page of an account's slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageRange {
    /// The slots by their hashes.
    pub slots: BTreeMap<B256, FoundSlot>,
    /// The hash of the first slot after them.
    pub next: Option<B256>,
}

/// A slot that was found by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundSlot {
    /// Which one, where that is known: the state has hashes alone, but what the block writes has a name.
    pub slot: Option<U256>,
    /// Never zero.
    pub value: U256,
}

impl Chain {
    /// The slots of an account in the order of their hashes.
    ///
    /// # Errors
    /// As [`Self::trace`] and [`Self::proof`].
    pub fn storage_range(
        &self,
        query: &StorageQuery,
        limits: &ProofLimits,
        bounds: TraceBounds<'_>,
    ) -> Result<StorageRange, ChainError> {
        let StorageQuery { number, index, address, start, limit } = *query;
        let mut changes = self.trace(number, |block| changes_after(block, index, bounds))?;
        let change = changes.accounts.remove(&address).unwrap_or_default();
        let mut found = BTreeMap::new();
        if !change.storage_wiped {
            // As many more as the block may have taken away, and one that says where to go on.
            let most = limit.saturating_add(change.storage.len()).saturating_add(1);
            let state = self.state_at(number.saturating_sub(1))?;
            for (hash, value) in state.storage_range(keccak256(address), start, most, limits)?.leaves {
                let value = alloy_rlp::decode_exact(value).map_err(|error| ChainError::Corrupt(error.to_string()))?;
                found.insert(hash, FoundSlot { slot: None, value });
            }
        }
        for (slot, value) in change.storage {
            let hash = keccak256(B256::from(slot));
            if value.is_zero() {
                found.remove(&hash);
            } else if hash >= start {
                found.insert(hash, FoundSlot { slot: Some(slot), value });
            }
        }
        let next = found.keys().nth(limit).copied();
        if let Some(next) = next {
            found.split_off(&next);
        }
        Ok(StorageRange { slots: found, next })
    }
}
