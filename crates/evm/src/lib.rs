//! Runs a block over a state reader: receipts, changes, access list; and knows the rules headers obey.
//!
//! Rules of this crate:
//! - everything is a function of its arguments: no clock, no socket, no disk, no state kept between calls; the parent's
//!   state is read through the [`StateReader`] port and nothing is written, so a proposal that fails leaves no trace;
//! - every [`Mode`] returns the same bytes; [`Mode::Sequential`] is the reference;
//! - an error says whose fault it is: the block's author, the caller, or us.
//!
//! ```text
//! propose   next_header -> build   -> complete_header
//! verify    validate_header -> validate_body -> recover_sender -> execute -> validate_outcome
//!           (on chains that began with proof of work also validate_merge and validate_ommers)
//! ask       call | short_call | estimate_gas | create_access_list | simulate | transact | analyze
//! trace     trace_geth | trace_parity | trace_operations
//! ```

mod access_list;
mod accesses;
mod build;
mod call;
mod changes;
mod code;
mod constantinople;
mod created_list;
mod dao;
mod database;
mod deadline;
mod deposit;
mod error;
mod estimate;
mod execution;
mod fork_config;
mod gas;
mod handler;
mod header;
mod machine;
mod observer;
mod ommers;
mod overrides;
mod parallel;
mod parallelism;
mod ports;
mod receipt;
mod rules;
mod run;
mod short;
mod simulate;
mod system;
#[cfg(test)]
mod tests;
mod trace;
mod transact;
mod transaction;
mod validation;

pub use access_list::{AccessKind, AccessListEntry, AccessListError};
pub use accesses::Location;
pub use build::{BuildLimits, BuiltTransactions, build};
pub use call::{CallOutcome, CallRequest, CallStatus, call};
pub use code::{Code, CodeCache};
pub use created_list::create_access_list;
pub use deadline::CallLimits;
pub use error::{CallError, ExecutionError, Mismatch, RuleError};
pub use estimate::estimate_gas;
pub use execution::{BlockContext, ChainCall, ExecutionOutcome, Mode, execute, execute_observed, record_access_list};
pub use header::{
    NextBlock, complete_header, next_base_fee, next_excess_blob_gas, next_gas_limit, next_header, next_prev_randao,
};
pub use observer::{Observer, Step};
pub use ommers::{Ancestors, OmmerError, validate_ommers};
pub use overrides::Overrides;
pub use parallelism::{Conflict, Parallelism, analyze};
pub use ports::{StateError, StateReader};
pub use rules::ChainRules;
pub use short::short_call;
pub use simulate::{
    BlockRequest, NumberedCall, SIMULATED_BLOCKS_MAX, SimulatedBlock, SimulatedCall, SimulationError,
    SimulationRequest, simulate,
};
pub use system::{amsterdam_system_contracts, system_contracts};
pub use trace::{
    TraceBounds, TraceError, TraceOptions, TracedBlock, TracedCalls, block_rewards, changes_after, intermediate_roots,
    to_bounded_json, trace_call_geth, trace_call_parity, trace_calls_parity, trace_geth, trace_operations,
    trace_parity,
};
pub use transact::{TransactionOutcome, transact};
pub use transaction::{TransactionError, recover_sender};
pub use validation::{validate_body, validate_header, validate_merge, validate_outcome};
