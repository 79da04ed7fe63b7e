//! go-ethereum's tracers.

use super::TraceError;
use super::flat::flat_calls;
use super::json::to_bounded_json;
use super::meter::{TraceBounds, Tracer};
use super::replay::{Traced, TracedBlock};
use super::struct_logs::StructLogger;
use alloy_consensus::transaction::TxHashRef;
use alloy_evm::FromRecoveredTx;
use alloy_primitives::U256;
use alloy_rpc_types_trace::geth::{
    CallFrame, GethDebugBuiltInTracerType, GethDebugTracerType, GethDebugTracingOptions, GethTrace,
};
use revm::context::{TxEnv, either::Either};
use revm_inspectors::tracing::{DebugInspector, DebugInspectorError, TransactionContext};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt::Display;
use std::ops::Range;

/// Which tracer runs, and how.
#[derive(Clone, Debug, Default)]
pub struct TraceOptions {
    /// As the caller wrote them. Their `timeout` is not read: the bounds of the request have it.
    pub tracing: GethDebugTracingOptions,
    /// Whether the tracer may be JavaScript. Its engine bounds each loop and how deep functions call each other, but not its
    /// memory, nor in effect the time of one of its functions, so it is for callers who mean the node well.
    pub allows_javascript: bool,
}

/// One of go-ethereum's tracers.
pub(crate) type GethTracer = Either<StructLogger, DebugInspector>;

/// The traces of some of a block's transactions, each as JSON.
///
/// # Errors
/// When the tracer is unknown or fails, a bound is passed, or the block cannot be executed.
pub fn trace_geth<'a>(
    block: &TracedBlock<'a>,
    wanted: Range<usize>,
    options: &TraceOptions,
    bounds: TraceBounds<'a>,
) -> Result<Vec<Box<RawValue>>, TraceError> {
    block.replay(
        wanted,
        bounds,
        || tracer(options),
        |index, traced| {
            let Some(transaction) = block.transactions.get(index) else {
                return Err(TraceError::Internal(format!("no transaction {index} in its block")));
            };
            let place = TransactionContext::default()
                .with_block_hash(block.hash)
                .with_tx_index(index)
                .with_tx_hash(*transaction.tx_hash());
            let environment = TxEnv::from_recovered_tx(transaction.inner(), transaction.signer());
            finish(traced, Some(place), &environment, options)
        },
    )
}

/// The tracer that the options name.
pub(crate) fn tracer(options: &TraceOptions) -> Result<GethTracer, TraceError> {
    let TraceOptions { tracing, allows_javascript } = options;
    match &tracing.tracer {
        None => Ok(Either::Left(StructLogger::new(tracing.config))),
        Some(tracer) if tracer.as_str().is_empty() => Ok(Either::Left(StructLogger::new(tracing.config))),
        Some(GethDebugTracerType::JsTracer(_)) if !allows_javascript => {
            let text = "there is no tracer of this name, and tracers in JavaScript are switched off";
            Err(TraceError::Tracer(text.to_owned()))
        }
        Some(tracer) => {
            let mut tracing = tracing.clone();
            if tracer.as_str() == GethDebugTracerType::from(GethDebugBuiltInTracerType::MuxTracer).as_str() {
                complete_mux(&mut tracing.tracer_config.0);
            }
            DebugInspector::new(tracing).map(Either::Right).map_err(|error| explain(&error))
        }
    }
}

/// go-ethereum lets every tracer in a `muxTracer` have a configuration or `null`; the library wants the one or the other.
fn complete_mux(config: &mut Value) {
    for (name, config) in config.as_object_mut().into_iter().flatten() {
        match name.as_str() {
            "4byteTracer" | "noopTracer" => *config = Value::Null,
            _ if config.is_null() => *config = Value::Object(serde_json::Map::new()),
            _ => {}
        }
    }
}

