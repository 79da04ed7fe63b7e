//! The state as one transaction sees it, and what it saw.

use super::account::WaitFor;
use super::executor::Block;
use super::memory::{Memory, Missing};
use super::scheduler::Scheduler;
use crate::StateError;
use crate::database::FirstFailure;
use crate::machine::{MachineDatabase, MachineDatabaseError};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U256};
use heddle_primitives::{Account, RecoveredTransaction};
use revm::{
    Database,
    database::bal::EvmDatabaseError,
    state::{AccountId, AccountInfo, Bytecode},
};
use std::fmt;

/// What a transaction learned of an account beside its code: the rest may change under it without consequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) balance: bool,
    pub(crate) nonce: bool,
    pub(crate) existence: bool,
}

impl Observed {
    pub(crate) const ALL: Self = Self { balance: true, nonce: true, existence: true };
    pub(crate) const BALANCE: Self = Self { balance: true, nonce: false, existence: false };
    pub(crate) const EXISTENCE: Self = Self { balance: false, nonce: false, existence: true };

    fn add(&mut self, other: Self) {
        self.balance |= other.balance;
        self.nonce |= other.nonce;
        self.existence |= other.existence;
    }
}

/// An account that a transaction loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeenAccount {
    pub(crate) place: u32,
    pub(crate) address: Address,
    pub(crate) account: Option<Account>,
    pub(crate) observed: Observed,
}

/// A slot that a transaction loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeenSlot {
    pub(crate) place: u32,
    pub(crate) address: Address,
    pub(crate) key: U256,
    pub(crate) value: U256,
}

/// What a transaction that runs ahead takes for granted.
#[derive(Clone, Copy, Default)]
pub(crate) struct Assumptions<'b> {
    /// The sender, and its nonce: the transaction's own.
    pub(crate) nonce: Option<(Address, u64)>,
    /// The block and what of it is executed, if slots that count are taken to go on: then every transaction like this
    /// one counts on.
    pub(crate) progress: Option<(&'b Block<'b>, &'b Scheduler)>,
}

impl<'b> Assumptions<'b> {
    /// Further back a guess is not worth the search.
    const DISTANCE_MAX: u32 = 256;

    pub(crate) fn of(transaction: usize, block: &'b Block<'b>, scheduler: &'b Scheduler) -> Self {
        let transaction = &block.transactions[transaction];
        Self { nonce: Some((transaction.signer(), transaction.nonce())), progress: Some((block, scheduler)) }
    }

    /// How many transactions after the one at `last` and before the one at `index` call what the latter calls. None
    /// where there is nothing to guess, because all of them are executed, or where that would take too long.
    fn others_since(&self, last: u32, index: u32) -> Option<u32> {
        let (block, scheduler) = self.progress?;
        index.checked_sub(last).filter(|distance| (1..=Self::DISTANCE_MAX).contains(distance))?;
        let between = block.transaction_at(last + 1)..block.transaction_at(index);
        if between.clone().all(|transaction| scheduler.is_executed(transaction)) {
            return None;
        }
        let this = call(block.transactions.get(between.end)?);
        Some(block.transactions.get(between)?.iter().filter(|other| call(other) == this).count() as u32)
    }
}

/// The contract and the function that a transaction calls.
fn call(transaction: &RecoveredTransaction) -> (Option<Address>, Option<&[u8]>) {
    (transaction.to(), transaction.input().get(..4))
}

/// Why a transaction could not run to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// The state could not be read.
    Unreadable,
    /// It needs what an earlier transaction is about to write.
    Wait(WaitFor),
    /// It needs what the block's access list does not have.
    Unlisted,
}

/// The versioned memory as transaction `index` of the access list sees it.
pub(crate) struct View<'m> {
    memory: &'m Memory<'m>,
    failure: FirstFailure,
    index: u32,
    /// What is taken for granted until the result is validated.
    assumptions: Assumptions<'m>,
    pub(crate) accounts: Vec<SeenAccount>,
    pub(crate) slots: Vec<SeenSlot>,
    observations: Vec<(Address, Observed)>,
    /// Whether everything about every account counts as observed.
    is_strict: bool,
    interruption: Option<Interruption>,
    /// What the fee recipient earns, when the machine left it to us.
    pub(crate) fee: Option<U256>,
}

impl<'m> View<'m> {
    pub(crate) fn new(memory: &'m Memory<'m>, failure: FirstFailure) -> Self {
        Self {
            memory,
            failure,
            index: 0,
            assumptions: Assumptions::default(),
            accounts: Vec::new(),
            slots: Vec::new(),
            observations: Vec::new(),
            is_strict: false,
            interruption: None,
            fee: None,
        }
    }

    /// Forgets the last transaction and looks from another one.
    pub(crate) fn turn_to(&mut self, index: u32, assumptions: Assumptions<'m>, is_strict: bool) {
        self.index = index;
        self.assumptions = assumptions;
        self.accounts.clear();
        self.slots.clear();
        self.observations.clear();
        self.is_strict = is_strict;
        self.interruption = None;
        self.fee = None;
    }

    pub(crate) fn memory(&self) -> &'m Memory<'m> {
        self.memory
    }

