//! The versioned memory: every account and slot that a block meets, with what each transaction leaves of them.

use super::account::AccountCell;
use super::interner::{Interner, ShardKey};
use super::slot::SlotCell;
use super::sync::RwLock;
use crate::{StateError, StateReader};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256, map::B256Map};
use revm::state::Bytecode;
use std::convert::Infallible;

/// A slot's account, by place, and its key.
type SlotKey = (u32, U256);

impl ShardKey for Address {
    fn shard(&self) -> usize {
        usize::from(self.0[19])
    }
}

impl ShardKey for SlotKey {
    fn shard(&self) -> usize {
        // Keys of mappings are hashes; those of plain variables count up.
        self.1.as_limbs()[0] as usize ^ self.0 as usize
    }
}

/// The state before the block, read once, and under it what the block's transactions write.
pub(crate) struct Memory<'r> {
    reader: &'r dyn StateReader,
    accounts: Interner<Address, AccountCell>,
    slots: Interner<SlotKey, SlotCell>,
    /// Code deployed in this block. It is found by its hash, so that it needs no versions.
    code: RwLock<B256Map<Bytecode>>,
    /// Whether places that are not here yet may be added, as everywhere but when executing by an access list.
    is_open: bool,
}

/// Why a place cannot be had.
pub(crate) enum Missing {
    /// The block's access list does not have it.
    Unlisted,
    State(StateError),
}

impl<'r> Memory<'r> {
    pub(crate) fn new(reader: &'r dyn StateReader) -> Self {
        Self { reader, accounts: Interner::new(), slots: Interner::new(), code: RwLock::default(), is_open: true }
    }

    /// From now on only what is here already can be found.
    pub(crate) fn close(&mut self) {
        self.is_open = false;
    }

    /// The place of an account, which is read when it is new.
    pub(crate) fn account_place(&self, address: Address) -> Result<u32, Missing> {
        if !self.is_open {
            return self.accounts.find(&address).ok_or(Missing::Unlisted);
        }
        let read = || Ok(AccountCell::new(address, self.reader.account(address)?));
        self.accounts.find_or_make(address, read).map_err(Missing::State)
    }

    /// Adds an account that is not here yet, and answers its place.
    pub(crate) fn add_account(&self, cell: AccountCell) -> u32 {
        let Ok(place) = self.accounts.find_or_make(cell.address, || Ok::<_, Infallible>(cell));
        place
    }

    /// The place of a slot, which is read when it is new.
    pub(crate) fn slot_place(&self, account: u32, key: U256) -> Result<u32, Missing> {
        if !self.is_open {
            return self.slots.find(&(account, key)).ok_or(Missing::Unlisted);
        }
        let cell = self.account(account);
        let read = || {
            // An account that is not there has no slots, and need not be asked.
            let base = if cell.base.is_some() { self.reader.storage(cell.address, key)? } else { U256::ZERO };
            Ok(SlotCell::new(account, key, base))
        };
        self.slots.find_or_make((account, key), read).map_err(Missing::State)
    }

    pub(crate) fn account(&self, place: u32) -> &AccountCell {
        self.accounts.get(place)
    }

    pub(crate) fn slot(&self, place: u32) -> &SlotCell {
        self.slots.get(place)
    }

    pub(crate) fn accounts_len(&self) -> u32 {
        self.accounts.len()
    }

    pub(crate) fn slots_len(&self) -> u32 {
        self.slots.len()
    }

    /// Keeps code that a transaction deploys.
    pub(crate) fn add_code(&self, hash: B256, code: &Bytecode) {
        self.code.write().entry(hash).or_insert_with(|| code.clone());
    }

    /// Code of this block.
    pub(crate) fn new_code(&self, hash: &B256) -> Option<Bytecode> {
        self.code.read().get(hash).cloned()
    }

    /// Code of this block or of the state before it.
    pub(crate) fn code(&self, hash: B256) -> Result<Bytecode, StateError> {
        if hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        if let Some(code) = self.new_code(&hash) {
            return Ok(code);
        }
        Ok(self.reader.code(hash)?.into_bytecode())
    }

    /// Gives the memory back beside what comes next: that takes a while for a block of many accounts.
    pub(crate) fn discard(self) {
        let Self { accounts, slots, code, .. } = self;
        rayon::spawn(move || drop((accounts, slots, code)));
    }

    pub(crate) fn reader(&self) -> &'r dyn StateReader {
        self.reader
    }
}