/// The trace of a transaction or call.
pub(crate) fn finish(
    traced: Traced<'_, '_, GethTracer>,
    place: Option<TransactionContext>,
    environment: &TxEnv,
    options: &TraceOptions,
) -> Result<Box<RawValue>, TraceError> {
    let Traced { tracer, meter, result, state, block, logs_before, has_state_gas, .. } = traced;
    if tracer.keeps_stack() {
        meter.take_back();
    }
    let max = meter.bytes_left();
    let has_parity_errors = options.tracing.tracer_config.0["convertParityErrors"] == true;
    let inspector = match tracer {
        Either::Left(logger) => {
            let text = logger.json(&result.result, has_state_gas);
            return RawValue::from_string(text).map_err(|error| TraceError::Internal(error.to_string()));
        }
        Either::Right(inspector) => inspector,
    };
    let mut trace = inspector.get_result(place, environment, block, result, state).map_err(|error| explain(&error))?;
    shift_logs(&mut trace, logs_before as u64);
    if let (DebugInspector::CallTracer(_, config), GethTrace::CallTracer(frame)) = (&*inspector, &mut trace)
        && config.only_top_call.unwrap_or_default()
    {
        // Logs stand between the calls that are shown.
        frame.logs.iter_mut().for_each(|log| log.position = Some(0));
    }
    let json = match trace {
        GethTrace::CallTracer(frame) => to_bounded_json(&TopFrame::from(frame), max)?,
        GethTrace::FlatCallTracer(traces) => to_bounded_json(&flat_calls(traces, has_parity_errors)?, max)?,
        trace => to_bounded_json(&trace, max)?,
    };
    if !matches!(inspector, DebugInspector::CallTracer(..) | DebugInspector::FlatCallTracer(..)) {
        meter.grow(json.get().len());
    }
    Ok(json)
}

/// The frame of a transaction, with go-ethereum's name for what alloy calls `executionGasUsed`.
#[derive(Serialize)]
struct TopFrame {
    #[serde(flatten)]
    frame: CallFrame,
    #[serde(rename = "regularGasUsed", skip_serializing_if = "Option::is_none")]
    regular_gas_used: Option<U256>,
}

impl From<CallFrame> for TopFrame {
    fn from(mut frame: CallFrame) -> Self {
        Self { regular_gas_used: frame.execution_gas_used.take(), frame }
    }
}

/// Counts logs from the block's first one, as receipts do.
fn shift_logs(trace: &mut GethTrace, by: u64) {
    match trace {
        GethTrace::CallTracer(frame) => shift_logs_of(frame, by),
        GethTrace::MuxTracer(traces) => traces.0.values_mut().for_each(|trace| shift_logs(trace, by)),
        _ => {}
    }
}

fn shift_logs_of(frame: &mut CallFrame, by: u64) {
    for log in &mut frame.logs {
        log.index = log.index.map(|index| index + by);
    }
    frame.calls.iter_mut().for_each(|call| shift_logs_of(call, by));
}

fn explain<E: Display>(error: &DebugInspectorError<E>) -> TraceError {
    match error {
        DebugInspectorError::Database(error) => TraceError::Internal(error.to_string()),
        error => TraceError::Tracer(error.to_string()),
    }
}

impl Tracer for DebugInspector {
    fn step_bytes(&self) -> usize {
        if let Self::Erc7562Tracer(inspector, _) = self { inspector.step_bytes() } else { 0 }
    }

    fn size(&self) -> usize {
        if let Self::Erc7562Tracer(inspector, _) = self { inspector.size() } else { 0 }
    }

    fn keeps_stack(&self) -> bool {
        matches!(self, Self::Erc7562Tracer(..))
    }

    fn ticks(&self) -> u32 {
        if matches!(self, Self::Js(_)) { u32::MAX } else { 1 }
    }
}

impl<L: Tracer, R: Tracer> Tracer for Either<L, R> {
    fn step_bytes(&self) -> usize {
        either(self, L::step_bytes, R::step_bytes)
    }

    fn size(&self) -> usize {
        either(self, L::size, R::size)
    }

    fn keeps_stack(&self) -> bool {
        either(self, L::keeps_stack, R::keeps_stack)
    }

    fn ticks(&self) -> u32 {
        either(self, L::ticks, R::ticks)
    }
}

fn either<L, R, T>(either: &Either<L, R>, left: impl FnOnce(&L) -> T, right: impl FnOnce(&R) -> T) -> T {
    match either {
        Either::Left(tracer) => left(tracer),
        Either::Right(tracer) => right(tracer),
    }
}
