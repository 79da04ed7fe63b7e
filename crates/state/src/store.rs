//! The door to the state.

use crate::caches::{Caches, CommittedState, StateConfig};
use crate::rows::read_root;
use crate::{StateError, StateStats, StateUpdate, StateView, history};
use alloy_primitives::B256;
use heddle_primitives::StateChanges;
use heddle_storage::{Batch, Database, PendingBatch};
use std::sync::Arc;

/// The committed states of a chain; clones share the database and the caches.
#[derive(Clone, Debug)]
pub struct StateStore {
    pub(crate) database: Database,
    pub(crate) caches: Arc<Caches>,
}

impl StateStore {
    /// The states in a database, which may be empty.
    pub fn new(database: Database, config: &StateConfig) -> Self {
        Self { database, caches: Arc::new(Caches::new(config)) }
    }

    /// The last committed state; the empty state when there is none.
    ///
    /// # Errors
    /// The disk's.
    pub fn view(&self) -> Result<StateView, StateError> {
        StateView::last(self.database.snapshot(), self.caches.clone())
    }

    /// The state that the database will hold once `pending` is committed: what the next block can be executed on while
    /// this one is written. Nobody else may be shown it, because a crash can still take it back.
    ///
    /// # Errors
    /// The disk's.
    pub fn view_with(&self, pending: Arc<PendingBatch>) -> Result<StateView, StateError> {
        StateView::last(self.database.snapshot_with(pending), self.caches.clone())
    }

    /// The state after a committed block.
    ///
    /// # Errors
    /// [`StateError::HistoryPruned`], [`StateError::FutureBlock`], [`StateError::NoState`].
    pub fn view_at(&self, number: u64) -> Result<StateView, StateError> {
        let snapshot = self.database.snapshot();
        let head = history::head_number(&snapshot)?;
        let oldest = history::oldest(&snapshot, head)?;
        if number > head {
            return Err(StateError::FutureBlock { number, head });
        }
        if number < oldest {
            return Err(StateError::HistoryPruned { number, oldest });
        }
        Ok(StateView::last(snapshot, self.caches.clone())?.at(number))
    }

    /// The oldest block whose state can be read.
    ///
    /// # Errors
    /// [`StateError::NoState`], or the disk's.
    pub fn oldest(&self) -> Result<u64, StateError> {
        let snapshot = self.database.snapshot();
        history::oldest(&snapshot, history::head_number(&snapshot)?)
    }

    /// Root hash of the last committed state.
    ///
    /// # Errors
    /// The disk's.
    pub fn state_root(&self) -> Result<B256, StateError> {
        read_root(&self.database.snapshot())
    }

    /// Computes what `changes` make of the last committed state. Nothing is written, so a proposal that is never
    /// committed leaves no trace.
    ///
    /// # Errors
    /// [`StateError::NotHead`] when `parent` is a past state.
    pub fn compute(&self, parent: &StateView, changes: &StateChanges) -> Result<StateUpdate, StateError> {
        StateUpdate::compute(parent, changes)
    }

    /// Tells the caches of [`Self::view`]s what a block changed, once its batch is committed or, for [`Self::view_with`],
    /// on its way. Without that they stay right, but serve no later state; views of earlier states are served as before.
    pub fn committed(&self, state: CommittedState) {
        self.caches.commit(state);
    }

    /// What the caches hold, and what was read through them and committed since the store was opened.
    pub fn stats(&self) -> StateStats {
        self.caches.stats()
    }

    /// Adds to a batch the deletion of what only states before block `oldest` need, for a bounded number of blocks a call.
    /// Returns the oldest block whose state can be read once the batch is committed.
    ///
    /// # Errors
    /// [`StateError::NoState`], or the disk's.
    pub fn prune_history(&self, oldest: u64, batch: &mut Batch) -> Result<u64, StateError> {
        let snapshot = self.database.snapshot();
        history::prune(&snapshot, history::head_number(&snapshot)?, oldest, batch)
    }
}
