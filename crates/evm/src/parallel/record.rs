//! What one execution of a transaction read, wrote and gave.

use super::account::{AccountWrite, BalanceWrite, OutOfRange, WaitFor};
use super::memory::{Memory, Missing};
use super::view::{Observed, SeenAccount, View};
use alloy_consensus::ReceiptWithBloom;
use alloy_primitives::{Address, U256, map::HashSet};
use heddle_primitives::Account;
use revm::context::result::ResultGas;
use revm::state::{Account as EvmAccount, EvmState, EvmStorageSlot};

/// An account that a transaction loaded, and what it does to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccountAccess {
    pub(crate) place: u32,
    pub(crate) seen: Option<Account>,
    pub(crate) observed: Observed,
    /// The least balance with which the transaction does the same, in wei.
    pub(crate) balance_min: U256,
    pub(crate) write: Option<AccountWrite>,
}

/// A slot that a transaction loaded, and what it leaves there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotAccess {
    pub(crate) place: u32,
    pub(crate) seen: U256,
    pub(crate) write: Option<U256>,
}

/// How an execution ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ending {
    pub(crate) gas: ResultGas,
    /// With its bloom, and without its cumulative gas; until the block takes it.
    pub(crate) receipt: Option<ReceiptWithBloom>,
}

/// One execution of a transaction.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) accounts: Vec<AccountAccess>,
    pub(crate) slots: Vec<SlotAccess>,
    /// What the fee recipient earns, unless it is among the writes.
    pub(crate) fee: Option<U256>,
    pub(crate) ending: Ending,
}

/// What stands in the memory is not what the transaction read, or will change yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stale;

impl From<WaitFor> for Stale {
    fn from(_: WaitFor) -> Self {
        Self
    }
}

impl From<OutOfRange> for Stale {
    fn from(_: OutOfRange) -> Self {
        Self
    }
}

impl Record {
    /// Collects what a transaction did from what it saw and what the machine says it left.
    pub(crate) fn collect(
        view: &mut View<'_>,
        state: &EvmState,
        (payer, balance_min): (Address, U256),
        ending: Ending,
    ) -> Result<Self, Missing> {
        view.settle_observations();
        let memory = view.memory();
        let mut accounts = Vec::with_capacity(view.accounts.len());
        let mut slots = Vec::with_capacity(view.slots.len());
        for seen in &view.accounts {
            let left = state.get(&seen.address);
            let write = left.and_then(|left| account_write(memory, seen, left));
            let balance_min = if payer == seen.address { balance_min } else { U256::ZERO };
            let SeenAccount { place, account, observed, .. } = *seen;
            accounts.push(AccountAccess { place, seen: account, observed, balance_min, write });
        }
        for seen in &view.slots {
            let Some(left) = state.get(&seen.address) else { continue };
            slots.push(slot_access(seen.place, seen.value, left, left.storage.get(&seen.key)));
        }
        if state.values().map(|account| account.storage.len()).sum::<usize>() > slots.len() {
            add_unasked_slots(&mut slots, view, state)?;
        }
        Ok(Self { accounts, slots, fee: view.fee, ending })
    }

    /// Publishes what the transaction speculatively writes.
    pub(crate) fn publish(&self, memory: &Memory<'_>, index: u32) {
        for access in &self.accounts {
            if let Some(write) = access.write {
                memory.account(access.place).publish(index, write);
            }
        }
        self.write_slots(memory, index);
    }

    /// Writes the slots, whose values are the same before and after they are final.
    pub(crate) fn write_slots(&self, memory: &Memory<'_>, index: u32) {
        for access in &self.slots {
            if let Some(value) = access.write {
                memory.slot(access.place).write(index, value);
            }
        }
    }

    /// Turns what was published into estimates.
    pub(crate) fn retract(&self, memory: &Memory<'_>, index: u32) {
        for access in self.accounts.iter().filter(|access| access.write.is_some()) {
            memory.account(access.place).retract(index);
        }
        for access in self.slots.iter().filter(|access| access.write.is_some()) {
            memory.slot(access.place).retract(index);
        }
    }

    /// Removes the estimates that the next try did not confirm.
    pub(crate) fn forget(&self, memory: &Memory<'_>, index: u32) {
        for access in self.accounts.iter().filter(|access| access.write.is_some()) {
            memory.account(access.place).forget(index);
        }
        for access in self.slots.iter().filter(|access| access.write.is_some()) {
            memory.slot(access.place).forget(index);
        }
    }

