//! Threads that live as long as the process, so that a block of a few milliseconds does not pay for starting them.

use rayon::{Scope, ThreadPool, ThreadPoolBuilder};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Runs `work` on `threads` threads at once, the caller's among them, each with its number from 0; returns when all have.
/// With no thread to be had the caller works alone: `work` must get done whoever comes.
pub(super) fn run(threads: NonZeroUsize, work: impl Fn(usize) + Sync) {
    if rayon::current_thread_index().is_some() && rayon::current_num_threads() >= threads.get() {
        rayon::in_place_scope(|scope| start(scope, threads, &work));
    } else if let Some(pool) = pool(threads) {
        pool.in_place_scope(|scope| start(scope, threads, &work));
    } else {
        work(0);
    }
}

fn start<'scope>(scope: &Scope<'scope>, threads: NonZeroUsize, work: &'scope (impl Fn(usize) + Sync)) {
    for number in 1..threads.get() {
        scope.spawn(move |_| work(number));
    }
    work(0);
}

/// Runs `work` on one of `threads` threads, which are then at hand for what is parallel in it: coming here once costs
/// less than coming back for every part.
pub(super) fn enter<T: Send>(threads: NonZeroUsize, work: impl FnOnce() -> T + Send) -> T {
    match pool(threads) {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// The pool of so many threads; a process asks for one or two counts in its life.
fn pool(threads: NonZeroUsize) -> Option<Arc<ThreadPool>> {
    static POOLS: OnceLock<Mutex<BTreeMap<NonZeroUsize, Arc<ThreadPool>>>> = OnceLock::new();
    let mut pools = POOLS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pool) = pools.get(&threads) {
        return Some(pool.clone());
    }
    let name = |number| format!("execute-{number}");
    let pool = Arc::new(ThreadPoolBuilder::new().num_threads(threads.get()).thread_name(name).build().ok()?);
    pools.insert(threads, pool.clone());
    Some(pool)
}
