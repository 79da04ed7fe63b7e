//! What one call may spend on executing blocks again.

use crate::RpcLimits;
use crate::error::MethodError;
use heddle_chain::{CallLimits, TraceBounds, TraceError};
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::{Duration, Instant};

/// The time and the bytes that a call has, from when it began to run.
pub(crate) struct TraceBudget {
    started: Instant,
    time: Duration,
    bytes: usize,
}

impl TraceBudget {
    /// What every call has.
    pub(crate) fn new(limits: &RpcLimits) -> Self {
        /// For what is around a result in an answer.
        const ENVELOPE_BYTES: usize = 1_024;
        let bytes = (limits.response_bytes as usize).saturating_sub(ENVELOPE_BYTES);
        Self { started: Instant::now(), time: limits.trace_time, bytes }
    }

    /// The same with less time, if the caller wants less.
    pub(crate) fn within(self, time: Option<Duration>) -> Self {
        Self { time: time.map_or(self.time, |time| time.min(self.time)), ..self }
    }

    /// Lets `trace` run within what is left.
    pub(crate) fn run<T>(&self, trace: impl FnOnce(TraceBounds<'_>) -> T) -> T {
        trace(TraceBounds { bytes: self.bytes, time: self.time, elapsed: &|| self.started.elapsed() })
    }

    /// Lets a call be traced within what is left, and what every call may cost; the trace's bytes come beside.
    pub(crate) fn call<T>(&self, limits: &RpcLimits, trace: impl FnOnce(&CallLimits<'_>, usize) -> T) -> T {
        let (gas, memory, time) = (limits.call_gas, limits.call_memory, self.time);
        trace(&CallLimits { gas, memory, time, elapsed: &|| self.started.elapsed() }, self.bytes)
    }

    /// A part of the answer as JSON, whose length is not left any more.
    pub(crate) fn json(&mut self, part: &impl Serialize) -> Result<Box<RawValue>, MethodError> {
        let json = heddle_chain::to_bounded_json(part, self.bytes)?;
        self.bytes = self.bytes.saturating_sub(json.get().len() + 1);
        Ok(json)
    }

    /// # Errors
    /// When the time is over.
    pub(crate) fn check(&self) -> Result<(), MethodError> {
        if self.started.elapsed() >= self.time { Err(TraceError::Timeout(self.time).into()) } else { Ok(()) }
    }
}
