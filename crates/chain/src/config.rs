//! What an operator may choose about the chain; none of it changes which blocks are valid, except the clock drift.

use alloy_eips::eip7928::BlockAccessList;
use heddle_evm::Mode;
use heddle_primitives::{Checkpoint, ProposedBlock};
use heddle_state::StateConfig;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

/// How a chain executes its blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutionMode {
    /// One transaction after the other.
    Sequential,
    /// On several threads: by the block's access list where it is known, else speculatively.
    #[default]
    Parallel,
}

/// Settings of [`Chain`](crate::Chain).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainConfig {
    /// Gas limit that this node's blocks move towards, by at most 1/1024 a block; the genesis gas limit when absent.
    pub gas_limit_target: Option<u64>,
    /// How far a proposal's timestamp may lie ahead of local time, in seconds.
    pub clock_drift_secs: u64,
    /// How many executed proposals of the next height are kept for their commit; at least 1 is kept.
    pub executions_cached: usize,
    /// Whether every commit waits for the disk. Without it a crash may lose what was committed since the last
    /// [`Chain::sync`](crate::Chain::sync), whole blocks from the end: for imports, which can repeat them, never for a
    /// node that votes.
    pub commits_synced: bool,
    /// Most bytes of memory for contracts' code and its jump tables, shared by execution and calls.
    pub code_cache_bytes: u64,
    /// Committed blocks that a subscriber may fall behind before it misses some; at least 1. Each is kept whole, so a
    /// slow subscriber costs as much memory as these blocks.
    pub events_buffered: usize,
    /// Memory for hot accounts, slots and trie rows, in bytes; taken only as they are used.
    pub state_cache_bytes: usize,
    /// How blocks are executed; every mode gives the same bytes.
    pub execution: ExecutionMode,
    /// Threads that execute a block, at least 1; all cores when absent.
    pub execution_threads: Option<NonZeroUsize>,
    /// How many of the last blocks keep their access lists, for peers that catch up. Of a block of a thousand
    /// transactions that is about 210 KB.
    pub access_lists_kept: u64,
    /// Blocks between two states that are kept for others to fetch, the newest two of which are served; 0 for none. The
    /// more there are between them, the more replaced rows the database keeps for their sake.
    pub snapshot_interval: u64,
    /// A block that must be on the chain: another one at its height is never committed.
    pub checkpoint: Option<Checkpoint>,
}

impl Default for ChainConfig {
    fn default() -> Self {
        Self {
            gas_limit_target: None,
            clock_drift_secs: 15,
            executions_cached: 8,
            commits_synced: true,
            code_cache_bytes: 64 << 20,
            events_buffered: 16,
            state_cache_bytes: StateConfig::default().cache_bytes,
            execution: ExecutionMode::default(),
            execution_threads: None,
            // More than an hour of two blocks a second: whoever was away for less catches up by lists.
            access_lists_kept: 8_192,
            // About eight minutes of two blocks a second: a joining node has that long, and as long again, to fetch one.
            snapshot_interval: 1_000,
            checkpoint: None,
        }
    }
}

impl ChainConfig {
    /// The executor's mode for a block of which nothing but its transactions is known.
    pub(crate) fn mode(&self) -> Mode<'static> {
        match self.execution {
            ExecutionMode::Sequential => Mode::Sequential,
            ExecutionMode::Parallel => Mode::Parallel { threads: self.threads(), hints: None },
        }
    }

    /// The executor's mode for a block with what came along, and with its list where that is the one it binds. A list
    /// that is not is as good as none: who sent it is for the receiver to judge, and the block may be right.
    pub(crate) fn mode_for<'a>(&self, proposed: &'a ProposedBlock, list: Option<&'a BlockAccessList>) -> Mode<'a> {
        let Mode::Parallel { threads, .. } = self.mode() else { return self.mode() };
        match list {
            Some(list) => Mode::AccessList { list, threads },
            None => Mode::Parallel { threads, hints: Some(&proposed.hints).filter(|hints| !hints.is_empty()) },
        }
    }

    /// Threads that execute the candidates for a new block.
    pub(crate) fn build_threads(&self) -> NonZeroUsize {
        match self.execution {
            ExecutionMode::Sequential => NonZeroUsize::MIN,
            ExecutionMode::Parallel => self.threads(),
        }
    }

    pub(crate) fn threads(&self) -> NonZeroUsize {
        self.execution_threads.or_else(|| available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
    }
}
