//! A whole state in memory: what fixtures give before and after, and what state tests run on.

use crate::number::Number;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::{
    TrieAccount,
    root::{state_root_unhashed, storage_root_unhashed},
};
use heddle_chain::StateView;
use heddle_evm::{Code, StateError, StateReader};
use heddle_primitives::{Account, StateChanges};
use serde::Deserialize;
use std::collections::BTreeMap;

/// An account as fixtures write it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct AllocAccount {
    #[serde(default)]
    pub(crate) nonce: Number,
    #[serde(default)]
    pub(crate) balance: Number,
    #[serde(default)]
    pub(crate) code: Bytes,
    #[serde(default)]
    pub(crate) storage: BTreeMap<Number, Number>,
}

/// A state as fixtures write it; `null` stands for an account that does not exist.
pub(crate) type Alloc = BTreeMap<Address, Option<AllocAccount>>;

/// A state whose root is computed from nothing but its content, so that it can judge any other way to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryState {
    accounts: BTreeMap<Address, MemoryAccount>,
    code: BTreeMap<B256, Bytes>,
}

#[derive(Clone, Debug, Default)]
struct MemoryAccount {
    account: Account,
    /// Without zeros.
    storage: BTreeMap<U256, U256>,
}

impl MemoryState {
    /// The state that a fixture describes.
    pub(crate) fn new(alloc: &Alloc) -> Result<Self, String> {
        let mut state = Self::default();
        for (address, account) in alloc {
            if let Some(account) = account {
                state.insert(*address, account).map_err(|error| format!("account {address}: {error}"))?;
            }
        }
        Ok(state)
    }

    fn insert(&mut self, address: Address, from: &AllocAccount) -> Result<(), crate::number::NumberError> {
        let mut account = Account { nonce: from.nonce.narrow()?, balance: from.balance.0, ..Account::default() };
        if !from.code.is_empty() {
            account.code_hash = keccak256(&from.code);
            self.code.insert(account.code_hash, from.code.clone());
        }
        let slots = from.storage.iter().map(|(slot, value)| (slot.0, value.0));
        let storage = slots.filter(|(_, value)| !value.is_zero()).collect();
        self.accounts.insert(address, MemoryAccount { account, storage });
        Ok(())
    }

    /// The state after `changes`.
    pub(crate) fn apply(&mut self, changes: &StateChanges) {
        for (hash, code) in &changes.code {
            self.code.insert(*hash, code.clone());
        }
        for (address, change) in &changes.accounts {
            let Some(account) = change.account else {
                self.accounts.remove(address);
                continue;
            };
            let entry = self.accounts.entry(*address).or_default();
            entry.account = account;
            if change.storage_wiped {
                entry.storage.clear();
            }
            for (slot, value) in &change.storage {
                match value.is_zero() {
                    true => entry.storage.remove(slot),
                    false => entry.storage.insert(*slot, *value),
                };
            }
        }
    }

    /// Adds an empty account unless there is one at `address`.
    pub(crate) fn touch(&mut self, address: Address) {
        self.accounts.entry(address).or_default();
    }

    /// The state's Merkle-Patricia root.
    pub(crate) fn root(&self) -> B256 {
        state_root_unhashed(self.accounts.iter().map(|(address, MemoryAccount { account, storage })| {
            let slots = storage.iter().map(|(slot, value)| (B256::from(*slot), *value));
            let Account { nonce, balance, code_hash } = *account;
            (*address, TrieAccount::new(nonce, balance, storage_root_unhashed(slots), code_hash))
        }))
    }

    /// Reads what this state holds from another and names the first account or slot that is not the same there; the
    /// error is the other's failure to read.
    pub(crate) fn first_difference(&self, other: &impl Accounts) -> Result<Option<String>, String> {
        for (address, expected) in &self.accounts {
            let found = other.account_at(*address)?;
            if found != Some(expected.account) {
                return Ok(Some(format!("account {address} is {found:?}, expected {:?}", expected.account)));
            }
            for (slot, value) in &expected.storage {
                let found = other.slot_at(*address, *slot)?;
                if found != *value {
                    return Ok(Some(format!("slot {slot} of {address} is {found}, expected {value}")));
                }
            }
            let hash = expected.account.code_hash;
            if hash != KECCAK256_EMPTY && keccak256(other.code_with(hash)?) != hash {
                return Ok(Some(format!("the code of {address} does not have its hash {hash}")));
            }
        }
        Ok(None)
    }

    /// Like [`Self::first_difference`], and names accounts and slots that only `other` has too.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        for (address, account) in &other.accounts {
            let Some(expected) = self.accounts.get(address) else {
                return Some(format!("account {address} exists, expected none"));
            };
            if let Some(slot) = account.storage.keys().find(|slot| !expected.storage.contains_key(*slot)) {
                return Some(format!("slot {slot} of {address} is not zero"));
            }
        }
        self.first_difference(other).ok().flatten()
    }
}

/// A state to compare with, whoever holds it. Errors are its own.
pub(crate) trait Accounts {
    /// The account at an address.
    fn account_at(&self, address: Address) -> Result<Option<Account>, String>;
    /// The value of a slot.
    fn slot_at(&self, address: Address, slot: U256) -> Result<U256, String>;
    /// The code with a hash.
    fn code_with(&self, hash: B256) -> Result<Bytes, String>;
}

impl Accounts for MemoryState {
    fn account_at(&self, address: Address) -> Result<Option<Account>, String> {
        Ok(self.accounts.get(&address).map(|entry| entry.account))
    }

    fn slot_at(&self, address: Address, slot: U256) -> Result<U256, String> {
        let storage = self.accounts.get(&address).map(|entry| &entry.storage);
        Ok(storage.and_then(|storage| storage.get(&slot)).copied().unwrap_or_default())
    }

    fn code_with(&self, hash: B256) -> Result<Bytes, String> {
        self.code.get(&hash).cloned().ok_or_else(|| format!("there is no code {hash}"))
    }
}

impl Accounts for StateView {
    fn account_at(&self, address: Address) -> Result<Option<Account>, String> {
        self.account(address).map_err(|error| error.to_string())
    }

    fn slot_at(&self, address: Address, slot: U256) -> Result<U256, String> {
        self.storage(address, slot).map_err(|error| error.to_string())
    }

    fn code_with(&self, hash: B256) -> Result<Bytes, String> {
        self.code(hash).map_err(|error| error.to_string())
    }
}

impl StateReader for MemoryState {
    fn account(&self, address: Address) -> Result<Option<Account>, StateError> {
        self.account_at(address).map_err(StateError::new)
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.slot_at(address, slot).map_err(StateError::new)
    }

    fn code(&self, hash: B256) -> Result<Code, StateError> {
        self.code_with(hash).map(Code::new).map_err(StateError::new)
    }

    fn has_storage(&self, address: Address) -> Result<bool, StateError> {
        Ok(self.accounts.get(&address).is_some_and(|entry| !entry.storage.is_empty()))
    }

    /// State tests have no chain: by their rule the hash of block `n` is that of the decimal text of `n`.
    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        Ok(keccak256(number.to_string()))
    }

    fn root_with(&self, changes: &StateChanges) -> Result<B256, StateError> {
        let mut state = self.clone();
        state.apply(changes);
        Ok(state.root())
    }
}
