//! Every mode of the executor gives the same bytes: random blocks over a world of contracts in each other's way, run
//! in all modes, with 1 to 8 threads, under schedules that nobody would choose.
//!
//! `HEDDLE_FUZZ_SECONDS` says how long (`endless`: until something is found), `HEDDLE_FUZZ_SEED` where to begin: a
//! failure prints the seed that finds it again at once. Where it depends on the threads' luck, it may take some runs.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod action;
mod assembler;
mod call;
mod chain;
mod compare;
mod contracts;
mod corrupt;
mod coverage;
mod difference;
mod draft;
mod plan;
mod schedule;
mod state;
mod world;

use compare::{Counts, compare};
use plan::case;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::cell::Cell;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// How long to run when nobody says.
const SECONDS_DEFAULT: u64 = 5;
/// Cases of one seed.
const CASES: u32 = 16;
/// Schedules that a case is tried with once a case of its seed has failed, so that it fails again while it shrinks.
const REPETITIONS_OF_SUSPECTS: u64 = 16;
const SHRINKS_MAX: u32 = 2_000;
/// Between two lines about how it goes.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// A seed takes a fraction of a second; one that failed, while it shrinks, minutes at most.
const STUCK_AFTER: Duration = Duration::from_secs(600);

/// Tries the cases of one seed.
fn try_seed(seed: u64) -> Result<Counts, String> {
    let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: SHRINKS_MAX, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let (counts, repetitions) = (Cell::new(Counts::default()), Cell::new(1));
    let result = runner.run(&case(), |case| {
        let count = compare(&case, repetitions.get()).map_err(|difference| {
            repetitions.set(REPETITIONS_OF_SUSPECTS);
            TestCaseError::fail(difference)
        })?;
        counts.update(|mut counts| {
            counts += count;
            counts
        });
        Ok(())
    });
    match result {
        Ok(()) => Ok(counts.get()),
        Err(TestError::Fail(difference, case)) => {
            Err(format!("HEDDLE_FUZZ_SEED={seed} finds this again: {case:#?}\n{difference}"))
        }
        Err(TestError::Abort(reason)) => Err(reason.to_string()),
    }
}

/// What a thread of the test says of a seed.
struct Report {
    seed: u64,
    result: Result<Counts, String>,
}

/// Tries one seed after the other for as long as anybody listens.
fn work(next_seed: &AtomicU64, reports: &SyncSender<Report>) {
    loop {
        let seed = next_seed.fetch_add(1, Relaxed);
        let result = try_seed(seed);
        if reports.send(Report { seed, result }).is_err() {
            return;
        }
    }
}

/// Listens until the time is over or something is found.
fn listen(limit: Option<Duration>, reports: Receiver<Report>) -> Result<Counts, String> {
    let start = Instant::now();
    let (mut counts, mut last_seed, mut next_line) = (Counts::default(), None, LINE_INTERVAL);
    while limit.is_none_or(|limit| start.elapsed() < limit) {
        let report = match reports.recv_timeout(STUCK_AFTER) {
            Ok(report) => report,
            Err(RecvTimeoutError::Timeout) => give_up(last_seed),
            Err(RecvTimeoutError::Disconnected) => return Err("the test itself panicked".to_owned()),
        };
        counts += report.result?;
        last_seed = Some(report.seed);
        if start.elapsed() >= next_line {
            print_progress(&counts, start.elapsed());
            next_line += LINE_INTERVAL;
        }
    }
    print_progress(&counts, start.elapsed());
    Ok(counts)
}

fn print_progress(counts: &Counts, elapsed: Duration) {
    let Counts { blocks, parallel, given_up, aborts } = counts;
    let a_minute = *blocks as f64 / elapsed.as_secs_f64() * 60.0;
    println!(
        "{blocks} blocks in {} s, {a_minute:.0} a minute; {parallel} parallel executions with {aborts} aborts, \
         {given_up} given up",
        elapsed.as_secs()
    );
}

/// Ends the process: threads that wait for each other cannot be ended otherwise.
fn give_up(last_seed: Option<u64>) -> ! {
    let text = format!("an execution does not end; the last seed whose cases all ended is {last_seed:?}\n");
    // Not by a macro, whose output the test harness would keep to itself.
    std::io::stderr().write_all(text.as_bytes()).unwrap();
    std::process::abort()
}

/// `HEDDLE_FUZZ_SECONDS`; `None` without end.
fn limit() -> Option<Duration> {
    match std::env::var("HEDDLE_FUZZ_SECONDS").as_deref() {
        Ok("endless") => None,
        Ok(seconds) => Some(Duration::from_secs(seconds.parse().unwrap())),
        Err(_) => Some(Duration::from_secs(SECONDS_DEFAULT)),
    }
}

#[test]
fn every_mode_gives_the_same_bytes() {
    let first_seed = match std::env::var("HEDDLE_FUZZ_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => rand::random(),
    };
    let next_seed = AtomicU64::new(first_seed);
    let threads = std::thread::available_parallelism().unwrap().get();
    let (sender, receiver) = sync_channel(threads);
    let result = std::thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            let next_seed = &next_seed;
            scope.spawn(move || work(next_seed, &sender));
        }
        drop(sender);
        listen(limit(), receiver)
    });
    let counts = result.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(counts.blocks > 0);
}
