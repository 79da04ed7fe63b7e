//! What transactions do inside: go-ethereum's tracers, Parity's traces, and the operations that Otterscan shows.
//!
//! A block is executed again on its parent's state, up to the last transaction that is wanted. An inspector looks on, which
//! changes nothing: gas and receipts are those of the block. Every request is metered: one whose answer grows too large or
//! takes too long ends where that is noticed, before it has become large or long.

mod between;
mod calls;
mod flat;
mod geth;
mod json;
mod meter;
mod operations;
mod parity;
mod replay;
mod rewards;
mod struct_logs;

use crate::{CallError, ExecutionError};
use std::time::Duration;

pub use between::{changes_after, intermediate_roots};
pub use calls::{TracedCalls, trace_call_geth, trace_call_parity, trace_calls_parity};
pub use geth::{TraceOptions, trace_geth};
pub use json::to_bounded_json;
pub use meter::TraceBounds;
pub use operations::trace_operations;
pub use parity::trace_parity;
pub use replay::TracedBlock;
pub use rewards::block_rewards;

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It took too long: the caller's choice of what to trace.
    #[error("execution aborted (timeout = {0:?})")]
    Timeout(Duration),
    /// More than this many bytes: the caller's choice of what to trace.
    #[error("the trace is larger than {0} bytes: ask for fewer transactions, or for less of each")]
    TooLarge(usize),
    /// There is no such tracer, or it failed: the caller's fault.
    #[error("{0}")]
    Tracer(String),
    /// The call cannot start; [`CallError`] says whether that is the caller's fault.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The block cannot be executed.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// Ours.
    #[error("internal error: {0}")]
    Internal(String),
}