    /// Whether everything read still stands, where all before `index` is final; makes the writes final on the way.
    pub(crate) fn settle(&self, memory: &Memory<'_>, index: u32) -> Result<(), Stale> {
        for access in &self.slots {
            let slot = memory.slot(access.place);
            if slot.read(memory.account(slot.account), index)? != access.seen {
                return Err(Stale);
            }
        }
        for access in &self.accounts {
            let cell = memory.account(access.place);
            match access.write {
                None => access.check(cell.read(index)?)?,
                Some(write) => cell.settle(index, |now| {
                    access.check(now)?;
                    Ok::<_, Stale>(write.apply(now)?)
                })?,
            }
        }
        Ok(())
    }

    /// Lets the slots learn how they go on.
    pub(crate) fn teach(&self, memory: &Memory<'_>, index: u32) {
        for access in &self.slots {
            if let Some(after) = access.write {
                memory.slot(access.place).learn(index, access.seen, after);
            }
        }
    }

    /// Notes all that was accessed, for the block's access list.
    pub(crate) fn mark_accessed(&self, memory: &Memory<'_>) {
        self.accounts.iter().for_each(|access| memory.account(access.place).access());
        self.slots.iter().for_each(|access| memory.slot(access.place).access());
    }
}

impl AccountAccess {
    /// Whether the transaction would do the same on the account as it is now.
    fn check(&self, now: Option<Account>) -> Result<(), Stale> {
        let Observed { balance, nonce, existence } = self.observed;
        let (seen, is_there) = (self.seen.unwrap_or_default(), self.seen.is_some());
        let now_there = now.is_some();
        let now = now.unwrap_or_default();
        let is_same = now.code_hash == seen.code_hash
            && (!balance || now.balance == seen.balance)
            && (!nonce || now.nonce == seen.nonce)
            && (!existence || (now_there == is_there && now.is_empty() == seen.is_empty()))
            && now.balance >= self.balance_min;
        if is_same { Ok(()) } else { Err(Stale) }
    }
}

/// Adds the slots of accounts that were created: they were known to be zero, so that nobody had to ask for them.
fn add_unasked_slots(slots: &mut Vec<SlotAccess>, view: &View<'_>, state: &EvmState) -> Result<(), Missing> {
    let asked: HashSet<(Address, U256)> = view.slots.iter().map(|seen| (seen.address, seen.key)).collect();
    for seen in &view.accounts {
        let Some(left) = state.get(&seen.address) else { continue };
        for (key, slot) in left.storage.iter().filter(|(key, _)| !asked.contains(&(seen.address, **key))) {
            let place = view.memory().slot_place(seen.place, *key)?;
            slots.push(slot_access(place, U256::ZERO, left, Some(slot)));
        }
    }
    Ok(())
}

fn slot_access(place: u32, seen: U256, account: &EvmAccount, slot: Option<&EvmStorageSlot>) -> SlotAccess {
    let left = if account.is_selfdestructed() { Some(U256::ZERO) } else { slot.map(|slot| slot.present_value) };
    SlotAccess { place, seen, write: left.filter(|left| *left != seen) }
}

/// What the machine's account means for the one in memory; deployed code is kept on the way.
fn account_write(memory: &Memory<'_>, seen: &SeenAccount, left: &EvmAccount) -> Option<AccountWrite> {
    if left.is_selfdestructed() {
        return Some(AccountWrite { is_destroyed: true, ..AccountWrite::default() });
    }
    if !left.is_touched() {
        return None;
    }
    let (before, after) = (seen.account.unwrap_or_default(), &left.info);
    let balance = match seen.observed.balance {
        true if before.balance != after.balance => BalanceWrite::Set(after.balance),
        true => BalanceWrite::Keep,
        false => BalanceWrite::difference(before.balance, after.balance),
    };
    let write = AccountWrite {
        balance,
        nonce: (before.nonce != after.nonce).then_some(after.nonce),
        code_hash: (before.code_hash != after.code_hash).then_some(after.code_hash),
        is_destroyed: false,
    };
    if write.code_hash.is_some()
        && let Some(code) = after.code.as_ref().filter(|code| !code.is_empty())
    {
        memory.add_code(after.code_hash, code);
    }
    // An empty account from before EIP-161 disappears when it is only touched.
    let is_relic = memory.account(seen.place).base.is_some_and(|base| base.is_empty());
    (write != AccountWrite::default() || is_relic).then_some(write)
}
