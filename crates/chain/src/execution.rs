//! Executed proposals, kept until one of them is committed.

use crate::Timings;
use crate::validators::NextSet;
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{Address, B256};
use heddle_primitives::{ProposedBlock, Receipt, SealedHeader};
use heddle_state::StateUpdate;
use lru::LruCache;
use parking_lot::Mutex;
use std::num::NonZeroUsize;

/// A block that obeys every rule, and all that executing it on the head gave: committing it is only writing.
pub(crate) struct Execution {
    pub(crate) header: SealedHeader,
    pub(crate) proposed: ProposedBlock,
    pub(crate) senders: Vec<Address>,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) changed_accounts: Vec<Address>,
    /// As execution found it, whatever came with the block.
    pub(crate) access_list: Option<BlockAccessList>,
    pub(crate) update: StateUpdate,
    /// The validators that the registry holds for the epoch after the block, when one starts there.
    pub(crate) next_set: Option<NextSet>,
    /// Whether the registry refused what the block told it.
    pub(crate) has_call_failed: bool,
    pub(crate) timings: Timings,
}

/// Executions by block hash, bounded; the least recently used goes first.
pub(crate) struct ExecutionCache {
    executions: Mutex<LruCache<B256, Execution>>,
}

impl ExecutionCache {
    pub(crate) fn new(executions_max: usize) -> Self {
        let capacity = NonZeroUsize::new(executions_max).unwrap_or(NonZeroUsize::MIN);
        Self { executions: Mutex::new(LruCache::new(capacity)) }
    }

    pub(crate) fn contains(&self, hash: B256) -> bool {
        self.executions.lock().contains(&hash)
    }

    pub(crate) fn insert(&self, execution: Execution) {
        self.executions.lock().put(execution.header.seal(), execution);
    }

    pub(crate) fn take(&self, hash: B256) -> Option<Execution> {
        self.executions.lock().pop(&hash)
    }

    /// Forgets all: they were executed on a head that is no longer the head.
    pub(crate) fn clear(&self) {
        self.executions.lock().clear();
    }
}
