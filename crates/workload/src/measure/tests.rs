#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::{Case, Plan, bare, measure};
use crate::{Size, all, by_name};
use heddle_evm::Mode;
use std::num::NonZeroUsize;
use std::time::Duration;

#[test]
fn the_bare_loop_executes_what_the_sequential_mode_executes() {
    for workload in all(Size::Small) {
        let case = Case::new(&workload, &workload.state);
        let expected = case.execute(Mode::Sequential).unwrap();
        let bundle = bare::execute(&case).unwrap();
        for (address, change) in expected.changes.accounts {
            let info = bundle.account(&address).and_then(|account| account.info.clone());
            let balance = info.map(|info| info.balance);
            let is_system_contract = heddle_evm::system_contracts().iter().any(|(system, _)| *system == address);
            let expected = change.account.map(|account| account.balance);
            assert!(is_system_contract || balance == expected, "{}: {address}", workload.name);
        }
    }
}

#[test]
fn thread_counts_double_and_end_with_all() {
    let counts = |threads| {
        let plan = Plan::up_to(NonZeroUsize::new(threads).unwrap());
        plan.threads.into_iter().map(NonZeroUsize::get).collect::<Vec<_>>()
    };
    assert_eq!(counts(1), [1]);
    assert_eq!(counts(2), [1, 2]);
    assert_eq!(counts(6), [1, 2, 4, 6]);
    assert_eq!(counts(8), [1, 2, 4, 8]);
}

#[test]
fn every_mode_is_measured_once_for_each_thread_count() {
    let workload = by_name("airdrop", Size::Small).unwrap();
    let two = NonZeroUsize::new(2).unwrap();
    let plan = Plan { rounds_min: NonZeroUsize::MIN, duration_min: Duration::ZERO, ..Plan::up_to(two) };
    let measured = measure(&Case::new(&workload, &workload.state), &plan).unwrap();
    let runs: Vec<_> = measured.runs.iter().map(|run| (run.mode, run.threads.get())).collect();
    assert_eq!(runs, [("parallel", 1), ("parallel", 2), ("access-list", 1), ("access-list", 2)]);
    let json = measured.to_json("airdrop");
    assert_eq!(json["runs"].as_array().map(Vec::len), Some(4));
    assert_eq!(measured.to_string().lines().count(), 2 + 3 + 4);
    let plain = workload.on_plain_chain();
    let measured = measure(&Case::new(&plain, &plain.state), &plan).unwrap();
    assert_eq!(measured.runs.len(), 2, "no list, no such mode");
}
