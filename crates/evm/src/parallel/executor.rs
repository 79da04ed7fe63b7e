//! One thread's machine, which executes transactions on the versioned memory.

use super::machine::{FeeApart, observing_machine};
use super::memory::Memory;
use super::record::{Ending, Record};
use super::view::{Assumptions, Interruption, View};
use crate::ChainRules;
use crate::database::FirstFailure;
use crate::machine::Machine;
use crate::observer::{Observer, Step};
use alloy_consensus::{Eip658Value, Receipt as ReceiptBody, Transaction as _, TxReceipt};
use alloy_evm::{EvmEnv, FromRecoveredTx};
use alloy_primitives::U256;
use heddle_primitives::{Header, RecoveredTransaction};
use revm::context::{Transaction as _, TxEnv, result::ExecutionResult};
use revm::primitives::hardfork::SpecId;

/// A block as all its threads know it.
pub(crate) struct Block<'b> {
    pub(crate) memory: &'b Memory<'b>,
    pub(crate) transactions: &'b [RecoveredTransaction],
    /// The index in the block's access list (EIP-7928) of the first of them: 0 is what comes before all transactions.
    pub(crate) first_index: u32,
    pub(crate) environment: EvmEnv,
    pub(crate) is_constantinople: bool,
    pub(crate) failure: FirstFailure,
    pub(crate) observer: &'b dyn Observer,
}

impl<'b> Block<'b> {
    /// The first transactions of a block.
    pub(crate) fn new(
        rules: &ChainRules,
        header: &Header,
        transactions: &'b [RecoveredTransaction],
        memory: &'b Memory<'b>,
        failure: &FirstFailure,
        observer: &'b dyn Observer,
    ) -> Self {
        Self {
            memory,
            transactions,
            first_index: 1,
            environment: rules.environment(header),
            is_constantinople: rules.is_constantinople_only(header),
            failure: failure.clone(),
            observer,
        }
    }

    /// A transaction's index in the block's access list.
    pub(crate) fn index(&self, transaction: usize) -> u32 {
        self.first_index + transaction as u32
    }

    /// The transaction at an index of the block's access list.
    pub(crate) fn transaction_at(&self, index: u32) -> usize {
        index.saturating_sub(self.first_index) as usize
    }
}

/// One thread's way to execute a block's transactions, one at a time: the machine's, or a toy's in the models of the
/// threads' work.
pub(crate) trait Execute<'b> {
    /// Runs a transaction on what the memory has before it, or on what is assumed.
    fn execute(&mut self, transaction: usize, assumptions: Assumptions<'b>) -> Try;

    /// Tells the observer.
    fn tell(&self, step: Step, transaction: usize);
}

/// Executes a block's transactions with the machine.
pub(crate) struct Executor<'b> {
    number: usize,
    block: &'b Block<'b>,
    machine: Machine<View<'b>>,
    /// Whether what is observed of an account is not told apart: there are rules that our instructions do not know.
    is_strict: bool,
}

/// How a try to execute a transaction ended.
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one, and none is kept")]
pub(crate) enum Try {
    Done(Record),
    Interrupted(Interruption),
    /// It is invalid on the state that it saw, or the state could not be read.
    Failed,
}

impl<'b> Executor<'b> {
    /// The machine of thread `number`.
    pub(crate) fn new(number: usize, block: &'b Block<'b>) -> Self {
        let view = View::new(block.memory, block.failure.clone());
        let is_strict = block.environment.cfg_env.spec.is_enabled_in(SpecId::AMSTERDAM);
        let machine = observing_machine(view, block.environment.clone(), block.is_constantinople);
        Self { number, block, machine, is_strict }
    }
}

impl<'b> Execute<'b> for Executor<'b> {
    fn execute(&mut self, transaction: usize, assumptions: Assumptions<'b>) -> Try {
        self.tell(Step::Execute, transaction);
        let recovered = &self.block.transactions[transaction];
        let environment = TxEnv::from_recovered_tx(recovered.inner(), recovered.signer());
        let payer = (recovered.signer(), environment.max_balance_spending().unwrap_or(U256::MAX));
        let is_strict = self.is_strict || recovered.is_create() || recovered.is_eip7702();
        self.machine.database_mut().turn_to(self.block.index(transaction), assumptions, is_strict);
        self.machine.run_by(&mut FeeApart::default(), environment, |result, state, view| match result {
            Ok(result) => match Record::collect(view, state, payer, ending(result)) {
                Ok(record) => Try::Done(record),
                Err(_) => Try::Failed,
            },
            Err(_) => view.interruption().map_or(Try::Failed, Try::Interrupted),
        })
    }

    fn tell(&self, step: Step, transaction: usize) {
        self.block.observer.step(self.number, step, transaction);
    }
}

fn ending(result: ExecutionResult) -> Ending {
    let gas = *result.gas();
    let status = Eip658Value::Eip658(result.is_success());
    let receipt = ReceiptBody { status, cumulative_gas_used: 0, logs: result.into_logs() };
    Ending { gas, receipt: Some(receipt.into_with_bloom()) }
}
