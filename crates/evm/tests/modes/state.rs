//! The state as plain maps.

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use heddle_evm::{Code, StateError, StateReader};
use heddle_primitives::{Account, StateChanges};
use std::collections::BTreeMap;

/// A state that can be read, changed, and told to fail.
#[derive(Clone, Default)]
pub struct MemoryState {
    accounts: BTreeMap<Address, Account>,
    storage: BTreeMap<(Address, U256), U256>,
    code: BTreeMap<B256, Code>,
    /// Every read of this account fails.
    pub fails_at: Option<Address>,
}

impl MemoryState {
    /// Adds an account, which may be an empty one.
    pub fn insert(&mut self, address: Address, nonce: u64, balance: U256, code: Bytes) {
        let code_hash = if code.is_empty() { KECCAK256_EMPTY } else { keccak256(&code) };
        self.accounts.insert(address, Account { nonce, balance, code_hash });
        self.code.insert(code_hash, Code::new(code));
    }

    /// Sets a slot.
    pub fn set_slot(&mut self, address: Address, slot: U256, value: U256) {
        self.storage.insert((address, slot), value);
    }

    /// The account, or an empty one.
    pub fn account_or_empty(&self, address: Address) -> Account {
        self.accounts.get(&address).copied().unwrap_or_default()
    }

    /// Makes a block's changes.
    pub fn apply(&mut self, changes: &StateChanges) {
        self.code.extend(changes.code.iter().map(|(hash, code)| (*hash, Code::new(code.clone()))));
        for (address, change) in &changes.accounts {
            match change.account {
                Some(account) => self.accounts.insert(*address, account),
                None => self.accounts.remove(address),
            };
            if change.storage_wiped {
                self.storage.retain(|(owner, _), _| owner != address);
            }
            self.storage.extend(change.storage.iter().map(|(slot, value)| ((*address, *slot), *value)));
        }
    }

    fn check(&self, address: Address) -> Result<(), StateError> {
        if self.fails_at == Some(address) { Err(StateError::new("disk on fire")) } else { Ok(()) }
    }
}

impl StateReader for MemoryState {
    fn account(&self, address: Address) -> Result<Option<Account>, StateError> {
        self.check(address)?;
        Ok(self.accounts.get(&address).copied())
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.check(address)?;
        Ok(self.storage.get(&(address, slot)).copied().unwrap_or_default())
    }

    fn code(&self, hash: B256) -> Result<Code, StateError> {
        self.code.get(&hash).cloned().ok_or_else(|| StateError::new(format!("no code {hash}")))
    }

    fn has_storage(&self, address: Address) -> Result<bool, StateError> {
        self.check(address)?;
        let mut slots = self.storage.range((address, U256::ZERO)..=(address, U256::MAX));
        Ok(slots.any(|(_, value)| !value.is_zero()))
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        Ok(keccak256(number.to_be_bytes()))
    }

    /// Not the Merkle root, which would take most of the time: as that, equal if and only if the states are.
    fn root_with(&self, changes: &StateChanges) -> Result<B256, StateError> {
        let mut state = self.clone();
        state.apply(changes);
        state.storage.retain(|_, value| !value.is_zero());
        Ok(keccak256(format!("{:?}{:?}", state.accounts, state.storage)))
    }
}
