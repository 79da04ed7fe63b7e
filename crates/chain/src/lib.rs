//! The head of the chain: proposes, verifies and commits blocks; the only commit door.
//!
//! Rules of this crate:
//! - a block enters by one door and in one batch with its receipts, indices, certificates and state, and only then
//!   becomes the head and is told to subscribers; the batch is on disk by then, unless a bulk import asked otherwise;
//! - only what this node executed itself can be committed: on a Heddle chain a
//!   [`CertifiedBlock`](heddle_primitives::CertifiedBlock), on a plain Ethereum chain a [`RecoveredBlock`]; every
//!   committed block is final;
//! - who decides a height is for this crate alone to say ([`Chain::validators`]): with a registry contract it follows from
//!   the state after each epoch's last block, and nobody else keeps a set across heights;
//! - proposing and validating write nothing; their executions are remembered for the commit;
//! - an [`Importer`] executes on what is still being written; nobody is shown a block before it is written;
//! - all methods block: call them where blocking is allowed. No lock is held while a block executes, except that one
//!   commit waits for another.
//!
//! ```text
//! build    head + candidates ------> proposed block -+
//! validate proposed block -> verify -> execution ----+--> executions of the next height
//! commit   certified block -> execution from there, or verify now -> batch -> head -> event
//! import   recovered block -> verify ------------------------------> batch -> head -> event
//! importer the same for many blocks in a row, each executed while the one before is written
//! ```

mod adopt;
mod assemble;
mod backfill;
mod beginning;
mod block;
mod block_store;
mod chain;
mod check;
mod checkpoint;
mod commit;
mod config;
mod error;
mod evidence;
mod execution;
mod head;
mod history;
mod import;
mod importer;
mod light_client;
mod log_index;
mod log_search;
mod logs;
mod lookup;
mod pending;
mod propose;
mod reads;
mod rlp_rows;
mod schedule;
mod snapshots;
mod state_reader;
mod stats;
mod steps;
mod storage_range;
mod traces;
mod validators;
mod verify;
mod witness;

#[cfg(test)]
mod tests;

pub use adopt::{AdoptedBase, BaseError};
pub use assemble::{BlockTemplate, DraftedBlock};
pub use backfill::{BackfillError, check_finalized};
pub use block::{CommittedBlock, StoredBlock, Timings, TransactionLocation};
pub use chain::Chain;
pub use config::{ChainConfig, ExecutionMode};
pub use error::{BlockError, ChainError, Fault};
pub use evidence::EvidenceRuleError;
pub use head::Head;
pub use heddle_evm::{
    BlockRequest, CallError, CallLimits, CallOutcome, CallRequest, CallStatus, ChainRules, Conflict, Location,
    NumberedCall, Overrides, Parallelism, RuleError, SIMULATED_BLOCKS_MAX, SimulatedBlock, SimulatedCall,
    SimulationError, SimulationRequest, TraceBounds, TraceError, TraceOptions, TracedBlock, TracedCalls,
    TransactionError, block_rewards, next_base_fee, to_bounded_json, trace_call_geth, trace_call_parity,
    trace_calls_parity, trace_geth, trace_operations, trace_parity,
};
pub use heddle_state::{
    AccountProof, CheckObserver, CheckProgress, Finding, Findings, ProofLimits, RestoreObserver, RestoreProgress,
    Staging, StateView,
};
pub use history::{History, HistoryParseError, PruneStep};
pub use import::RecoveredBlock;
pub use importer::{Importer, RecoveredCertifiedBlock};
pub use logs::{LogEntry, LogFilter, LogLimits, LogMatcher};
pub use lookup::{MinedReceipt, MinedTransaction};
pub use pending::PendingBlock;
pub use propose::{BuildRequest, BuiltBlock};
pub use reads::Place;
pub use stats::{ChainStats, CodeCacheStats};
pub use storage_range::{FoundSlot, StorageQuery, StorageRange};
pub use verify::KnownSenders;
pub use witness::Witness;
