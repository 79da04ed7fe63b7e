#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use crate::{NAMES, Size, Workload, all, by_name};
use heddle_evm::{ExecutionOutcome, Mode, StateReader, execute};

fn execute_in_order(workload: &Workload) -> ExecutionOutcome {
    execute(&workload.rules, &workload.state, &workload.context(), &workload.transactions, Mode::Sequential)
        .unwrap_or_else(|error| panic!("{}: {error}", workload.name))
}

#[test]
fn every_transaction_succeeds_and_blocks_use_the_gas_they_aim_at() {
    let aim = Size::Small.gas();
    let mut wrong = Vec::new();
    for workload in all(Size::Small) {
        let outcome = execute_in_order(&workload);
        let count = workload.transactions.len();
        let average = outcome.gas_used / count as u64;
        let failed = outcome.receipts.iter().filter(|receipt| !receipt.status()).count();
        println!("{}: {count} transactions of {average} gas, {failed} failed", workload.name);
        if failed > 0 || !(aim * 4 / 5..=aim * 6 / 5).contains(&outcome.gas_used) {
            wrong.push((workload.name, failed, outcome.gas_used));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_workload_is_the_same_at_every_call_and_has_its_name() {
    for name in NAMES {
        let [once, again] = [(); 2].map(|()| by_name(name, Size::Small).unwrap());
        assert_eq!(once.name, *name);
        assert_eq!(once.header, again.header);
        assert_eq!(once.transactions, again.transactions, "{name}");
    }
    assert!(by_name("swaps", Size::Small).is_none());
}

#[test]
fn only_the_plain_chain_has_no_access_list() {
    let workload = by_name("airdrop", Size::Small).unwrap();
    let outcome = execute_in_order(&workload);
    let plain = execute_in_order(&workload.on_plain_chain());
    assert!(outcome.access_list.is_some());
    assert_eq!(plain, ExecutionOutcome { access_list: None, ..outcome });
}

#[test]
fn the_state_follows_the_changes_of_a_block() {
    let mut workload = by_name("nft-mint", Size::Small).unwrap();
    let outcome = execute_in_order(&workload);
    workload.state.apply(&outcome.changes);
    for (address, change) in &outcome.changes.accounts {
        assert_eq!(workload.state.account(*address).unwrap(), change.account);
        for (slot, value) in &change.storage {
            assert_eq!(workload.state.storage(*address, *slot).unwrap(), *value);
        }
    }
}

#[test]
fn swaps_on_a_v3_pool_cross_ticks() {
    let workload = by_name("swaps-v3-one-pool", Size::Small).unwrap();
    let outcome = execute_in_order(&workload);
    let pool = crate::world::address("pool-v3", 0);
    let slots = outcome.changes.accounts[&pool].storage.len();
    assert!(slots >= 12, "price, fee growth, observation, and three slots of each crossed tick: {slots}");
}
