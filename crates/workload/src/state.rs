//! A state in memory.

use alloy_genesis::GenesisAccount;
use alloy_primitives::{
    Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256,
    map::{AddressMap, B256Map, HashMap},
};
use heddle_evm::{Code, StateError, StateReader};
use heddle_primitives::{Account, StateChanges};

/// An account with its storage.
#[derive(Clone, Debug, Default)]
struct Entry {
    account: Account,
    storage: HashMap<U256, U256>,
}

/// Accounts, slots and analysed code as plain maps: as quick to read as a state can be, from any number of threads.
#[derive(Clone, Debug, Default)]
pub struct MemoryState {
    entries: AddressMap<Entry>,
    codes: B256Map<Code>,
    block_hashes: HashMap<u64, B256>,
}

impl MemoryState {
    /// Puts an account, or other values of one that is there; its storage stays. The code must be put too.
    pub fn set_account(&mut self, address: Address, account: Account) {
        self.entries.entry(address).or_default().account = account;
    }

    /// Puts an account that only has ether.
    pub fn set_balance(&mut self, address: Address, balance: U256) {
        self.set_account(address, Account { nonce: 0, balance, code_hash: KECCAK256_EMPTY });
    }

    /// Puts code under its hash, which it returns.
    pub fn add_code(&mut self, code: Bytes) -> B256 {
        let hash = if code.is_empty() { KECCAK256_EMPTY } else { keccak256(&code) };
        self.codes.entry(hash).or_insert_with(|| Code::new(code));
        hash
    }

    /// Puts a slot of an account, which comes into being with it.
    pub fn set_slot(&mut self, address: Address, slot: U256, value: U256) {
        self.entries.entry(address).or_default().storage.insert(slot, value);
    }

    /// Puts the hash of an ancestor.
    pub fn set_block_hash(&mut self, number: u64, hash: B256) {
        self.block_hashes.insert(number, hash);
    }

    /// Puts an account as a genesis file has it.
    pub fn add_genesis_account(&mut self, address: Address, account: &GenesisAccount) {
        let code_hash = self.add_code(account.code.clone().unwrap_or_default());
        let nonce = account.nonce.unwrap_or_default();
        self.set_account(address, Account { nonce, balance: account.balance, code_hash });
        for (slot, value) in account.storage.iter().flatten() {
            self.set_slot(address, (*slot).into(), (*value).into());
        }
    }

    /// Becomes the state after a block.
    pub fn apply(&mut self, changes: &StateChanges) {
        for code in changes.code.values() {
            self.add_code(code.clone());
        }
        for (address, change) in &changes.accounts {
            let Some(account) = change.account else {
                self.entries.remove(address);
                continue;
            };
            let entry = self.entries.entry(*address).or_default();
            entry.account = account;
            if change.storage_wiped {
                entry.storage.clear();
            }
            entry.storage.extend(&change.storage);
        }
    }

    /// Every account with its slots, in no order.
    pub fn accounts(&self) -> impl Iterator<Item = (Address, Account, &HashMap<U256, U256>)> {
        self.entries.iter().map(|(address, entry)| (*address, entry.account, &entry.storage))
    }

    /// Every code with its hash, in no order.
    pub fn codes(&self) -> impl Iterator<Item = (B256, &Code)> {
        self.codes.iter().map(|(hash, code)| (*hash, code))
    }
}

impl StateReader for MemoryState {
    fn account(&self, address: Address) -> Result<Option<Account>, StateError> {
        Ok(self.entries.get(&address).map(|entry| entry.account))
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        let value = self.entries.get(&address).and_then(|entry| entry.storage.get(&slot));
        Ok(value.copied().unwrap_or_default())
    }

    fn code(&self, hash: B256) -> Result<Code, StateError> {
        self.codes.get(&hash).cloned().ok_or_else(|| StateError::new(format!("no code {hash}")))
    }

    fn has_storage(&self, address: Address) -> Result<bool, StateError> {
        Ok(self.entries.get(&address).is_some_and(|entry| entry.storage.values().any(|value| !value.is_zero())))
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        Ok(self.block_hashes.get(&number).copied().unwrap_or_default())
    }

    /// Zero: plain maps have no root, and only receipts from before Byzantium would show it.
    fn root_with(&self, _changes: &StateChanges) -> Result<B256, StateError> {
        Ok(B256::ZERO)
    }
}
