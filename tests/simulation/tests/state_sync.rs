//! A node fetches a state from one honest peer among others, whatever they do, across seeds.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use heddle_simulation::state_sync::{Failure, Manner, Summary, run_seed};
use heddle_simulation::stay_on_this_thread;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;

/// Runs the seeds on all cores.
fn run(seeds: Range<u64>) -> BTreeMap<u64, Summary> {
    let (next, summaries) = (AtomicU64::new(seeds.start), Mutex::new(BTreeMap::new()));
    let work = || {
        stay_on_this_thread().unwrap();
        while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| seeds.contains(seed)) {
            match run_seed(seed) {
                Ok(summary) => drop(summaries.lock().unwrap().insert(seed, summary)),
                Err(failure) => {
                    let Failure { scenario, reason, trace } = *failure;
                    let again =
                        format!("HEDDLE_SEEDS={seed} cargo test --release -p heddle-simulation --test state_sync");
                    panic!("{}\n{scenario:?}\nseed {seed}: {reason}\n{again}", trace.join("\n"));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = Vec::from_iter((0..available_parallelism().map_or(1, usize::from)).map(|_| scope.spawn(work)));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    summaries.into_inner().unwrap()
}

/// `HEDDLE_SEEDS=17` or `=0..5000` instead.
fn seeds(default: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("HEDDLE_SEEDS") else { return default };
    match text.split_once("..") {
        Some((first, end)) => first.parse().unwrap()..end.parse().unwrap(),
        None => text.parse().unwrap()..text.parse::<u64>().unwrap() + 1,
    }
}

#[test]
fn one_honest_peer_is_enough_whatever_the_others_do() {
    let range = seeds(0..300);
    let summaries = run(range.clone());
    let mut blamed = BTreeMap::<Manner, u64>::new();
    for (manner, times) in summaries.values().flat_map(|summary| &summary.blamed) {
        *blamed.entry(*manner).or_default() += times;
    }
    let (moves, stops) = summaries.values().fold((0, 0), |sum, s| (sum.0 + s.moves, sum.1 + s.stops));
    let slowest = summaries.iter().max_by_key(|(_, summary)| summary.ended_at).unwrap();
    println!("{moves} moves, {stops} stops, slowest {slowest:?}");
    println!("{blamed:?}");
    if range.end - range.start >= 300 {
        assert!(moves > 50 && stops > 100, "the chain never goes on, or the node never stops");
        assert!(summaries.values().any(|summary| summary.is_empty), "there is always a state");
        assert!(blamed.len() >= 11, "some liars are never found: {blamed:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let range = seeds(0..20);
    assert_eq!(run(range.clone()), run(range));
}
