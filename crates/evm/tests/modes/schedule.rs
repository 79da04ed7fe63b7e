//! Schedules that nobody would choose, by seed.

use heddle_evm::{Observer, Step};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Most times that a delayed thread gives way to others.
const YIELDS_MAX: usize = 40;

/// Delays some steps, always the same for a seed, until others have gone a number of steps ahead.
pub struct Schedule {
    seed: u64,
    steps: AtomicUsize,
    aborts: AtomicUsize,
    commits: AtomicUsize,
}

impl Schedule {
    /// The schedule of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, steps: AtomicUsize::default(), aborts: AtomicUsize::default(), commits: AtomicUsize::default() }
    }

    /// How many executions were in vain.
    pub fn aborts(&self) -> usize {
        self.aborts.load(Relaxed)
    }

    /// How many transactions became final.
    pub fn commits(&self) -> usize {
        self.commits.load(Relaxed)
    }

    fn draw(&self, what: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, what).hash(&mut hasher);
        hasher.finish()
    }

    /// How many steps of others this one waits for. A quarter of the seeds delays nothing, which is a schedule too; the
    /// others make a worker slow, or a transaction, or a kind of step, or any step now and then.
    fn delay(&self, worker: usize, step: Step, transaction: usize) -> u64 {
        let step = step as u8;
        let slow = match self.draw("what is slow") % 8 {
            0 | 1 => return 0,
            2 => self.draw(("worker", worker)),
            3 => self.draw(("transaction", transaction)),
            4 => self.draw(("kind", step)),
            5 => self.draw((step, transaction)),
            _ => self.draw((worker, step, transaction)),
        };
        if slow.is_multiple_of(3) { 1 + self.draw(("length", step, transaction)) % 16 } else { 0 }
    }
}

impl Observer for Schedule {
    fn step(&self, worker: usize, step: Step, transaction: usize) {
        match step {
            // Whoever has nothing to do is no progress to wait for.
            Step::Idle => return std::thread::yield_now(),
            Step::Abort => self.aborts.fetch_add(1, Relaxed),
            Step::Commit => self.commits.fetch_add(1, Relaxed),
            Step::Execute | Step::Publish | Step::Validate => 0,
        };
        let now = self.steps.fetch_add(1, Relaxed);
        let until = now + self.delay(worker, step, transaction) as usize;
        for _ in 0..YIELDS_MAX {
            if self.steps.load(Relaxed) >= until {
                break;
            }
            std::thread::yield_now();
        }
    }
}
