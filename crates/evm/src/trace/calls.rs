//! Tracing messages that are no transactions.

use super::TraceError;
use super::geth::{self, TraceOptions};
use super::meter::{Metered, TraceBounds, Tracer};
use super::parity;
use super::replay::Traced;
use crate::call::Simulation;
use crate::database::ReaderDatabase;
use crate::machine::MachineContext;
use crate::run::Recorder;
use crate::{CallLimits, CallRequest, ChainRules, Overrides, StateReader};
use alloy_primitives::map::HashSet;
use alloy_rpc_types_trace::parity::{TraceResults, TraceType};
use heddle_primitives::Header;
use revm::{DatabaseCommit, Inspector, context::TxEnv, state::EvmState};
use serde_json::value::RawValue;

/// Where messages are traced: on the state after a block, under its values, as `eth_call` runs them.
#[derive(Clone, Copy)]
pub struct TracedCalls<'a> {
    /// The chain's rules.
    pub rules: &'a ChainRules,
    /// The state after the block.
    pub reader: &'a dyn StateReader,
    /// The block's header.
    pub header: &'a Header,
    /// What the messages may cost: each its gas, all of them the time.
    pub limits: CallLimits<'a>,
}

/// The trace of a message by one of go-ethereum's tracers, as JSON of at most `bytes`. A revert is a trace.
///
/// # Errors
/// When the message cannot start, the tracer is unknown or fails, or a bound is passed.
pub fn trace_call_geth(
    calls: &TracedCalls<'_>,
    request: &CallRequest,
    overrides: &Overrides,
    options: &TraceOptions,
    bytes: usize,
) -> Result<Box<RawValue>, TraceError> {
    let finish = |traced: Traced<'_, '_, _>, environment: &TxEnv| geth::finish(traced, None, environment, options);
    Ok(calls.run(calls.state(), request, overrides, geth::tracer(options)?, bytes, finish)?.trace)
}

/// The trace of a message in the parts that are asked for, of at most about `bytes` in JSON.
///
/// # Errors
/// When the message cannot start, or a bound is passed.
pub fn trace_call_parity(
    calls: &TracedCalls<'_>,
    request: &CallRequest,
    overrides: &Overrides,
    parts: &HashSet<TraceType>,
    bytes: usize,
) -> Result<TraceResults, TraceError> {
    let finish = |traced: Traced<'_, '_, _>, _: &TxEnv| parity::finish(traced, parts);
    Ok(calls.run(calls.state(), request, overrides, parity::tracer(parts), bytes, finish)?.trace)
}

/// As [`trace_call_parity`], of messages that each run on what the ones before it left; the bound is on all their traces.
///
/// # Errors
/// There is no trace unless there are all: see [`trace_call_parity`].
pub fn trace_calls_parity(
    calls: &TracedCalls<'_>,
    requests: &[(CallRequest, HashSet<TraceType>)],
    mut bytes: usize,
) -> Result<Vec<TraceResults>, TraceError> {
    let mut traces = Vec::new();
    let (mut state, overrides) = (calls.state(), Overrides::default());
    for (request, parts) in requests {
        let finish = |traced: Traced<'_, '_, _>, _: &TxEnv| parity::finish(traced, parts);
        let done = calls.run(state, request, &overrides, parity::tracer(parts), bytes, finish)?;
        traces.push(done.trace);
        (state, bytes) = (done.state, done.bytes_left);
        state.commit(done.changes);
    }
    Ok(traces)
}

/// What a traced message leaves.
struct Done<'a, R> {
    trace: R,
    /// As it was before the message.
    state: Recorder<'a>,
    changes: EvmState,
    bytes_left: usize,
}

impl<'a> TracedCalls<'a> {
    fn state(&self) -> Recorder<'a> {
        ReaderDatabase::new(self.reader).watched(self.limits).into_cache()
    }

    fn run<T, R>(
        &self,
        state: Recorder<'a>,
        request: &CallRequest,
        overrides: &Overrides,
        tracer: T,
        bytes: usize,
        finish: impl FnOnce(Traced<'_, 'a, T>, &TxEnv) -> Result<R, TraceError>,
    ) -> Result<Done<'a, R>, TraceError>
    where
        T: Tracer + Inspector<MachineContext<Recorder<'a>>>,
    {
        let Self { rules, header, limits, .. } = *self;
        let bounds = TraceBounds { bytes, time: limits.time, elapsed: limits.elapsed };
        let simulation = Simulation::on(state, rules, header, request, overrides, &limits)?;
        let mut simulation = simulation.inspected_by(Metered::new(tracer, bounds));
        let done = simulation.run_whole(request.gas.unwrap_or(limits.gas).min(limits.gas));
        let meter = &mut simulation.inspector_mut().meter;
        meter.tick(u32::MAX);
        meter.check()?;
        let (environment, result) = done.map_err(|error| simulation.explain(error))?;
        let trace = Traced::of(simulation.machine_mut(), &result, 0, |traced| finish(traced, &environment))?;
        let bytes_left = simulation.inspector_mut().meter.bytes_left();
        Ok(Done { trace, state: simulation.into_state(), changes: result.state, bytes_left })
    }
}
