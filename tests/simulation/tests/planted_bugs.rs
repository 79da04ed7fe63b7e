//! The simulator is tested too: it finds every planted bug.
#![cfg(feature = "planted-bugs")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use heddle_primitives::{Bug, plant};
use heddle_simulation::{Choice, run_seed, stay_on_this_thread};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// By then each bug must be found.
const SEEDS_MAX: u64 = 1_000;

/// The first seed that a bug breaks, and how.
fn find(bug: Bug) -> Option<(u64, String)> {
    plant(Some(bug));
    let found = (0..SEEDS_MAX).find_map(|seed| {
        let failure = run_seed(seed, Choice::default()).err()?;
        let reason = failure.violation.reason.lines().next().unwrap_or_default().to_owned();
        Some((seed, reason))
    });
    plant(None);
    found
}

#[test]
fn every_planted_bug_is_found() {
    let only = std::env::var("HEDDLE_BUG").ok();
    let wanted = |bug: &Bug| only.as_ref().is_none_or(|only| *only == format!("{bug:?}"));
    let bugs = Vec::from_iter(Bug::ALL.into_iter().filter(wanted));
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        stay_on_this_thread().unwrap();
        while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
            match find(*bug) {
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
