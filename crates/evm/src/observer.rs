//! Watching a parallel execution from outside: benchmarks count and time its steps, tests delay them.

use heddle_primitives::StateChanges;

/// A step of a thread that executes a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It starts to execute a transaction: speculatively, or again after an abort.
    Execute,
    /// It has executed the transaction, and publishes what it wrote.
    Publish,
    /// It starts to compare what the transaction read with what stands there now.
    Validate,
    /// What the transaction read has changed: it will be executed again.
    Abort,
    /// The transaction's result is final.
    Commit,
    /// It has nothing to do until another thread is done.
    Idle,
}

/// Is told every step before it is taken, and may delay it: whatever it does, the result of the block is the same.
pub trait Observer: Sync {
    /// Thread `worker` (from 0) is about to take `step` for the transaction at index `transaction`.
    fn step(&self, worker: usize, step: Step, transaction: usize);

    /// The attempt on several threads did not succeed: the block is executed in order.
    fn fall_back(&self) {}

    /// These are the block's changes if its access list is right; its transactions are being executed meanwhile.
    fn foresee(&self, changes: &StateChanges) {
        let _ = changes;
    }
}

/// Nobody watches.
pub(crate) struct Unobserved;

impl Observer for Unobserved {
    fn step(&self, _worker: usize, _step: Step, _transaction: usize) {}
}
