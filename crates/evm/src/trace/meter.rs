//! Bounds on a trace, and the inspector that keeps to them.

use super::TraceError;
use revm::{
    Inspector,
    context::{ContextError, ContextTr, JournalTr},
    handler::FrameResult,
    inspector::JournalExt,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, FrameInput, Interpreter, interpreter_types::LoopControl,
    },
    primitives::{Address, Log, U256},
};
use std::time::Duration;

/// What one request for traces may cost.
#[derive(Clone, Copy)]
pub struct TraceBounds<'a> {
    /// Most bytes of the answer; counted while it grows, for some tracers by an estimate.
    pub bytes: usize,
    /// Most time.
    pub time: Duration,
    /// How much of that time is over; this crate has no clock.
    pub elapsed: &'a (dyn Fn() -> Duration + Sync),
}

/// How much of its bounds a request has used.
pub(crate) struct Meter<'a> {
    bounds: TraceBounds<'a>,
    bytes: usize,
    /// Before the transaction under way.
    bytes_before: usize,
    ticks_left: u32,
    is_late: bool,
}

/// Ticks between two looks at the time; an instruction is one tick.
const TICKS: u32 = 1_024;

impl<'a> Meter<'a> {
    pub(crate) fn new(bounds: TraceBounds<'a>) -> Self {
        Self { bounds, bytes: 0, bytes_before: 0, ticks_left: TICKS, is_late: false }
    }

    /// Counts bytes that the answer will have.
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Takes back what the transaction under way has counted, which was its tracer's memory and is no part of the answer.
    pub(crate) fn take_back(&mut self) {
        self.bytes = self.bytes_before;
    }

    /// Bytes that the answer may still grow by.
    pub(crate) fn bytes_left(&self) -> usize {
        self.bounds.bytes.saturating_sub(self.bytes)
    }

    /// Passes some ticks, and looks at the time now and then.
    pub(crate) fn tick(&mut self, ticks: u32) {
        self.ticks_left = self.ticks_left.saturating_sub(ticks);
        if self.ticks_left == 0 {
            self.ticks_left = TICKS;
            self.is_late |= (self.bounds.elapsed)() >= self.bounds.time;
        }
    }

    /// # Errors
    /// When a bound is passed.
    pub(crate) fn check(&self) -> Result<(), TraceError> {
        if self.is_late {
            return Err(TraceError::Timeout(self.bounds.time));
        }
        if self.bytes > self.bounds.bytes {
            return Err(TraceError::TooLarge(self.bounds.bytes));
        }
        Ok(())
    }
}

/// An inspector whose trace can be measured.
pub(crate) trait Tracer {
    /// Bytes that the trace grows by with every instruction, beyond what [`Self::size`] says.
    fn step_bytes(&self) -> usize {
        0
    }

    /// Bytes of the trace so far, beyond frames and logs, which are counted by the meter.
    fn size(&self) -> usize {
        0
    }

    /// Whether the trace shows the code of every frame.
    fn shows_code(&self) -> bool {
        false
    }

    /// Whether it keeps the stack before every instruction, beyond what [`Self::size`] says.
    fn keeps_stack(&self) -> bool {
        false
    }

    /// How long an instruction takes, in those of a bare machine.
    fn ticks(&self) -> u32 {
        1
    }
}

/// Ends a transaction whose trace passes the bounds.
pub(crate) struct Metered<'a, T> {
    pub(crate) tracer: T,
    pub(crate) meter: Meter<'a>,
    size: usize,
}

/// About what a frame is in JSON, without its data.
const FRAME_BYTES: usize = 400;
/// What its place in the tree adds for each frame around it.
const LEVEL_BYTES: usize = 12;
/// What a word of the stack takes in memory.
const WORD_BYTES: usize = 32;
/// About what a log is in JSON, without its data.
const LOG_BYTES: usize = 480;

impl<'a, T: Tracer> Metered<'a, T> {
    pub(crate) fn new(tracer: T, bounds: TraceBounds<'a>) -> Self {
        Self { tracer, meter: Meter::new(bounds), size: 0 }
    }

    /// Goes on with the next transaction.
    pub(crate) fn restart(&mut self, tracer: T) {
        (self.tracer, self.size) = (tracer, 0);
        self.meter.bytes_before = self.meter.bytes;
    }

    fn stop_when_over<C: ContextTr>(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        let size = self.tracer.size();
        self.meter.grow(size.saturating_sub(self.size));
        self.size = size;
        let Err(error) = self.meter.check() else { return };
        if context.error().is_ok() {
            *context.error() = Err(ContextError::Custom(error.to_string()));
        }
        // No code may go on, so that also a call or a return that was about to happen does not.
        interpreter.bytecode.action().take();
        interpreter.bytecode.reset_action();
        interpreter.halt_fatal();
    }

    fn note_frame(&mut self, depth: usize, data: usize) {
        self.meter.grow(FRAME_BYTES + depth * LEVEL_BYTES + 2 * data);
    }

    fn note_log(&mut self, log: &Log) {
        self.meter.grow(LOG_BYTES + 2 * log.data.data.len());
    }
}

impl<C: ContextTr<Journal: JournalExt>, T: Tracer + Inspector<C>> Inspector<C> for Metered<'_, T> {
    fn initialize_interp(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        if self.tracer.shows_code() {
            self.meter.grow(2 * interpreter.bytecode.original_byte_slice().len());
        }
        self.tracer.initialize_interp(interpreter, context);
    }

    fn step(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        self.meter.tick(self.tracer.ticks());
        if self.tracer.keeps_stack() {
            self.meter.grow(WORD_BYTES * interpreter.stack.len());
        }
        self.tracer.step(interpreter, context);
        self.stop_when_over(interpreter, context);
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        self.tracer.step_end(interpreter, context);
        self.meter.grow(self.tracer.step_bytes());
        self.stop_when_over(interpreter, context);
    }

    fn log(&mut self, context: &mut C, log: Log) {
        self.note_log(&log);
        self.tracer.log(context, log);
    }

    fn log_full(&mut self, interpreter: &mut Interpreter, context: &mut C, log: Log) {
        self.note_log(&log);
        self.tracer.log_full(interpreter, context, log);
    }

    fn frame_start(&mut self, context: &mut C, input: &mut FrameInput) -> Option<FrameResult> {
        let data = match input {
            FrameInput::Call(call) => call.input.len(),
            FrameInput::Create(create) => create.init_code().len(),
            FrameInput::Empty => 0,
        };
        self.note_frame(context.journal_ref().depth(), data);
        self.tracer.frame_start(context, input)
    }

    fn frame_end(&mut self, context: &mut C, input: &FrameInput, result: &mut FrameResult) {
        self.meter.grow(2 * result.interpreter_result().output.len());
        self.tracer.frame_end(context, input, result);
    }

    fn call(&mut self, context: &mut C, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.tracer.call(context, inputs)
    }

    fn call_end(&mut self, context: &mut C, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.tracer.call_end(context, inputs, outcome);
    }

    fn create(&mut self, context: &mut C, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.tracer.create(context, inputs)
    }

    fn create_end(&mut self, context: &mut C, inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        self.tracer.create_end(context, inputs, outcome);
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        self.meter.grow(FRAME_BYTES);
        self.tracer.selfdestruct(contract, target, value);
    }
}
