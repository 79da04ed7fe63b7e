//! Every seed is safe and goes on, and is the same each time.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use heddle_simulation::{Choice, Failure, run_seeds};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::thread::available_parallelism;

/// Runs the seeds on all cores; the hashes of their traces, by seed.
fn hashes(seeds: Range<u64>) -> BTreeMap<u64, String> {
    let hashes = Mutex::new(BTreeMap::new());
    let threads = available_parallelism().map_or(1, usize::from);
    let result = run_seeds(seeds, Choice::default(), threads, &|seed, summary| {
        hashes.lock().unwrap().insert(seed, summary.trace_hash.to_string());
    });
    if let Err(failure) = result {
        let Failure { scenario, violation } = &*failure;
        panic!("{}\nseed {}: {}\n{}", violation.trace.join("\n"), scenario.seed, violation.reason, failure.command());
    }
    hashes.into_inner().unwrap()
}

#[test]
fn five_hundred_seeds_are_safe_and_go_on() {
    assert_eq!(hashes(0..500).len(), 500);
}

#[test]
fn a_hundred_seeds_run_twice_leave_the_same_trace() {
    let (first, second) = (hashes(0..100), hashes(0..100));
    assert_eq!(first.len(), 100);
    assert_eq!(first, second);
}
