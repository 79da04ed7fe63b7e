//! What an execution reads of the state.

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use heddle_evm::{Code, StateError, StateReader};
use heddle_primitives::{Account, StateChanges};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};

/// What was read.
#[derive(Default)]
pub(super) struct Accesses {
    /// Accounts, and of each the slots.
    pub(super) accounts: BTreeMap<Address, BTreeSet<U256>>,
    /// Code, by its hash.
    pub(super) codes: BTreeSet<B256>,
    /// The oldest block whose hash was asked for.
    pub(super) oldest_block: Option<u64>,
}

impl Accesses {
    /// The addresses and then the slots, each once.
    pub(super) fn keys(&self) -> Vec<Bytes> {
        let slots = BTreeSet::from_iter(self.accounts.values().flatten().map(|slot| B256::from(*slot)));
        let addresses = self.accounts.keys().map(|address| Bytes::copy_from_slice(address.as_slice()));
        addresses.chain(slots.into_iter().map(Bytes::from)).collect()
    }

    fn slots(&mut self, address: Address) -> &mut BTreeSet<U256> {
        self.accounts.entry(address).or_default()
    }
}

/// A state whose reads are noted.
pub(super) struct Recording<'a> {
    reader: &'a dyn StateReader,
    accesses: Mutex<Accesses>,
}

impl<'a> Recording<'a> {
    pub(super) fn new(reader: &'a dyn StateReader) -> Self {
        Self { reader, accesses: Mutex::default() }
    }

    /// What was read, and what was changed without that.
    pub(super) fn into_accesses(self, changes: &StateChanges) -> Accesses {
        let mut accesses = self.accesses.into_inner();
        for (address, change) in &changes.accounts {
            accesses.slots(*address).extend(change.storage.keys());
        }
        accesses
    }
}

impl StateReader for Recording<'_> {
    fn account(&self, address: Address) -> Result<Option<Account>, StateError> {
        self.accesses.lock().slots(address);
        self.reader.account(address)
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.accesses.lock().slots(address).insert(slot);
        self.reader.storage(address, slot)
    }

    fn code(&self, hash: B256) -> Result<Code, StateError> {
        if hash != KECCAK256_EMPTY {
            self.accesses.lock().codes.insert(hash);
        }
        self.reader.code(hash)
    }

    fn has_storage(&self, address: Address) -> Result<bool, StateError> {
        self.accesses.lock().slots(address);
        self.reader.has_storage(address)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        let mut accesses = self.accesses.lock();
        accesses.oldest_block = Some(accesses.oldest_block.map_or(number, |oldest| oldest.min(number)));
        drop(accesses);
        self.reader.block_hash(number)
    }

    fn root_with(&self, changes: &StateChanges) -> Result<B256, StateError> {
        self.reader.root_with(changes)
    }
}
