//! From the versioned memory to what a block changed, and to its access list.

use super::account::AccountCell;
use super::memory::Memory;
use super::slot::SlotCell;
use alloy_eips::eip7928::{
    AccountChanges, BalanceChange, BlockAccessIndex, BlockAccessList, CodeChange, NonceChange, SlotChanges,
    StorageChange,
};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY};
use heddle_primitives::{Account, AccountChange, StateChanges};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Accounts that one thread looks through at a time.
const GRAIN: usize = 256;

/// The memory's places in the order of addresses, and of each account's slots by key.
pub(crate) struct Places {
    accounts: Vec<(Address, u32)>,
    /// By account place: where its slots are in `slots`.
    slots: Vec<u32>,
    /// Where each account's slots start, by account place; one more at the end.
    starts: Vec<usize>,
}

impl Places {
    pub(crate) fn of(memory: &Memory<'_>) -> Self {
        let mut accounts: Vec<_> =
            (0..memory.accounts_len()).map(|place| (memory.account(place).address, place)).collect();
        accounts.par_sort_unstable();
        let mut slots: Vec<u32> = (0..memory.slots_len()).collect();
        slots.par_sort_unstable_by_key(|place| {
            let slot = memory.slot(*place);
            (slot.account, slot.key)
        });
        let mut starts = vec![0; accounts.len() + 1];
        for place in &slots {
            starts[memory.slot(*place).account as usize + 1] += 1;
        }
        for account in 1..starts.len() {
            starts[account] += starts[account - 1];
        }
        Self { accounts, slots, starts }
    }

    fn slots_of<'m>(&self, memory: &'m Memory<'m>, account: u32) -> impl Iterator<Item = &'m SlotCell> {
        let account = account as usize;
        self.slots[self.starts[account]..self.starts[account + 1]].iter().map(|place| memory.slot(*place))
    }

    /// The difference to the state before the block.
    pub(crate) fn changes(&self, memory: &Memory<'_>) -> StateChanges {
        let changed = |(address, place): &(Address, u32)| Some((*address, self.account_change(memory, *place)?));
        let accounts: Vec<_> = self.accounts.par_iter().with_min_len(GRAIN).filter_map(changed).collect();
        let mut code = BTreeMap::new();
        for (address, change) in &accounts {
            let Some(account) = change.account.filter(Account::has_code) else { continue };
            let place = self.accounts.binary_search_by_key(address, |(address, _)| *address);
            let base = place.ok().and_then(|at| memory.account(self.accounts[at].1).base);
            if base.is_none_or(|base| base.code_hash != account.code_hash)
                && let Some(bytes) = code_bytes(memory, account.code_hash)
            {
                code.insert(account.code_hash, bytes);
            }
        }
        StateChanges { accounts: accounts.into_iter().collect(), code }
    }

    fn account_change(&self, memory: &Memory<'_>, place: u32) -> Option<AccountChange> {
        let cell = memory.account(place);
        let account = cell.read(u32::MAX).unwrap_or(cell.base);
        let storage_wiped = cell.is_wiped();
        let mut storage = BTreeMap::new();
        for slot in self.slots_of(memory, place) {
            let Ok(value) = slot.read(cell, u32::MAX) else { continue };
            let before = if storage_wiped { Default::default() } else { slot.base };
            if value != before {
                storage.insert(slot.key, value);
            }
        }
        let is_same = account == cell.base && !storage_wiped && storage.is_empty();
        (!is_same).then_some(AccountChange { account, storage_wiped, storage })
    }

    /// The block's access list (EIP-7928).
    pub(crate) fn access_list(&self, memory: &Memory<'_>) -> BlockAccessList {
        let listed = |(address, place): &(Address, u32)| {
            let cell = memory.account(*place);
            cell.is_accessed().then(|| self.list_account(memory, *address, *place, cell))
        };
        self.accounts.par_iter().with_min_len(GRAIN).filter_map(listed).collect()
    }

    fn list_account(&self, memory: &Memory<'_>, address: Address, place: u32, cell: &AccountCell) -> AccountChanges {
        let mut listed = AccountChanges::new(address);
        for slot in self.slots_of(memory, place).filter(|slot| slot.is_accessed()) {
            let changes = slot_changes(slot);
            if changes.is_empty() {
                listed.storage_reads.push(slot.key);
            } else {
                listed.storage_changes.push(SlotChanges::new(slot.key, changes));
            }
        }
        let mut before = cell.base.unwrap_or_default();
        for (index, after) in cell.history() {
            let (index, after) = (BlockAccessIndex::new(index.into()), after.unwrap_or_default());
            if after.balance != before.balance {
                listed.balance_changes.push(BalanceChange::new(index, after.balance));
            }
            if after.nonce != before.nonce {
                listed.nonce_changes.push(NonceChange::new(index, after.nonce));
            }
            if after.code_hash != before.code_hash {
                let code = code_bytes(memory, after.code_hash).unwrap_or_default();
                listed.code_changes.push(CodeChange::new(index, code));
            }
            before = after;
        }
        listed
    }
}

fn slot_changes(slot: &SlotCell) -> Vec<StorageChange> {
    let mut before = slot.base;
    let mut changes = Vec::new();
    for (index, value) in slot.history() {
        if value != before {
            changes.push(StorageChange::new(BlockAccessIndex::new(index.into()), value));
        }
        before = value;
    }
    changes
}

fn code_bytes(memory: &Memory<'_>, hash: B256) -> Option<Bytes> {
    if hash == KECCAK256_EMPTY {
        return None;
    }
    memory.new_code(&hash).map(|code| code.original_bytes())
}
