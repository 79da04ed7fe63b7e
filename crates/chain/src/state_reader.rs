//! The executor's view of a block: its state, and the hashes of its ancestors.

use crate::block_store::BlockStore;
use alloy_consensus::EMPTY_ROOT_HASH;
use alloy_primitives::{Address, B256, U256};
use heddle_evm::{Code, CodeCache, StateError, StateReader};
use heddle_primitives::{Account, StateChanges};
use heddle_state::{ProofLimits, StateStore, StateView};

/// A state with the chain below it.
pub(crate) struct ChainStateReader<'a> {
    pub(crate) state: StateView,
    pub(crate) blocks: BlockStore,
    pub(crate) states: &'a StateStore,
    pub(crate) codes: &'a CodeCache,
}

impl StateReader for ChainStateReader<'_> {
    fn account(&self, address: Address) -> Result<Option<Account>, StateError> {
        self.state.account(address).map_err(StateError::new)
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.state.storage(address, slot).map_err(StateError::new)
    }

    fn code(&self, hash: B256) -> Result<Code, StateError> {
        self.codes.get_or_load(hash, || self.state.code(hash)).map_err(StateError::new)
    }

    fn has_storage(&self, address: Address) -> Result<bool, StateError> {
        Ok(self.state.storage_root(address).map_err(StateError::new)? != EMPTY_ROOT_HASH)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        Ok(self.blocks.hash(number).map_err(StateError::new)?.unwrap_or_default())
    }

    fn root_with(&self, changes: &StateChanges) -> Result<B256, StateError> {
        let root = match self.states.compute(&self.state, changes) {
            Err(heddle_state::StateError::NotHead { .. }) => self.state.root_with(changes, &ProofLimits::default()),
            update => update.map(|update| update.state_root),
        };
        root.map_err(StateError::new)
    }
}

/// The same, as far as it is in memory.
pub(crate) struct MemoryReader<'a> {
    pub(crate) state: StateView,
    pub(crate) codes: &'a CodeCache,
}

impl StateReader for MemoryReader<'_> {
    fn account(&self, address: Address) -> Result<Option<Account>, StateError> {
        self.state.cached_account(address).ok_or_else(not_in_memory)
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.state.cached_storage(address, slot).ok_or_else(not_in_memory)
    }

    fn code(&self, hash: B256) -> Result<Code, StateError> {
        self.codes.get(hash).ok_or_else(not_in_memory)
    }

    fn has_storage(&self, _address: Address) -> Result<bool, StateError> {
        Err(not_in_memory())
    }

    fn block_hash(&self, _number: u64) -> Result<B256, StateError> {
        Err(not_in_memory())
    }

    fn root_with(&self, _changes: &StateChanges) -> Result<B256, StateError> {
        Err(not_in_memory())
    }
}

fn not_in_memory() -> StateError {
    StateError::new("not in memory")
}
