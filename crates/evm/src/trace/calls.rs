//! Tracing messages that are no transactions.

use super::TraceError;
use super::geth::{self, TraceOptions};
use super::meter::{Metered, TraceBounds, Tracer};
use super::parity;
use super::replay::Traced;
use crate::call::Simulation;
use crate::machine::MachineContext;
use crate::run::Recorder;
use crate::{CallLimits, CallRequest, ChainRules, Overrides, StateReader};
use alloy_primitives::map::HashSet;
use alloy_rpc_types_trace::parity::{TraceResults, TraceType};
use heddle_primitives::Header;
use revm::{Inspector, context::TxEnv};
use serde_json::value::RawValue;

/// A message that is traced on the state after a block, under its values, as `eth_call` runs it.
#[derive(Clone, Copy)]
pub struct TracedCall<'a> {
    /// The chain's rules.
    pub rules: &'a ChainRules,
    /// The state after the block.
    pub reader: &'a dyn StateReader,
    /// The block's header.
    pub header: &'a Header,
    /// The message.
    pub request: &'a CallRequest,
    /// What to pretend.
    pub overrides: &'a Overrides,
    /// What the message may cost.
    pub limits: CallLimits<'a>,
}

/// The trace of a message by one of go-ethereum's tracers, as JSON of at most `bytes`. A revert is a trace.
///
/// # Errors
/// When the message cannot start, the tracer is unknown or fails, or a bound is passed.
pub fn trace_call_geth(
    call: &TracedCall<'_>,
    options: &TraceOptions,
    bytes: usize,
) -> Result<Box<RawValue>, TraceError> {
    call.run(geth::tracer(options)?, bytes, |traced, environment| geth::finish(traced, None, environment, options))
}

/// The trace of a message in the parts that are asked for, of at most about `bytes` in JSON.
///
/// # Errors
/// When the message cannot start, or a bound is passed.
pub fn trace_call_parity(
    call: &TracedCall<'_>,
    parts: &HashSet<TraceType>,
    bytes: usize,
) -> Result<TraceResults, TraceError> {
    call.run(parity::tracer(parts), bytes, |traced, _| parity::finish(traced, parts))
}

impl<'a> TracedCall<'a> {
    fn run<T, R>(
        &self,
        tracer: T,
        bytes: usize,
        finish: impl FnOnce(Traced<'_, 'a, T>, &TxEnv) -> Result<R, TraceError>,
    ) -> Result<R, TraceError>
    where
        T: Tracer + Inspector<MachineContext<Recorder<'a>>>,
    {
        let Self { rules, reader, header, request, overrides, limits } = *self;
        let bounds = TraceBounds { bytes, time: limits.time, elapsed: limits.elapsed };
        let simulation = Simulation::new(rules, reader, header, request, overrides, &limits)?;
        let mut simulation = simulation.inspected_by(Metered::new(tracer, bounds));
        let done = simulation.run_whole(request.gas.unwrap_or(limits.gas).min(limits.gas));
        let meter = &mut simulation.inspector_mut().meter;
        meter.tick(u32::MAX);
        meter.check()?;
        let (environment, result) = done.map_err(|error| simulation.explain(error))?;
        Traced::of(simulation.machine_mut(), &result, 0, |traced| finish(traced, &environment))
    }
}
