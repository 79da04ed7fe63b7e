//! What a call may cost in gas, memory and time, and how one that takes too long is ended.

use crate::machine::{Machine, MachineContext, MachineDatabase};
use revm::{
    bytecode::opcode::{CALL, CALLCODE, CREATE, CREATE2, DELEGATECALL, JUMPDEST, STATICCALL},
    context::ContextError,
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult, InstructionResult, instructions::contract,
        interpreter::EthInterpreter,
    },
};
use std::time::Duration;

/// What one question to the EVM may cost.
#[derive(Clone, Copy)]
pub struct CallLimits<'a> {
    /// Most gas, whatever the request asks for; of all calls of a simulation together.
    pub gas: u64,
    /// Most bytes of EVM memory, of all frames together.
    pub memory: u64,
    /// Most time, of all runs together.
    pub time: Duration,
    /// How much of that time is over; this crate has no clock.
    pub elapsed: &'a (dyn Fn() -> Duration + Sync),
}

impl CallLimits<'_> {
    /// Whether the time is over.
    pub(crate) fn is_over(&self) -> bool {
        (self.elapsed)() >= self.time
    }
}

/// Looks at the time every now and then.
pub(crate) struct Watch<'a> {
    limits: CallLimits<'a>,
    ticks_left: u32,
    is_over: bool,
}

/// Ticks between two looks at the time: a jump is one tick, and it takes a few nanoseconds.
const TICKS: u32 = 1_024;
/// Ticks of a call, which may run a precompile.
const CALL_TICKS: u32 = 64;

impl<'a> Watch<'a> {
    pub(crate) fn new(limits: CallLimits<'a>) -> Self {
        Self { limits, ticks_left: 0, is_over: false }
    }

    /// Passes some ticks; whether the time is over.
    pub(crate) fn tick(&mut self, ticks: u32) -> bool {
        self.ticks_left = self.ticks_left.saturating_sub(ticks);
        if self.ticks_left == 0 {
            self.ticks_left = TICKS;
            self.is_over |= self.limits.is_over();
        }
        self.is_over
    }
}

impl<D: MachineDatabase, I> Machine<D, I> {
    /// From now on a transaction fails when the database says that the time is over. Without jumps and calls no code
    /// runs for long: only they ask. Machines that execute blocks are not watched, and pay nothing for it.
    pub(crate) fn watch(&mut self) {
        let table = self.instructions_mut().instruction_table_mut();
        table[usize::from(JUMPDEST)] = Instruction::new(jumpdest::<D>);
        table[usize::from(CALL)] = Instruction::new(call::<CALL, D>);
        table[usize::from(CALLCODE)] = Instruction::new(call::<CALLCODE, D>);
        table[usize::from(DELEGATECALL)] = Instruction::new(call::<DELEGATECALL, D>);
        table[usize::from(STATICCALL)] = Instruction::new(call::<STATICCALL, D>);
        table[usize::from(CREATE)] = Instruction::new(create::<false, D>);
        table[usize::from(CREATE2)] = Instruction::new(create::<true, D>);
    }
}

type Step<'a, D> = InstructionContext<'a, MachineContext<D>, EthInterpreter>;

fn jumpdest<D: MachineDatabase>(step: Step<'_, D>) -> InstructionExecResult {
    go_on(step.host, 1)
}

fn call<const KIND: u8, D: MachineDatabase>(step: Step<'_, D>) -> InstructionExecResult {
    go_on(step.host, CALL_TICKS)?;
    contract::call::<KIND, _, _>(step)
}

fn create<const IS_CREATE2: bool, D: MachineDatabase>(step: Step<'_, D>) -> InstructionExecResult {
    go_on(step.host, CALL_TICKS)?;
    contract::create::<IS_CREATE2, _, _>(step)
}

/// Ends the whole transaction, not only its innermost frame, when the time is over.
fn go_on<D: MachineDatabase>(host: &mut MachineContext<D>, ticks: u32) -> InstructionExecResult {
    if host.journaled_state.database.is_time_over(ticks) {
        host.error = Err(ContextError::Custom("the time is over".to_owned()));
        return Err(InstructionResult::FatalExternalError);
    }
    Ok(())
}
