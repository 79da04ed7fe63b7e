//! The machine over the versioned memory: it notes what a transaction observes, and leaves the fee to the block.

use super::view::{Observed, View};
use crate::machine::{Machine, MachineError, MachineInstructions};
use alloy_evm::{EvmEnv, eth::EthEvmContext};
use alloy_primitives::{Address, U256};
use revm::{
    bytecode::opcode::{BALANCE, CALL, CALLCODE, CREATE, CREATE2, EXTCODEHASH, SELFBALANCE, SELFDESTRUCT},
    context::{Block, BlockEnv, CfgEnv, ContextTr, JournalTr, Transaction, TxEnv, result::HaltReason},
    handler::{EvmTr, FrameResult, Handler, post_execution},
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult,
        instructions::{contract, host},
        interpreter::EthInterpreter,
        interpreter_types::InputsTr,
    },
    primitives::hardfork::SpecId,
};

type ViewContext<'m> = EthEvmContext<View<'m>>;
type Context<'a, 'm> = InstructionContext<'a, ViewContext<'m>, EthInterpreter>;

/// A machine whose database learns what each transaction observes.
pub(crate) fn observing_machine<'m>(view: View<'m>, environment: EvmEnv, is_constantinople: bool) -> Machine<View<'m>> {
    let mut machine = Machine::new(view, environment, is_constantinople);
    observe(machine.instructions_mut());
    machine
}

fn observe<'m>(instructions: &mut MachineInstructions<View<'m>>) {
    let table = instructions.instruction_table_mut();
    let mut replace = |opcode: u8, instruction| table[usize::from(opcode)] = Instruction::new(instruction);
    replace(BALANCE, balance);
    replace(SELFBALANCE, self_balance);
    replace(EXTCODEHASH, code_hash);
    replace(CALL, call::<CALL>);
    replace(CALLCODE, call::<CALLCODE>);
    replace(CREATE, create::<false>);
    replace(CREATE2, create::<true>);
    replace(SELFDESTRUCT, self_destruct);
}

fn balance(context: Context<'_, '_>) -> InstructionExecResult {
    observe_operand(&mut *context.host, context.interpreter.stack.peek(0), Observed::BALANCE);
    host::balance(context)
}

fn self_balance(context: Context<'_, '_>) -> InstructionExecResult {
    let address = context.interpreter.input.target_address();
    context.host.db_mut().observe(address, Observed::BALANCE);
    host::selfbalance(context)
}

fn code_hash(context: Context<'_, '_>) -> InstructionExecResult {
    observe_operand(&mut *context.host, context.interpreter.stack.peek(0), Observed::EXISTENCE);
    host::extcodehash(context)
}

/// A call with value: whether the caller has it, and whether the callee exists, decides about the gas and the outcome.
fn call<const KIND: u8>(context: Context<'_, '_>) -> InstructionExecResult {
    let stack = &context.interpreter.stack;
    if stack.peek(2).is_ok_and(|value| !value.is_zero()) {
        let caller = context.interpreter.input.target_address();
        context.host.db_mut().observe(caller, Observed::BALANCE);
        observe_operand(&mut *context.host, context.interpreter.stack.peek(1), Observed::EXISTENCE);
    }
    contract::call::<KIND, _, _>(context)
}

fn create<const IS_CREATE2: bool>(context: Context<'_, '_>) -> InstructionExecResult {
    context.host.db_mut().observe_all();
    contract::create::<IS_CREATE2, _, _>(context)
}

fn self_destruct(context: Context<'_, '_>) -> InstructionExecResult {
    context.host.db_mut().observe_all();
    host::selfdestruct(context)
}

fn observe_operand<E>(host: &mut ViewContext<'_>, operand: Result<U256, E>, observed: Observed) {
    if let Ok(operand) = operand {
        host.db_mut().observe(Address::from_word(operand.into()), observed);
    }
}

/// Ethereum's rules, but for one: where nothing forbids it the fee recipient is not loaded, and its fee is noted for
/// the time when the transaction becomes final. So a fee is no conflict with the next transaction's.
#[derive(Default)]
pub(crate) struct FeeApart<'m>(std::marker::PhantomData<fn(&'m ())>);

impl<'m> Handler for FeeApart<'m> {
    type Evm = Machine<View<'m>>;
    type Error = MachineError;
    type HaltReason = HaltReason;

    fn reward_beneficiary(&self, evm: &mut Self::Evm, result: &mut FrameResult) -> Result<(), MachineError> {
        let context = evm.ctx_mut();
        let beneficiary = context.block().beneficiary();
        // An account that appears or disappears in this very transaction may take the fee with it.
        let is_in_flux = |account: &revm::state::Account| account.is_created() || account.is_selfdestructed();
        if context.journal_mut().evm_state().get(&beneficiary).is_some_and(is_in_flux) {
            return post_execution::reward_beneficiary(context, result.gas()).map_err(MachineError::Database);
        }
        let fee = fee(context.block(), context.cfg(), context.tx(), result);
        context.db_mut().fee = Some(fee);
        Ok(())
    }
}

/// The fee recipient's part of the price of the gas used, in wei, as revm's `reward_beneficiary` has it.
fn fee(block: &BlockEnv, config: &CfgEnv, transaction: &TxEnv, result: &FrameResult) -> U256 {
    let base_fee = u128::from(block.basefee());
    let price = transaction.effective_gas_price(base_fee);
    let tip = if config.spec.is_enabled_in(SpecId::LONDON) { price.saturating_sub(base_fee) } else { price };
    let used = result.gas().used().saturating_sub(result.gas().reservoir());
    U256::from(tip.saturating_mul(u128::from(used)))
}
