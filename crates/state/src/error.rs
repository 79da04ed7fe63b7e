//! What can go wrong with state. None of it is a peer's fault.

use alloy_primitives::{B256, hex};
use heddle_storage::{StorageError, Table};

/// Why the state did not answer.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The disk's.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The disk's, or ours: a row is not what this crate writes.
    #[error("table {} is corrupt at key 0x{key}: {reason}", table.name())]
    Corrupt {
        /// The table.
        table: Table,
        /// The row's key in hexadecimal.
        key: String,
        /// What is wrong with the row.
        reason: String,
    },
    /// The caller's, or the disk's: no code with this hash was ever deployed.
    #[error("no code with hash {0}")]
    MissingCode(B256),
    /// The caller's: the values that later blocks replaced are no longer kept.
    #[error("state of block {number} is pruned: the oldest kept is of block {oldest}")]
    HistoryPruned {
        /// The block asked for.
        number: u64,
        /// The oldest block whose state can be read.
        oldest: u64,
    },
    /// The caller's: too much changed since the block to prove anything of its state.
    #[error("proofs of block {number} are not served: the oldest served are of block {oldest}")]
    ProofTooOld {
        /// The block asked for.
        number: u64,
        /// The oldest block within the limits, as far as that is known.
        oldest: u64,
    },
    /// The caller's: the block is not committed.
    #[error("state of block {number} does not exist yet: the last committed is of block {head}")]
    FutureBlock {
        /// The block asked for.
        number: u64,
        /// The last committed block.
        head: u64,
    },
    /// The caller's: no state has been committed, not even the genesis block's.
    #[error("the database holds no state yet")]
    NoState,
    /// The caller's: updates build on the last committed state only.
    #[error("cannot build on the state of block {number}: it is not the last committed")]
    NotHead {
        /// The block whose state was to be built on.
        number: u64,
    },
    /// The caller's: an update was computed for another block number.
    #[error("an update on the state of block {parent} cannot be committed as block {number}")]
    WrongNumber {
        /// The block the update builds on.
        parent: u64,
        /// The block it was to be committed as.
        number: u64,
    },
}

impl StateError {
    /// Names a row that does not read.
    pub(crate) fn corrupt(table: Table, key: &[u8], reason: impl ToString) -> Self {
        Self::Corrupt { table, key: hex::encode(key), reason: reason.to_string() }
    }
}
