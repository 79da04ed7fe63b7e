//! A machine for toy programs over the real versioned memory.

use super::super::account::{AccountWrite, BalanceWrite, WaitFor};
use super::super::executor::{Execute, Try};
use super::super::memory::Memory;
use super::super::record::{AccountAccess, Ending, Record, SlotAccess};
use super::super::view::{Assumptions, Interruption};
use super::once_in;
use super::program::{DEPOSIT, Effects, FEE, Failure, Loaded, Program, Slot, Source, State, writer};
use crate::observer::{Observer, Step};
use crate::{Code, StateError, StateReader};
use alloy_consensus::{Eip658Value, Receipt, TxReceipt};
use alloy_primitives::{Address, B256, Log, U256};
use heddle_primitives::{Account, StateChanges};

pub(super) fn address(account: usize) -> Address {
    Address::with_last_byte(account as u8)
}

pub(super) struct ToyExecutor<'m> {
    pub(super) memory: &'m Memory<'m>,
    pub(super) block: &'m [Program],
    pub(super) observer: &'m dyn Observer,
}

impl<'b> Execute<'b> for ToyExecutor<'b> {
    fn execute(&mut self, transaction: usize, assumptions: Assumptions<'b>) -> Try {
        self.tell(Step::Execute, transaction);
        let program = &self.block[transaction];
        let index = transaction as u32 + 1;
        let assumed_nonce = assumptions.nonce.map(|_| (program.sender, program.nonce));
        match program.run(index, &mut View { memory: self.memory, index, assumed_nonce }) {
            Ok(effects) => Try::Done(record(self.memory, program, &effects)),
            Err(Failure::Wait(wait)) => Try::Interrupted(Interruption::Wait(wait)),
            Err(Failure::Invalid) => Try::Failed,
        }
    }

    fn tell(&self, step: Step, transaction: usize) {
        self.observer.step(0, step, transaction);
    }
}

/// The memory as the transaction at `index` sees it.
struct View<'m> {
    memory: &'m Memory<'m>,
    index: u32,
    assumed_nonce: Option<(usize, u64)>,
}

impl Source for View<'_> {
    fn account(&mut self, number: usize) -> Result<Option<Account>, WaitFor> {
        let mut account = self.memory.account(account_place(self.memory, number)).read(self.index)?;
        if let Some((_, nonce)) = self.assumed_nonce.filter(|(sender, _)| *sender == number) {
            account.get_or_insert_default().nonce = nonce;
        }
        Ok(account)
    }

    fn slot(&mut self, slot: Slot) -> Result<U256, WaitFor> {
        if self.assumed_nonce.is_some() && once_in(12) {
            // A slot's value may be guessed, too, and the guess may be wrong.
            return Ok(U256::MAX);
        }
        let place = slot_place(self.memory, slot);
        let value =
            self.memory.slot(place).read(self.memory.account(account_place(self.memory, slot.0)), self.index)?;
        assert!(writer(value) < u64::from(self.index), "{} reads what {} writes", self.index, writer(value));
        Ok(value)
    }
}

pub(super) fn account_place(memory: &Memory<'_>, number: usize) -> u32 {
    memory.account_place(address(number)).ok().unwrap()
}

pub(super) fn slot_place(memory: &Memory<'_>, (account, number): Slot) -> u32 {
    memory.slot_place(account_place(memory, account), U256::from(number)).ok().unwrap()
}

fn record(memory: &Memory<'_>, program: &Program, effects: &Effects) -> Record {
    let account = |(number, loaded): (&usize, &Loaded)| AccountAccess {
        place: account_place(memory, *number),
        seen: loaded.seen,
        observed: loaded.observed,
        balance_min: if *number == program.sender { DEPOSIT } else { U256::ZERO },
        write: account_write(loaded),
    };
    let slot = |(slot, (seen, left)): (&Slot, &(U256, U256))| SlotAccess {
        place: slot_place(memory, *slot),
        seen: *seen,
        write: (left != seen).then_some(*left),
    };
    Record {
        accounts: effects.accounts.iter().map(account).collect(),
        slots: effects.slots.iter().map(slot).collect(),
        fee: Some(FEE),
        ending: ending(effects.digest),
    }
}

fn account_write(loaded: &Loaded) -> Option<AccountWrite> {
    if loaded.is_destroyed {
        return Some(AccountWrite { is_destroyed: true, ..AccountWrite::default() });
    }
    let (before, after) = (loaded.seen.unwrap_or_default(), loaded.left);
    let balance = match loaded.observed.balance {
        true if before.balance != after.balance => BalanceWrite::Set(after.balance),
        true => BalanceWrite::Keep,
        false => BalanceWrite::difference(before.balance, after.balance),
    };
    let nonce = (before.nonce != after.nonce).then_some(after.nonce);
    let write = AccountWrite { balance, nonce, ..AccountWrite::default() };
    (write != AccountWrite::default()).then_some(write)
}

/// A receipt that tells what the program learned.
fn ending(digest: u64) -> Ending {
    let log = Log::new_unchecked(Address::ZERO, Vec::new(), digest.to_be_bytes().into());
    let receipt = Receipt { status: Eip658Value::Eip658(true), cumulative_gas_used: 0, logs: vec![log] };
    Ending { receipt: Some(receipt.into_with_bloom()), ..Ending::default() }
}

impl StateReader for State {
    fn account(&self, address: Address) -> Result<Option<Account>, StateError> {
        Ok(self.accounts[usize::from(address[19])])
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        Ok(self.slots[usize::from(address[19])][slot.to::<usize>()])
    }

    fn code(&self, _hash: B256) -> Result<Code, StateError> {
        Err(StateError::new("there is no code here"))
    }

    fn has_storage(&self, _address: Address) -> Result<bool, StateError> {
        Ok(false)
    }

    fn block_hash(&self, _number: u64) -> Result<B256, StateError> {
        Ok(B256::ZERO)
    }

    fn root_with(&self, _changes: &StateChanges) -> Result<B256, StateError> {
        Err(StateError::new("there are no roots here"))
    }
}
