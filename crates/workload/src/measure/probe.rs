//! Watching a parallel execution in order to say where its time goes.

use heddle_evm::{Observer, Step};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// One thread's figures, in nanoseconds since the probe began; on a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Worker {
    /// When it began to execute a transaction; 0 when it does not.
    began: AtomicU64,
    executing: AtomicU64,
}

/// Counts aborts, and adds up the time between `Execute` and `Publish`. It slows the execution down a little: for runs
/// that are not timed.
pub(super) struct Probe {
    start: Instant,
    workers: Vec<Worker>,
    has_steps: AtomicBool,
    aborts: AtomicU64,
}

impl Probe {
    pub(super) fn new(threads: NonZeroUsize) -> Self {
        let workers = (0..threads.get()).map(|_| Worker::default()).collect();
        Self { start: Instant::now(), workers, has_steps: AtomicBool::new(false), aborts: AtomicU64::new(0) }
    }

    /// Whether the block was executed in steps at all.
    pub(super) fn has_steps(&self) -> bool {
        self.has_steps.load(Relaxed)
    }

    /// Transactions that had read what has changed since.
    pub(super) fn aborts(&self) -> u64 {
        self.aborts.load(Relaxed)
    }

    /// Of all threads' time, 0 to 1, the share that is not executing: scheduling, validating, merging, idling. `None`
    /// when no end of an execution was told.
    pub(super) fn share_not_executing(&self, elapsed: Duration) -> Option<f64> {
        let executing: u64 = self.workers.iter().map(|worker| worker.executing.load(Relaxed)).sum();
        let total = elapsed.as_nanos() as f64 * self.workers.len() as f64;
        (executing > 0).then(|| (1.0 - executing as f64 / total).max(0.0))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

impl Observer for Probe {
    fn step(&self, worker: usize, step: Step, _transaction: usize) {
        self.has_steps.store(true, Relaxed);
        if step == Step::Abort {
            self.aborts.fetch_add(1, Relaxed);
        }
        // A block may run on more threads than were asked for only by a mistake, which its result would show.
        let Some(worker) = self.workers.get(worker) else { return };
        match step {
            Step::Execute => worker.began.store(self.now(), Relaxed),
            Step::Publish => {
                let began = worker.began.swap(0, Relaxed);
                if began != 0 {
                    worker.executing.fetch_add(self.now().saturating_sub(began), Relaxed);
                }
            }
            Step::Validate | Step::Abort | Step::Commit | Step::Idle => {}
        }
    }
}
