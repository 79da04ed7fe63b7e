//! What Otterscan calls internal operations: transfers, creations and self-destructions inside a transaction.

use super::TraceError;
use super::meter::{TraceBounds, Tracer};
use super::replay::TracedBlock;
use alloy_rpc_types_trace::otterscan::InternalOperation;
use revm_inspectors::otterscan::InternalOperationsInspector;

/// The internal operations of one of a block's transactions, in their order, also of frames that were reverted.
///
/// # Errors
/// When a bound is passed, or the block cannot be executed.
pub fn trace_operations<'a>(
    block: &TracedBlock<'a>,
    index: usize,
    bounds: TraceBounds<'a>,
) -> Result<Vec<InternalOperation>, TraceError> {
    let traces = block.replay(
        index..index.saturating_add(1),
        bounds,
        || Ok(InternalOperationsInspector::default()),
        |_, traced| Ok(std::mem::take(traced.tracer).into_operations()),
    )?;
    Ok(traces.into_iter().flatten().collect())
}

impl Tracer for InternalOperationsInspector {}
