//! The states that are built, and the blocks that change them.

use alloy_primitives::{Address, KECCAK256_EMPTY, U256, keccak256};
use heddle_primitives::{Account, AccountChange, StateChanges};
use heddle_state::StateStore;
use heddle_storage::{Batch, Database};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Every tenth account has storage; only such accounts are changed.
pub(crate) const STORAGE_EVERY: u64 = 10;
/// Slots of an account with storage.
pub(crate) const SLOTS: u64 = 10;
/// Slots that a block changes of each account that it changes.
pub(crate) const SLOTS_CHANGED: u64 = 5;
/// Accounts added in one commit while the state is built.
const LOAD_BATCH: usize = 50_000;

pub(crate) struct Workload {
    pub(crate) accounts: u64,
}

impl Workload {
    pub(crate) fn new(accounts: u64) -> Self {
        Self { accounts }
    }

    /// How many accounts a block may change.
    pub(crate) fn changeable(&self) -> usize {
        usize::try_from(self.accounts / STORAGE_EVERY).unwrap()
    }

    /// Builds the state in the order of the tables, which is the fastest, without keeping the history of building it.
    pub(crate) fn load(&self, database: &Database, store: &StateStore) {
        let mut order: Vec<_> =
            (0..self.accounts).into_par_iter().map(|index| (keccak256(address(index)), index)).collect();
        order.par_sort_unstable();
        for (number, batch) in (0u64..).zip(order.chunks(LOAD_BATCH)) {
            let accounts = batch.par_iter().map(|(_, index)| (address(*index), self.change(*index, 0, SLOTS)));
            let changes = StateChanges { accounts: accounts.collect(), code: BTreeMap::new() };
            let update = store.compute(&store.view().unwrap(), &changes).unwrap();
            let mut batch = Batch::new();
            let state = update.write_into(number, &mut batch).unwrap();
            database.commit_unsynced(batch).unwrap();
            store.committed(state);
            let mut oldest = 0;
            while oldest < number {
                let mut batch = Batch::new();
                oldest = store.prune_history(number, &mut batch).unwrap();
                database.commit_unsynced(batch).unwrap();
            }
        }
        database.sync().unwrap();
    }

    /// The indices of the accounts that a block changes, spread over all accounts: more accounts include fewer.
    pub(crate) fn changed(&self, count: usize) -> impl Iterator<Item = u64> {
        let step = self.accounts / STORAGE_EVERY;
        // A prime that does not divide the number of accounts with storage visits each of them once.
        (0..u64::try_from(count).unwrap()).map(move |n| n * 7_919 % step * STORAGE_EVERY)
    }

    /// The block that sets balances and slots to those of a round.
    pub(crate) fn block(&self, count: usize, round: u64) -> StateChanges {
        let accounts = self.changed(count).map(|index| (address(index), self.change(index, round, SLOTS_CHANGED)));
        StateChanges { accounts: accounts.collect(), code: BTreeMap::new() }
    }

    fn change(&self, index: u64, round: u64, slots: u64) -> AccountChange {
        let storage =
            (0..slots).filter(|_| has_storage(index)).map(|slot| (U256::from(slot), value(index, slot, round)));
        AccountChange { account: Some(account(index, round)), storage_wiped: false, storage: storage.collect() }
    }
}

pub(crate) fn has_storage(index: u64) -> bool {
    index.is_multiple_of(STORAGE_EVERY)
}

pub(crate) fn address(index: u64) -> Address {
    Address::from_slice(&keccak256(index.to_be_bytes())[..20])
}

pub(crate) fn account(index: u64, round: u64) -> Account {
    let balance = U256::from(10).pow(U256::from(18)) + U256::from(index * 1_000 + round);
    Account { nonce: 1 + round, balance, code_hash: KECCAK256_EMPTY }
}

/// The value of a slot after a round: of up to sixteen bytes, as amounts of tokens have.
pub(crate) fn value(index: u64, slot: u64, round: u64) -> U256 {
    U256::from(index + 1) * U256::from(1_000_000_000_000u64) + U256::from(slot * 1_000 + round)
}
