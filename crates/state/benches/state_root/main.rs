//! How long a state root takes, beside `alloy_trie`'s `HashBuilder` over the same changed subtries.
//!
//! For each size of the state, a block changes the balance of some accounts and five slots of each. What is timed is
//! `StateStore::compute`: reading what is replaced, hashing addresses and slots, the storage tries, the account trie, and
//! making the rows to write. *Cold* is the first block after opening the database: our caches and RocksDB's are empty (the
//! operating system's is not). *Warm* is a later block that changes the same accounts and slots. *Commit* is the synced
//! write of a warm block with its history.
//!
//! The baseline is given everything in memory and sorted: the leaves of the changed subtries with their new values and
//! hashed keys, and the hashes of all other subtries. It reads, sorts and keeps nothing.
//!
//!     cargo bench -p heddle-state                      states of 10^4, 10^5 and 10^6 accounts
//!     cargo bench -p heddle-state -- 10000 10000000    states of these sizes

#![allow(clippy::unwrap_used, reason = "a benchmark that fails stops")]

mod baseline;
mod report;
mod workload;

use baseline::Baseline;
use heddle_state::{StateConfig, StateStore};
use heddle_storage::{Batch, Database, DatabaseConfig};
use report::{Measured, State};
use std::path::Path;
use std::time::{Duration, Instant};
use workload::Workload;

const SIZES: [u64; 3] = [10_000, 100_000, 1_000_000];
const CHANGED: [usize; 2] = [1_000, 10_000];
const THREADS: [usize; 2] = [1, 2];
/// How often each figure is measured; the median is reported.
const COLD_ROUNDS: usize = 3;
const WARM_ROUNDS: usize = 9;

fn main() {
    let sizes: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let is_default = sizes.is_empty();
    report::introduce();
    let states: Vec<_> = if is_default { SIZES.to_vec() } else { sizes }.into_iter().map(measure_state).collect();
    if is_default {
        println!("10000000 accounts: skipped, takes minutes and gigabytes; run with `-- 10000000`");
    }
    println!("{}", report::json(&states));
}

fn open(directory: &Path) -> (Database, StateStore) {
    let database = Database::open(directory, &DatabaseConfig::default()).unwrap();
    let store = StateStore::new(database.clone(), &StateConfig::default());
    (database, store)
}

fn measure_state(accounts: u64) -> State {
    let directory = tempfile::tempdir().unwrap();
    let workload = Workload::new(accounts);
    let started = Instant::now();
    {
        let (database, store) = open(directory.path());
        workload.load(&database, &store);
    }
    let loaded = started.elapsed();
    let disk_bytes = report::directory_bytes(directory.path());
    let mut state = State::new(&workload, loaded, disk_bytes);
    // Which slot values and balances the state holds: each block sets those of the next round.
    let mut round = 0;
    for count in CHANGED {
        if count > workload.changeable() {
            println!("{accounts} accounts, {count} changed: skipped, only {} have storage", workload.changeable());
            continue;
        }
        for threads in THREADS {
            state.measured.push(measure(directory.path(), &workload, count, threads, &mut round));
        }
    }
    state.rss_bytes = report::rss_bytes();
    measure_baseline(directory.path(), &workload, &mut state, round);
    state.print();
    state
}

/// Threads with a name, by which a profiler tells them from the rest.
fn pool(name: &'static str, threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(move |_| name.to_owned()).build().unwrap()
}

fn measure(directory: &Path, workload: &Workload, count: usize, threads: usize, round: &mut u64) -> Measured {
    let pool = pool("compute", threads);
    let mut cold = Vec::new();
    for _ in 0..COLD_ROUNDS {
        let (_database, store) = open(directory);
        let changes = workload.block(count, *round + 1);
        let view = store.view().unwrap();
        let started = Instant::now();
        pool.install(|| store.compute(&view, &changes)).unwrap();
        cold.push(started.elapsed());
    }
    let (database, store) = open(directory);
    let (mut warm, mut commit) = (Vec::new(), Vec::new());
    // The first block fills the caches.
    for _ in 0..=WARM_ROUNDS {
        *round += 1;
        let changes = workload.block(count, *round);
        let view = store.view().unwrap();
        let started = Instant::now();
        let update = pool.install(|| store.compute(&view, &changes)).unwrap();
        warm.push(started.elapsed());
        let started = Instant::now();
        let mut batch = Batch::new();
        let state = update.write_into(view.number().unwrap() + 1, &mut batch).unwrap();
        database.commit(batch).unwrap();
        store.committed(state);
        commit.push(started.elapsed());
    }
    database.sync().unwrap();
    warm.remove(0);
    let [cold, warm, commit] = [cold, warm, commit].map(median);
    Measured {
        changed: count,
        threads,
        cold,
        warm,
        commit,
        baseline: Duration::ZERO,
        root: store.state_root().unwrap(),
    }
}

/// Measures the baseline on the last block of each kind, whose root it must have.
fn measure_baseline(directory: &Path, workload: &Workload, state: &mut State, last_round: u64) {
    let mut baseline = Baseline::new(workload);
    let rounds = u64::try_from(WARM_ROUNDS + 1).unwrap();
    let kinds = u64::try_from(state.measured.len()).unwrap();
    for (index, measured) in (1u64..).zip(&mut state.measured) {
        let round = last_round - (kinds - index) * rounds;
        let block = baseline.block(workload, measured.changed, round);
        let pool = pool("baseline", measured.threads);
        let mut times = Vec::new();
        for _ in 0..WARM_ROUNDS {
            let started = Instant::now();
            let root = pool.install(|| baseline.root(&block));
            times.push(started.elapsed());
            assert_eq!(root, measured.root, "two ways to one root");
        }
        measured.baseline = median(times);
    }
    let (_database, store) = open(directory);
    assert_eq!(state.measured.last().unwrap().root, store.state_root().unwrap());
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
