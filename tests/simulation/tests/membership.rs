//! Validators change while faults go on, across seeds.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use heddle_simulation::{Choice, Plan, run_seeds};
use std::thread::available_parallelism;

fn goes_through(plan: Plan) {
    let choice = Choice { plan: Some(plan), ..Choice::default() };
    let threads = available_parallelism().map_or(1, usize::from);
    if let Err(failure) = run_seeds(0..8, choice, threads, &|_, _| {}) {
        panic!("{}\nseed {}: {}", failure.violation.trace.join("\n"), failure.scenario.seed, failure.violation.reason);
    }
}

#[test]
fn four_validators_become_seven_and_four_again() {
    goes_through(Plan::Grow);
}

#[test]
fn a_validator_moves_to_another_key() {
    goes_through(Plan::Rotate);
}

#[test]
fn an_absent_validator_is_jailed_and_comes_back() {
    goes_through(Plan::Jail);
}

#[test]
fn a_validator_that_contradicts_itself_is_slashed() {
    goes_through(Plan::Slash);
}
