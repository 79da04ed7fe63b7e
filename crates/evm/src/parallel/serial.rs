//! The versioned memory as what comes before and after the transactions sees it: one commit after the other.

use super::memory::{Memory, Missing};
use super::record::Stale;
use super::view::View;
use crate::database::FirstFailure;
use crate::machine::{MachineDatabase, MachineDatabaseError};
use crate::run::BlockState;
use alloy_primitives::{Address, B256, U256, map::AddressMap};
use heddle_primitives::Account;
use revm::{
    Database, DatabaseCommit,
    state::{Account as EvmAccount, AccountId, AccountInfo, Bytecode},
};

/// Reads what is final, and makes final what is committed.
#[derive(Debug)]
pub(crate) struct SerialView<'m> {
    view: View<'m>,
    index: u32,
}

impl<'m> SerialView<'m> {
    pub(crate) fn new(memory: &'m Memory<'m>, failure: FirstFailure) -> Self {
        let mut serial = Self { view: View::new(memory, failure), index: 0 };
        serial.set_index(0);
        serial
    }

    fn commit_account(&self, address: Address, account: &EvmAccount) -> Result<(), Missing> {
        let memory = self.view.memory();
        let place = memory.account_place(address)?;
        let cell = memory.account(place);
        cell.access();
        for (key, slot) in &account.storage {
            let slot_cell = memory.slot(memory.slot_place(place, *key)?);
            slot_cell.access();
            if slot.is_changed() && account.is_touched() {
                slot_cell.write(self.index, slot.present_value);
            }
        }
        if !account.is_touched() {
            return Ok(());
        }
        let info = &account.info;
        if let Some(code) = info.code.as_ref().filter(|code| !code.is_empty()) {
            memory.add_code(info.code_hash, code);
        }
        let left = Account { nonce: info.nonce, balance: info.balance, code_hash: info.code_hash };
        let left = (!account.is_selfdestructed() && !left.is_empty()).then_some(left);
        // What is before is final, so that nothing has to be waited for.
        let _ = cell.settle::<Stale>(self.index, |_| Ok(left));
        Ok(())
    }
}

impl Database for SerialView<'_> {
    type Error = MachineDatabaseError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, MachineDatabaseError> {
        self.view.basic(address)
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, MachineDatabaseError> {
        self.view.code_by_hash(hash)
    }

    fn storage(&mut self, address: Address, key: U256) -> Result<U256, MachineDatabaseError> {
        self.view.storage(address, key)
    }

    fn storage_by_account_id(
        &mut self,
        address: Address,
        account: AccountId,
        key: U256,
    ) -> Result<U256, MachineDatabaseError> {
        self.view.storage_by_account_id(address, account, key)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, MachineDatabaseError> {
        self.view.block_hash(number)
    }
}

impl DatabaseCommit for SerialView<'_> {
    fn commit(&mut self, changes: AddressMap<EvmAccount>) {
        for (address, account) in &changes {
            if let Err(missing) = self.commit_account(*address, account) {
                self.view.note(missing);
            }
        }
    }
}

impl MachineDatabase for SerialView<'_> {
    fn peek(&mut self, address: Address) -> Result<Option<AccountInfo>, MachineDatabaseError> {
        self.view.peek(address)
    }

    fn has_storage(&self, address: Address) -> Result<bool, MachineDatabaseError> {
        self.view.has_storage(address)
    }
}

impl BlockState for SerialView<'_> {
    fn set_index(&mut self, index: u64) {
        self.index = index as u32;
        // What was committed at this very index is seen too.
        self.view.turn_to(self.index + 1, None, false);
    }
}
