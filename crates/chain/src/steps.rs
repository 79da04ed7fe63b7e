//! Counting what the parallel executor does for a block.

use heddle_evm::{Observer, Step};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the steps of one block's execution.
#[derive(Default)]
pub(crate) struct StepCounter {
    executions: AtomicU64,
    aborts: AtomicU64,
}

impl StepCounter {
    /// Executions of transactions, repeated ones included.
    pub(crate) fn executions(&self) -> u64 {
        self.executions.load(Ordering::Relaxed)
    }

    /// Executions that have to be repeated.
    pub(crate) fn aborts(&self) -> u64 {
        self.aborts.load(Ordering::Relaxed)
    }
}

impl Observer for StepCounter {
    fn step(&self, _worker: usize, step: Step, _transaction: usize) {
        let counter = match step {
            Step::Execute => &self.executions,
            Step::Abort => &self.aborts,
            Step::Publish | Step::Validate | Step::Commit | Step::Idle => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
