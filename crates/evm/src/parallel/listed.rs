//! Executing by the block's access list (EIP-7928): the memory holds from the start what every transaction will leave,
//! so that each runs on the very state it will meet; what it then does has to be what the list says.

use super::account::{AccountCell, WaitFor, credited};
use super::memory::Memory;
use super::record::Record;
use crate::{Code, StateError, StateReader};
use alloy_eips::eip7928::{AccountChanges, BlockAccessList, SlotChanges};
use alloy_primitives::{Address, U256};
use heddle_primitives::Account;
use rayon::prelude::*;

/// Accounts that one thread reads in a row.
const GRAIN: usize = 16;

/// A list whose changes are not changes, or a state that cannot be read, or an execution that does something else than
/// the list says: the sequential run finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inexact;

impl From<StateError> for Inexact {
    fn from(_: StateError) -> Self {
        Self
    }
}

impl From<WaitFor> for Inexact {
    fn from(_: WaitFor) -> Self {
        Self
    }
}

/// How many changes a list has, or an execution made: an account's at one index count as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) accounts: usize,
    pub(crate) slots: usize,
}

impl std::ops::Add for Changes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { accounts: self.accounts + other.accounts, slots: self.slots + other.slots }
    }
}

/// Reads from the state all that a list names, on all threads, and lays the list's changes over it.
pub(crate) fn load<'r>(reader: &'r dyn StateReader, list: &BlockAccessList) -> Result<(Memory<'r>, Changes), Inexact> {
    let mut memory = Memory::new(reader);
    let load = |account: &AccountChanges| load_account(&memory, reader, account);
    let sum = |one, other| Ok(one + other);
    let changes = list.par_iter().with_min_len(GRAIN).map(load).try_reduce(Changes::default, sum)?;
    memory.close();
    Ok((memory, changes))
}

fn load_account(memory: &Memory<'_>, reader: &dyn StateReader, listed: &AccountChanges) -> Result<Changes, Inexact> {
    let cell = AccountCell::new(listed.address, reader.account(listed.address)?);
    let accounts = load_history(memory, &cell, listed)?;
    let account = memory.add_account(cell);
    // One contract may have most of the block's slots.
    let read = |key: &U256| memory.slot_place(account, *key).map(|_| ()).map_err(|_| Inexact);
    listed.storage_reads.par_iter().with_min_len(GRAIN).try_for_each(read)?;
    let change = |slot: &SlotChanges| load_slot(memory, account, slot);
    let sum = |one: usize, other: usize| Ok(one + other);
    let slots = listed.storage_changes.par_iter().with_min_len(GRAIN).map(change).try_reduce(usize::default, sum)?;
    Ok(Changes { accounts, slots })
}

/// Answers how many changes the slot has.
fn load_slot(memory: &Memory<'_>, account: u32, listed: &SlotChanges) -> Result<usize, Inexact> {
    let slot = memory.slot(memory.slot_place(account, listed.slot).map_err(|_| Inexact)?);
    let mut before = slot.base;
    for change in &listed.changes {
        replace(&mut before, change.new_value)?;
        slot.write(index(change.block_access_index.get())?, before);
    }
    Ok(listed.changes.len())
}

/// The account after every index at which something of it changes; answers how many there are.
fn load_history(memory: &Memory<'_>, cell: &AccountCell, listed: &AccountChanges) -> Result<usize, Inexact> {
    let mut balances = listed.balance_changes.iter().peekable();
    let mut nonces = listed.nonce_changes.iter().peekable();
    let mut codes = listed.code_changes.iter().peekable();
    let mut account = cell.base.unwrap_or_default();
    let mut count = 0;
    loop {
        let next = [
            balances.peek().map(|change| change.block_access_index),
            nonces.peek().map(|change| change.block_access_index),
            codes.peek().map(|change| change.block_access_index),
        ];
        let Some(at) = next.into_iter().flatten().min() else { return Ok(count) };
        if let Some(change) = balances.next_if(|change| change.block_access_index == at) {
            replace(&mut account.balance, change.post_balance)?;
        }
        if let Some(change) = nonces.next_if(|change| change.block_access_index == at) {
            replace(&mut account.nonce, change.new_nonce)?;
        }
        if let Some(change) = codes.next_if(|change| change.block_access_index == at) {
            let code = Code::new(change.new_code().clone()).into_bytecode();
            let hash = code.hash_slow();
            replace(&mut account.code_hash, hash)?;
            memory.add_code(hash, &code);
        }
        cell.settle::<Inexact>(index(at.get())?, |_| Ok((!account.is_empty()).then_some(account)))?;
        count += 1;
    }
}

fn replace<T: PartialEq>(value: &mut T, by: T) -> Result<(), Inexact> {
    if *value == by {
        return Err(Inexact);
    }
    *value = by;
    Ok(())
}

fn index(index: u64) -> Result<u32, Inexact> {
    u32::try_from(index).map_err(|_| Inexact)
}

/// Compares what was done at `index` with what the list says of that index, and notes what was accessed.
pub(crate) fn compare(
    memory: &Memory<'_>,
    record: &Record,
    index: u32,
    fee_recipient: Address,
) -> Result<Changes, Inexact> {
    let mut changes = Changes::default();
    let mut fee = record.fee;
    for access in &record.accounts {
        let cell = memory.account(access.place);
        let mut after = match access.write {
            Some(write) => write.apply(access.seen).map_err(|_| Inexact)?,
            None => access.seen,
        };
        if cell.address == fee_recipient
            && let Some(fee) = fee.take()
        {
            after = credited(after, fee);
        }
        changes.accounts += compare_account(cell, index, access.seen, after)?;
    }
    if let Some(fee) = fee {
        let place = memory.account_place(fee_recipient).map_err(|_| Inexact)?;
        let before = memory.account(place).read(index)?;
        changes.accounts += compare_account(memory.account(place), index, before, credited(before, fee))?;
    }
    for access in &record.slots {
        let slot = memory.slot(access.place);
        slot.access();
        let listed = slot.at(index);
        if listed != access.write {
            return Err(Inexact);
        }
        changes.slots += usize::from(listed.is_some());
    }
    Ok(changes)
}

fn compare_account(
    cell: &AccountCell,
    index: u32,
    before: Option<Account>,
    after: Option<Account>,
) -> Result<usize, Inexact> {
    cell.access();
    match cell.at(index) {
        None if before == after => Ok(0),
        Some(listed) if listed == after && before != after => Ok(1),
        _ => Err(Inexact),
    }
}

/// Whether everything that the list names was accessed.
pub(crate) fn is_all_accessed(memory: &Memory<'_>) -> bool {
    (0..memory.accounts_len()).all(|place| memory.account(place).is_accessed())
        && (0..memory.slots_len()).all(|place| memory.slot(place).is_accessed())
}
