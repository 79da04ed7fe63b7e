//! Watching the parallel executor at work on a block: counting, and computing the state root meanwhile.

use alloy_primitives::B256;
use heddle_evm::{Observer, Step};
use heddle_primitives::StateChanges;
use heddle_state::{StateStore, StateUpdate, StateView};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Watches one block's execution.
pub(crate) struct Watcher<'a> {
    states: &'a StateStore,
    parent: &'a StateView,
    executions: AtomicU64,
    aborts: AtomicU64,
    has_fallen_back: AtomicBool,
    foreseen: Mutex<Option<StateUpdate>>,
}

impl<'a> Watcher<'a> {
    pub(crate) fn new(states: &'a StateStore, parent: &'a StateView) -> Self {
        let (executions, aborts, has_fallen_back) = Default::default();
        Self { states, parent, executions, aborts, has_fallen_back, foreseen: Mutex::new(None) }
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

    /// Whether the block was executed in order after an attempt on several threads.
    pub(crate) fn has_fallen_back(&self) -> bool {
        self.has_fallen_back.load(Ordering::Relaxed)
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

    fn fall_back(&self) {
        self.has_fallen_back.store(true, Ordering::Relaxed);
    }

    fn foresee(&self, changes: &StateChanges) {
        // A failure shows again when the changes are known for sure.
        *self.foreseen.lock() = self.states.compute(self.parent, changes).ok();
    }
}
