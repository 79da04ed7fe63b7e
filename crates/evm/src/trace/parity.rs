//! Parity's traces.

use super::TraceError;
use super::meter::{TraceBounds, Tracer};
use super::replay::{Traced, TracedBlock};
use alloy_primitives::map::HashSet;
use alloy_rpc_types_trace::parity::{Delta, StateDiff, TraceResults, TraceType};
use revm_inspectors::tracing::{TracingInspector, TracingInspectorConfig};
use std::ops::Range;

/// About what an instruction of a `vmTrace` takes, in memory and in JSON.
const STEP_BYTES: usize = 384;
/// About what an account, and a slot, of a `stateDiff` takes in JSON.
const ACCOUNT_BYTES: usize = 256;
const SLOT_BYTES: usize = 256;

/// The traces of some of a block's transactions, in the parts that are asked for.
///
/// # Errors
/// When a bound is passed, or the block cannot be executed.
pub fn trace_parity<'a>(
    block: &TracedBlock<'a>,
    wanted: Range<usize>,
    parts: &HashSet<TraceType>,
    bounds: TraceBounds<'a>,
) -> Result<Vec<TraceResults>, TraceError> {
    block.replay(wanted, bounds, || Ok(tracer(parts)), |_, traced| finish(traced, parts))
}

pub(crate) fn tracer(parts: &HashSet<TraceType>) -> TracingInspector {
    TracingInspector::new(TracingInspectorConfig::from_parity_config(parts))
}

/// The trace of a transaction or call.
pub(crate) fn finish(
    traced: Traced<'_, '_, TracingInspector>,
    parts: &HashSet<TraceType>,
) -> Result<TraceResults, TraceError> {
    let Traced { tracer, meter, result, state, .. } = traced;
    let builder = std::mem::take(tracer).into_parity_builder();
    let trace = builder
        .into_trace_results_with_state(result, parts, &*state)
        .map_err(|error| TraceError::Internal(error.to_string()))?;
    meter.grow(trace.state_diff.as_ref().map_or(0, diff_bytes));
    Ok(trace)
}

fn diff_bytes(diff: &StateDiff) -> usize {
    let code_bytes = |delta: &Delta<alloy_primitives::Bytes>| match delta {
        Delta::Unchanged => 0,
        Delta::Added(code) | Delta::Removed(code) => 2 * code.len(),
        Delta::Changed(change) => 2 * (change.from.len() + change.to.len()),
    };
    let bytes =
        diff.values().map(|account| ACCOUNT_BYTES + code_bytes(&account.code) + account.storage.len() * SLOT_BYTES);
    bytes.sum()
}

impl Tracer for TracingInspector {
    fn step_bytes(&self) -> usize {
        if self.config().record_steps { STEP_BYTES } else { 0 }
    }

    fn shows_code(&self) -> bool {
        self.config().record_bytecode
    }

    fn size(&self) -> usize {
        2 * self.recorded_bytes()
    }
}