    /// The transaction looks at more of an account than its code.
    pub(crate) fn observe(&mut self, address: Address, observed: Observed) {
        if !self.is_strict {
            self.observations.push((address, observed));
        }
    }

    /// The transaction does what makes everything it loads count.
    pub(crate) fn observe_all(&mut self) {
        self.is_strict = true;
    }

    pub(crate) fn interruption(&self) -> Option<Interruption> {
        self.interruption
    }

    /// Notes on each loaded account what was observed of it.
    pub(crate) fn settle_observations(&mut self) {
        if self.is_strict {
            self.accounts.iter_mut().for_each(|seen| seen.observed = Observed::ALL);
            return;
        }
        self.observations.sort_unstable_by_key(|(address, _)| *address);
        for seen in &mut self.accounts {
            let first = self.observations.partition_point(|(address, _)| *address < seen.address);
            let of_account = self.observations.iter().skip(first).take_while(|(address, _)| *address == seen.address);
            of_account.for_each(|(_, observed)| seen.observed.add(*observed));
            // So near the end of the range a credit could fail: then the balance counts.
            seen.observed.balance |= seen.account.is_some_and(|account| account.balance.bit(255));
        }
    }

    /// The account as the machine wants it: its slots are found by its place, its code by its hash when it is run.
    pub(crate) fn info(account: Account, place: u32) -> AccountInfo {
        let Account { nonce, balance, code_hash } = account;
        AccountInfo { nonce, balance, code_hash, code: None, account_id: AccountId::new(place as usize) }
    }

    /// An account and its place.
    pub(crate) fn look(&mut self, address: Address) -> Result<(u32, Option<Account>), MachineDatabaseError> {
        let place = self.memory.account_place(address);
        let place = place.map_err(|missing| self.stop_missing(missing))?;
        let account = self.memory.account(place).read(self.index);
        Ok((place, account.map_err(|wait| self.stop(Interruption::Wait(wait)))?))
    }

    /// A slot's place and its value.
    pub(crate) fn look_at_slot(&mut self, account: u32, key: U256) -> Result<(u32, U256), MachineDatabaseError> {
        let place = self.memory.slot_place(account, key);
        let place = place.map_err(|missing| self.stop_missing(missing))?;
        let (cell, slot) = (self.memory.account(account), self.memory.slot(place));
        let value = match slot.predict(|last| self.assumptions.others_since(last, self.index)) {
            Some(predicted) => predicted,
            None => slot.read(cell, self.index).map_err(|wait| self.stop(Interruption::Wait(wait)))?,
        };
        self.slots.push(SeenSlot { place, address: cell.address, key, value });
        Ok((place, value))
    }

    fn stop_missing(&mut self, missing: Missing) -> MachineDatabaseError {
        match missing {
            Missing::Unlisted => self.stop(Interruption::Unlisted),
            Missing::State(error) => self.fail(error),
        }
    }

    fn stop(&mut self, interruption: Interruption) -> MachineDatabaseError {
        self.interruption = Some(interruption);
        EvmDatabaseError::Database(StateError::new("interrupted"))
    }

    fn fail(&mut self, error: StateError) -> MachineDatabaseError {
        self.interruption = Some(Interruption::Unreadable);
        self.failure.get_or_init(|| error.clone());
        EvmDatabaseError::Database(error)
    }
}

impl Database for View<'_> {
    type Error = MachineDatabaseError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, MachineDatabaseError> {
        let (place, mut account) = self.look(address)?;
        let mut observed = Observed::default();
        if let Some((sender, nonce)) = self.assumptions.nonce
            && sender == address
        {
            account.get_or_insert_default().nonce = nonce;
            observed.nonce = true;
        }
        self.accounts.push(SeenAccount { place, address, account, observed });
        Ok(account.map(|account| Self::info(account, place)))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, MachineDatabaseError> {
        self.memory.code(hash).map_err(|error| self.fail(error))
    }

    fn storage(&mut self, address: Address, key: U256) -> Result<U256, MachineDatabaseError> {
        let (place, _) = self.look(address)?;
        Ok(self.look_at_slot(place, key)?.1)
    }

    fn storage_by_account_id(
        &mut self,
        _address: Address,
        account: AccountId,
        key: U256,
    ) -> Result<U256, MachineDatabaseError> {
        Ok(self.look_at_slot(account.get() as u32, key)?.1)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, MachineDatabaseError> {
        self.memory.reader().block_hash(number).map_err(|error| self.fail(error))
    }
}

impl MachineDatabase for View<'_> {
    fn peek(&mut self, address: Address) -> Result<Option<AccountInfo>, MachineDatabaseError> {
        // Not noted as seen: the machine loads the account next, and a creation observes all it loads.
        let (_, account) = self.look(address)?;
        let info =
            |Account { nonce, balance, code_hash }| AccountInfo { nonce, balance, code_hash, ..Default::default() };
        Ok(account.map(info))
    }

    fn has_storage(&self, address: Address) -> Result<bool, MachineDatabaseError> {
        self.memory.reader().has_storage(address).map_err(|error| {
            self.failure.get_or_init(|| error.clone());
            EvmDatabaseError::Database(error)
        })
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("index", &self.index).finish_non_exhaustive()
    }
}
