//! go-ethereum's default tracer: one entry an instruction.

use super::meter::Tracer;
use crate::call::halt_text;
use alloy_primitives::{Address, B256, U256, hex, map::HashMap};
use alloy_rpc_types_trace::geth::{GethDefaultTracingOptions, StructLog};
use revm::{
    Inspector,
    bytecode::opcode::{OpCode, SLOAD, SSTORE},
    context::{
        ContextTr, JournalTr,
        result::{ExecutionResult, HaltReason, ResultGas},
    },
    inspector::JournalExt,
    interpreter::{
        InstructionResult, Interpreter, SuccessOrHalt,
        interpreter_types::{InputsTr, Jumps, LoopControl},
    },
};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Writes its entries as JSON while the transaction runs, so that a long trace takes no more memory than its text.
pub(crate) struct StructLogger {
    options: GethDefaultTracingOptions,
    entries: String,
    count: u64,
    /// The instruction under way.
    current: Option<Current>,
    /// Refunds of the frames that are open, outermost first.
    refunds: Vec<i64>,
    /// What is known of the contracts' storage.
    storage: HashMap<Address, BTreeMap<B256, B256>>,
}

/// An instruction under way.
struct Current {
    log: StructLog,
    /// The slot that it reads or writes.
    slot: Option<(Address, U256)>,
}

impl StructLogger {
    pub(crate) fn new(options: GethDefaultTracingOptions) -> Self {
        Self {
            options,
            entries: String::new(),
            count: 0,
            current: None,
            refunds: Vec::new(),
            storage: HashMap::default(),
        }
    }

    /// The whole trace of a transaction that ended so; with EIP-8037's parts of its gas where there is state gas.
    pub(crate) fn json(&mut self, result: &ExecutionResult, has_state_gas: bool) -> String {
        let output = hex::encode_prefixed(result.output().map_or(&[][..], |output| output));
        let (gas, failed, entries) = (result.tx_gas_used(), !result.is_success(), std::mem::take(&mut self.entries));
        let parts = if has_state_gas { gas_parts(result.gas()) } else { String::new() };
        format!(r#"{{"gas":{gas},"failed":{failed},"returnValue":"{output}","structLogs":[{entries}]{parts}}}"#)
    }

    fn is_full(&self) -> bool {
        self.options.limit.is_some_and(|limit| limit != 0 && self.count >= limit)
    }

    /// The refund counter of the transaction.
    fn refund(&mut self, depth: usize, of_frame: i64) -> Option<u64> {
        self.refunds.resize(depth.saturating_sub(1), 0);
        self.refunds.push(of_frame);
        u64::try_from(self.refunds.iter().sum::<i64>()).ok().filter(|refund| *refund > 0)
    }

    fn begin<C: ContextTr<Journal: JournalExt>>(&mut self, interpreter: &Interpreter, context: &C) -> Current {
        let opcode = interpreter.bytecode.opcode();
        let stack = interpreter.stack.data();
        let depth = context.journal_ref().depth();
        let touches_slot = matches!(opcode, SLOAD | SSTORE) && self.options.is_storage_enabled();
        let slot = stack.last().filter(|_| touches_slot).map(|slot| (interpreter.input.target_address(), *slot));
        let log = StructLog {
            pc: interpreter.bytecode.pc() as u64,
            op: OpCode::new(opcode).map_or_else(|| unknown(opcode), |opcode| Cow::Borrowed(opcode.as_str())),
            gas: interpreter.gas.remaining(),
            depth: depth as u64,
            stack: self.options.is_stack_enabled().then(|| stack.clone()),
            return_data: (self.options.is_return_data_enabled() && !interpreter.return_data.0.is_empty())
                .then(|| interpreter.return_data.0.clone()),
            memory: self.options.is_memory_enabled().then(|| words(interpreter)).filter(|words| !words.is_empty()),
            refund_counter: self.refund(depth, interpreter.gas.refunded()),
            ..StructLog::default()
        };
        Current { log, slot }
    }

    fn end<C: ContextTr<Journal: JournalExt>>(&mut self, current: Current, interpreter: &mut Interpreter, context: &C) {
        let Current { mut log, slot } = current;
        log.gas_cost = log.gas.saturating_sub(interpreter.gas.remaining());
        let result = interpreter.bytecode.action().as_ref().and_then(|action| action.instruction_result());
        log.error = result.and_then(refusal);
        log.storage = slot.and_then(|(address, slot)| self.stored(address, slot, context));
        if let Ok(entry) = serde_json::to_string(&log) {
            if self.count > 0 {
                self.entries.push(',');
            }
            self.entries.push_str(&entry);
            self.count += 1;
        }
    }

    /// What is known of a contract's storage after it has read or written a slot.
    fn stored<C: ContextTr<Journal: JournalExt>>(
        &mut self,
        address: Address,
        slot: U256,
        context: &C,
    ) -> Option<BTreeMap<B256, B256>> {
        let value = context.journal_ref().evm_state().get(&address)?.storage.get(&slot)?.present_value();
        let known = self.storage.entry(address).or_default();
        known.insert(slot.into(), value.into());
        Some(known.clone())
    }
}

impl<C: ContextTr<Journal: JournalExt>> Inspector<C> for StructLogger {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        self.current = if self.is_full() { None } else { Some(self.begin(interpreter, context)) };
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        if let Some(current) = self.current.take() {
            self.end(current, interpreter, context);
        }
    }
}

impl Tracer for StructLogger {
    fn size(&self) -> usize {
        self.entries.len()
    }
}

fn gas_parts(gas: &ResultGas) -> String {
    let (regular, state, refund) = (gas.block_regular_gas_used(), gas.block_state_gas_used(), gas.final_refunded());
    format!(r#","regularGasUsed":{regular},"stateGasUsed":{state},"gasRefund":{refund}"#)
}

/// go-ethereum's name for an opcode that is none.
fn unknown(opcode: u8) -> Cow<'static, str> {
    Cow::Owned(format!("opcode {opcode:#x} not defined"))
}

/// The memory of a frame in words of 32 bytes.
fn words(interpreter: &Interpreter) -> Vec<String> {
    let memory = interpreter.memory.context_memory();
    memory.chunks(32).map(|word| hex::encode_prefixed(B256::right_padding_from(word))).collect()
}

/// Why an instruction was not even begun; those that fail later have no error of their own in go-ethereum.
fn refusal(result: InstructionResult) -> Option<String> {
    let SuccessOrHalt::<HaltReason>::Halt(reason) = result.into() else { return None };
    let is_refused = matches!(reason, HaltReason::OutOfGas(_) | HaltReason::StackUnderflow | HaltReason::StackOverflow);
    is_refused.then(|| halt_text(&reason))
}
