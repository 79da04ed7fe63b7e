//! Transfers of ether as logs among those of contracts.

use alloy_primitives::{Address, B256, Log, LogData, U256};
use revm::{
    Inspector,
    context::{ContextTr, JournalTr},
    interpreter::{CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome},
};
use revm_inspectors::transfer::{TRANSFER_EVENT_TOPIC, TRANSFER_LOG_EMITTER};

/// Collects the logs of a transaction, with one for each transfer of ether, as ERC-20 logs transfers. What is undone
/// leaves no log. revm-inspectors' own puts them where receipts would count them, and has none for SELFDESTRUCT.
#[derive(Debug, Default)]
pub(super) struct TransferLogs {
    /// Of each frame that runs, outermost first; before the first, those of the transaction.
    frames: Vec<Vec<Log>>,
}

impl TransferLogs {
    /// The logs of the last transaction.
    pub(super) fn take(&mut self) -> Vec<Log> {
        std::mem::take(&mut self.frames).into_iter().flatten().collect()
    }

    fn push(&mut self, log: Log) {
        match self.frames.last_mut() {
            Some(frame) => frame.push(log),
            None => self.frames.push(vec![log]),
        }
    }

    fn transfer(&mut self, from: Address, to: Address, value: U256) {
        if !value.is_zero() {
            let topics = vec![TRANSFER_EVENT_TOPIC, from.into_word(), to.into_word()];
            let data = LogData::new_unchecked(topics, B256::from(value).into());
            self.push(Log { address: TRANSFER_LOG_EMITTER, data });
        }
    }

    fn begin(&mut self) {
        if self.frames.is_empty() {
            self.frames.push(Vec::new());
        }
        self.frames.push(Vec::new());
    }

    fn end(&mut self, is_kept: bool) {
        let logs = self.frames.pop().filter(|_| is_kept).unwrap_or_default();
        if let Some(outer) = self.frames.last_mut() {
            outer.extend(logs);
        }
    }
}

impl<C: ContextTr> Inspector<C> for TransferLogs {
    fn log(&mut self, _context: &mut C, log: Log) {
        self.push(log);
    }

    fn call(&mut self, _context: &mut C, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.begin();
        let to = if inputs.scheme == CallScheme::CallCode { inputs.bytecode_address } else { inputs.target_address };
        self.transfer(inputs.caller, to, inputs.transfer_value().unwrap_or_default());
        None
    }

    fn call_end(&mut self, _context: &mut C, _inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.end(outcome.result.result.is_ok());
    }

    fn create(&mut self, context: &mut C, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.begin();
        // A database that fails here fails again where it is noticed.
        if let Ok(caller) = context.journal_mut().load_account(inputs.caller()) {
            let nonce = caller.data.info.nonce;
            self.transfer(inputs.caller(), inputs.created_address(nonce), inputs.value());
        }
        None
    }

    fn create_end(&mut self, _context: &mut C, _inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        self.end(outcome.result.result.is_ok());
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        self.transfer(contract, target, value);
    }
}
