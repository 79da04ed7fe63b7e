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

fn once_up_to_two() -> Plan {
    let two = NonZeroUsize::new(2).unwrap();
    Plan { rounds_min: NonZeroUsize::MIN, duration_min: Duration::ZERO, ..Plan::up_to(two) }
}

#[test]
fn dependencies_bound_what_threads_can_do() {
    let ideal = |name| {
        let workload = by_name(name, Size::Small).unwrap();
        measure(&Case::new(&workload, &workload.state), &once_up_to_two()).unwrap().ideal
    };
    assert_eq!(ideal("chain-conflict"), 1.0);
    assert_eq!(ideal("swaps-v3-one-pool"), 1.0);
    assert!(ideal("swaps-v3-many-pools") > 50.0);
    assert!(ideal("transfers-one-recipient") > 1_000.0, "credits do not conflict");
    assert!(ideal("erc20-clustered") < 8.0);
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
    let plan = once_up_to_two();
    let measured = measure(&Case::new(&workload, &workload.state), &plan).unwrap();
    let runs: Vec<_> = measured.runs.iter().map(|run| (run.mode, run.threads.get())).collect();
    let modes = ["parallel", "hinted", "access-list"];
    assert_eq!(runs, modes.map(|mode| [(mode, 1), (mode, 2)]).concat());
    let json = measured.to_json("airdrop");
    assert_eq!(json["runs"].as_array().map(Vec::len), Some(6));
    assert_eq!(measured.to_string().lines().count(), 2 + 3 + 6);
    let plain = workload.on_plain_chain();
    let measured = measure(&Case::new(&plain, &plain.state), &plan).unwrap();
    assert_eq!(measured.runs.len(), 4, "no list, no such mode");
}
