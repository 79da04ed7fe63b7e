//! Watching the parallel executor at work on a block: counting, and computing the state root meanwhile.

use alloy_primitives::B256;
use heddle_evm::{Observer, Step};
use heddle_primitives::StateChanges;
use heddle_state::{StateStore, StateUpdate, StateView};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Watches one block's execution.
pub(crate) struct Watcher<'a> {
    states: &'a StateStore,
    parent: &'a StateView,
    executions: AtomicU64,
    aborts: AtomicU64,
    foreseen: Mutex<Option<StateUpdate>>,
}

impl<'a> Watcher<'a> {
    pub(crate) fn new(states: &'a StateStore, parent: &'a StateView) -> Self {
        let (executions, aborts) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { states, parent, executions, aborts, foreseen: Mutex::new(None) }
    }

    /// The update that was computed ahead, if it has this root: then it is the block's, whoever foresaw it.
    pub(crate) fn foreseen(&self, state_root: B256) -> Option<StateUpdate> {
        self.foreseen.lock().take().filter(|update| update.state_root == state_root)
    }

    /// Executions of transactions, repeated ones included.
    pub(crate) fn executions(&self) -> u64 {
        self.executions.load(Ordering::Relaxed)
    }

    /// Executions that have to be repeated.
    pub(crate) fn aborts(&self) -> u64 {
        self.aborts.load(Ordering::Relaxed)
    }
}

impl Observer for Watcher<'_> {
    fn step(&self, _worker: usize, step: Step, _transaction: usize) {
        let counter = match step {
            Step::Execute => &self.executions,
            Step::Abort => &self.aborts,
            Step::Publish | Step::Validate | Step::Commit | Step::Idle => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn foresee(&self, changes: &StateChanges) {
        // A failure shows again when the changes are known for sure.
        *self.foreseen.lock() = self.states.compute(self.parent, changes).ok();
    }
}
