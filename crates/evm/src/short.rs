//! Calls that are over in a moment: run with little gas, and given up where they need more.
//!
//! Such a call ends as it would with all the gas that it may have. Little gas shows only to code that reads how much is left,
//! and to frames that end for want of it, among them those that run a precompile. So neither is let happen: the opcode GAS
//! may stand before a call, which takes no more than there is whatever it is told, and nowhere else; no frame may fail
//! otherwise than by a revert; and no precompile is run, nor is a contract created, which cost more time than gas.

use crate::call::{Simulation, outcome};
use crate::machine::{Machine, MachineContext, MachineDatabase};
use crate::{CallLimits, CallOutcome, CallRequest, ChainRules, Overrides, StateReader};
use alloy_evm::precompiles::PrecompilesMap;
use heddle_primitives::Header;
use revm::{
    bytecode::opcode::{CALL, CALLCODE, DELEGATECALL, GAS, STATICCALL},
    context::ContextError,
    handler::FrameResult,
    interpreter::{
        FrameInput, Instruction, InstructionContext, InstructionExecResult, InstructionResult, instructions::system,
        interpreter::EthInterpreter, interpreter_types::Jumps,
    },
};

/// Gas for such a call, its input included. What costs most time for it takes less than a millisecond.
const GAS_MAX: u64 = 100_000;
/// Longest input, in bytes: it costs gas too.
const INPUT_MAX: usize = 512;

/// As [`call`](crate::call) without overrides, if that is over in a moment. `None` says nothing about the call, not even when
/// the reader fails.
pub fn short_call(
    rules: &ChainRules,
    reader: &dyn StateReader,
    header: &Header,
    request: &CallRequest,
    limits: &CallLimits<'_>,
) -> Option<CallOutcome> {
    // Whether a sender can pay for gas depends on how much it is.
    if !request.is_free() || request.to.is_none() || request.data.len() > INPUT_MAX {
        return None;
    }
    let gas_limit = request.gas.unwrap_or(limits.gas).min(limits.gas).min(GAS_MAX);
    let mut simulation = Simulation::new(rules, reader, header, request, &Overrides::default(), limits).ok()?;
    simulation.machine_mut().shorten();
    Some(outcome(simulation.run(gas_limit).ok()?))
}

impl<D: MachineDatabase, I> Machine<D, I> {
    /// From now on a transaction fails where little gas would show.
    fn shorten(&mut self) {
        self.is_short = true;
        let table = self.instructions_mut().instruction_table_mut();
        table[usize::from(GAS)] = Instruction::new(gas::<D>);
    }
}

/// Whether a frame may begin in a short call.
pub(crate) fn may_begin(input: &FrameInput, precompiles: &PrecompilesMap) -> bool {
    match input {
        FrameInput::Call(call) => precompiles.get(&call.bytecode_address).is_none(),
        FrameInput::Create(_) | FrameInput::Empty => false,
    }
}

/// Whether a frame of a short call may end so.
pub(crate) fn may_end(result: &FrameResult) -> bool {
    result.interpreter_result().result.is_ok_or_revert()
}

/// How a call ends that is not short.
pub(crate) fn too_long<E>() -> ContextError<E> {
    ContextError::Custom("the call is not short".to_owned())
}

fn gas<D: MachineDatabase>(step: InstructionContext<'_, MachineContext<D>, EthInterpreter>) -> InstructionExecResult {
    match step.interpreter.bytecode.opcode() {
        CALL | CALLCODE | DELEGATECALL | STATICCALL => system::gas(step),
        _ => {
            step.host.error = Err(too_long());
            Err(InstructionResult::FatalExternalError)
        }
    }
}
