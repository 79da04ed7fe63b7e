//! The simulator is tested too: it finds every planted bug.
#![cfg(feature = "planted-bugs")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use heddle_primitives::{Bug, plant};
use heddle_simulation::{Choice, run_seed, state_sync, stay_on_this_thread};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// By then each bug must be found.
const SEEDS_MAX: u64 = 1_000;

/// Runs a seed; how it broke.
type Run = fn(u64) -> Option<String>;

fn break_network(seed: u64) -> Option<String> {
    run_seed(seed, Choice::default()).err().map(|failure| failure.violation.reason)
}

fn break_state_sync(seed: u64) -> Option<String> {
    state_sync::run_seed(seed).err().map(|failure| failure.reason)
}

/// The first seed that a bug breaks, and how.
fn find(bug: Bug, run: Run) -> Option<(u64, String)> {
    plant(Some(bug));
    let found = (0..SEEDS_MAX).find_map(|seed| {
        let reason = run(seed)?.lines().next().unwrap_or_default().to_owned();
        Some((seed, reason))
    });
    plant(None);
    found
}

fn find_all(bugs: &[Bug], run: Run) {
    let only = std::env::var("HEDDLE_BUG").ok();
    let wanted = |bug: &Bug| only.as_ref().is_none_or(|only| *only == format!("{bug:?}"));
    let bugs = Vec::from_iter(bugs.iter().copied().filter(wanted));
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        stay_on_this_thread().unwrap();
        while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
            match find(*bug, run) {
                Some((seed, reason)) => println!("{bug:?}: seed {seed}: {reason}"),
                None => missed.lock().unwrap().push(*bug),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "not found within {SEEDS_MAX} seeds: {missed:?}");
}

#[test]
fn every_planted_bug_is_found() {
    find_all(&Bug::ALL, break_network);
}

#[test]
fn every_planted_bug_of_state_sync_is_found() {
    find_all(&Bug::OF_STATE_SYNC, break_state_sync);
}
