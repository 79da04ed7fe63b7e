//! What comes before and after the transactions: several commits that count as one.

use super::account::{AccountWrite, BalanceWrite};
use super::memory::Memory;
use super::record::{AccountAccess, Ending, Record, SlotAccess};
use super::view::{Assumptions, Observed, View};
use crate::database::FirstFailure;
use crate::machine::{MachineDatabase, MachineDatabaseError};
use crate::run::BlockState;
use alloy_primitives::{Address, B256, U256, map::AddressMap};
use heddle_primitives::Account;
use revm::{
    Database, DatabaseCommit,
    state::{Account as EvmAccount, AccountId, AccountInfo, Bytecode},
};
use std::collections::BTreeMap;

/// Sees the memory as it is before an index, and holds what is committed at that index until it is taken.
#[derive(Debug)]
pub(crate) struct SerialView<'m> {
    view: View<'m>,
    held: BTreeMap<Address, Held>,
}

/// An account of which something was committed.
#[derive(Debug)]
struct Held {
    place: u32,
    seen: Option<Account>,
    left: Option<Account>,
    /// By key: its place, what it was and what it is.
    slots: BTreeMap<U256, SlotAccess>,
}

impl<'m> SerialView<'m> {
    pub(crate) fn new(memory: &'m Memory<'m>, failure: FirstFailure) -> Self {
        Self { view: View::new(memory, failure), held: BTreeMap::new() }
    }

    /// All that was committed since the index was set; none if something could not be read.
    pub(crate) fn take(&mut self) -> Option<Record> {
        if self.view.interruption().is_some() {
            return None;
        }
        let mut record = Record { accounts: Vec::new(), slots: Vec::new(), fee: None, ending: Ending::default() };
        for held in std::mem::take(&mut self.held).into_values() {
            let Held { place, seen, left, slots } = held;
            let write = (left != seen).then(|| replacement(seen, left));
            let (observed, balance_min) = (Observed::ALL, U256::ZERO);
            record.accounts.push(AccountAccess { place, seen, observed, balance_min, write });
            record.slots.extend(slots.into_values());
        }
        Some(record)
    }

    fn commit_account(&mut self, address: Address, account: &EvmAccount) -> Result<(), MachineDatabaseError> {
        let (place, seen) = self.view.look(address)?;
        let held = self.held.entry(address).or_insert_with(|| Held { place, seen, left: seen, slots: BTreeMap::new() });
        for (key, slot) in &account.storage {
            let left = match account.is_touched() {
                _ if account.is_selfdestructed() => U256::ZERO,
                true => slot.present_value,
                false => slot.original_value(),
            };
            match held.slots.get_mut(key) {
                Some(access) => access.write = (left != access.seen).then_some(left),
                None => {
                    let (place, seen) = self.view.look_at_slot(held.place, *key)?;
                    held.slots.insert(*key, SlotAccess { place, seen, write: (left != seen).then_some(left) });
                }
            }
        }
        if account.is_touched() {
            let info = &account.info;
            if let Some(code) = info.code.as_ref().filter(|code| !code.is_empty()) {
                self.view.memory().add_code(info.code_hash, code);
            }
            let left = Account { nonce: info.nonce, balance: info.balance, code_hash: info.code_hash };
            held.left = (!account.is_selfdestructed() && !left.is_empty()).then_some(left);
        }
        Ok(())
    }

    fn held_slot(&self, address: Address, key: U256) -> Option<U256> {
        let access = self.held.get(&address)?.slots.get(&key)?;
        Some(access.write.unwrap_or(access.seen))
    }
}

/// The write that leaves `left`, whatever was there.
fn replacement(seen: Option<Account>, left: Option<Account>) -> AccountWrite {
    let Some(left) = left else { return AccountWrite { is_destroyed: seen.is_some(), ..AccountWrite::default() } };
    AccountWrite {
        balance: BalanceWrite::Set(left.balance),
        nonce: Some(left.nonce),
        code_hash: Some(left.code_hash),
        is_destroyed: false,
    }
}

impl Database for SerialView<'_> {
    type Error = MachineDatabaseError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, MachineDatabaseError> {
        match self.held.get(&address) {
            Some(held) => Ok(held.left.map(|account| View::info(account, held.place))),
            None => self.view.basic(address),
        }
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, MachineDatabaseError> {
        self.view.code_by_hash(hash)
    }

    fn storage(&mut self, address: Address, key: U256) -> Result<U256, MachineDatabaseError> {
        self.held_slot(address, key).map_or_else(|| self.view.storage(address, key), Ok)
    }

    fn storage_by_account_id(
        &mut self,
        address: Address,
        account: AccountId,
        key: U256,
    ) -> Result<U256, MachineDatabaseError> {
        self.held_slot(address, key).map_or_else(|| self.view.storage_by_account_id(address, account, key), Ok)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, MachineDatabaseError> {
        self.view.block_hash(number)
    }
}

impl DatabaseCommit for SerialView<'_> {
    fn commit(&mut self, changes: AddressMap<EvmAccount>) {
        for (address, account) in &changes {
            // The view notes what it could not read, and nothing is taken then.
            if self.commit_account(*address, account).is_err() {
                return;
            }
        }
    }
}

impl MachineDatabase for SerialView<'_> {
    fn peek(&mut self, address: Address) -> Result<Option<AccountInfo>, MachineDatabaseError> {
        self.basic(address)
    }

    fn has_storage(&self, address: Address) -> Result<bool, MachineDatabaseError> {
        self.view.has_storage(address)
    }
}

impl BlockState for SerialView<'_> {
    fn set_index(&mut self, index: u64) {
        self.view.turn_to(u32::try_from(index).unwrap_or(u32::MAX), Assumptions::default(), false);
    }
}
