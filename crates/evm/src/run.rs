//! One sequential run over a block: the reference that every other mode must equal.

use crate::accesses::Accesses;
use crate::database::{FirstFailure, ReaderDatabase};
use crate::gas::GasLedger;
use crate::machine::{Machine, MachineContext, MachineDatabase, MachineDatabaseError};
use crate::parallel::Results;
use crate::receipt::{TypedReceipts, with_state_root};
use crate::rules::BlockRules;
use crate::system::{REQUIRED_FROM_AMSTERDAM, REQUIRED_FROM_PRAGUE};
use crate::{
    BlockContext, ChainCall, ChainRules, ExecutionError, ExecutionOutcome, StateReader, TransactionError, changes, dao,
    deposit,
};
use alloy_consensus::transaction::TxHashRef;
use alloy_eips::{
    eip4788::SYSTEM_ADDRESS,
    eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS,
    eip7928::{BlockAccessIndex, BlockAccessList},
};
use alloy_evm::{
    Evm, EvmEnv, InvalidTxError,
    block::{BlockExecutionError, BlockExecutionResult, BlockExecutor, BlockValidationError},
    eth::{EthBlockExecutionCtx, EthBlockExecutor, spec::EthExecutorSpec},
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256};
use heddle_primitives::{Receipt, RecoveredTransaction, StateChanges};
use revm::{
    DatabaseCommit, Inspector,
    context::result::{ExecutionResult, ResultAndState},
    database::{State, bal::EvmDatabaseError, states::bundle_state::BundleRetention},
    inspector::NoOpInspector,
};
use std::borrow::Cow;

/// What a block is executed on: it records what is committed to it.
pub(crate) trait BlockState: MachineDatabase + DatabaseCommit {
    /// What is committed from now on belongs to this index of the block's access list (EIP-7928).
    fn set_index(&mut self, index: u64);
}

/// A cache over the reader that records changes in order.
pub(crate) type Recorder<'a> = State<ReaderDatabase<'a>>;

/// A block under execution: started, given transactions, finished.
pub(crate) struct BlockRun<'a, D: BlockState = Recorder<'a>, I = NoOpInspector> {
    executor: EthBlockExecutor<'a, Machine<D, I>, BlockRules<'a>, TypedReceipts>,
    rules: &'a ChainRules,
    reader: &'a dyn StateReader,
    failure: FirstFailure,
    call: Option<&'a ChainCall>,
    has_call_failed: bool,
}

/// What is left of a run when nothing more comes.
pub(crate) struct Ended<D> {
    pub(crate) result: BlockExecutionResult<Receipt>,
    pub(crate) has_call_failed: bool,
    /// What the block was executed on.
    pub(crate) state: D,
}

/// A transaction that was executed and is about to become part of the block.
pub(crate) struct Executed<'a> {
    /// How it ended.
    pub(crate) result: &'a ExecutionResult,
    /// What it read and wrote.
    pub(crate) accesses: Accesses<'a>,
}

impl<'a> BlockRun<'a> {
    /// Applies what comes before the first transaction: see [`Self::apply_start`].
    /// `is_listed`: whether the block's access list is built.
    pub(crate) fn start(
        rules: &'a ChainRules,
        reader: &'a dyn StateReader,
        context: &BlockContext<'a>,
        transaction_count_hint: usize,
        is_listed: bool,
    ) -> Result<Self, ExecutionError> {
        let mut run = Self::open(rules, reader, context, transaction_count_hint, is_listed);
        run.apply_start()?;
        Ok(run)
    }

    /// Prepares to run transactions under a block's header, and nothing else of the block.
    pub(crate) fn open(
        rules: &'a ChainRules,
        reader: &'a dyn StateReader,
        context: &BlockContext<'a>,
        transaction_count_hint: usize,
        is_listed: bool,
    ) -> Self {
        let database = ReaderDatabase::new(reader);
        let failure = database.failure();
        let state = database.into_recorder(is_listed);
        Self::over(rules, reader, context, transaction_count_hint, state, failure)
    }
}

impl<'a, I: Inspector<MachineContext<Recorder<'a>>>> BlockRun<'a, Recorder<'a>, I> {
    /// As [`BlockRun::open`], with an inspector that sees the transactions.
    pub(crate) fn inspected(
        rules: &'a ChainRules,
        reader: &'a dyn StateReader,
        context: &BlockContext<'a>,
        transaction_count_hint: usize,
        inspector: I,
    ) -> Self {
        let database = ReaderDatabase::new(reader);
        let failure = database.failure();
        let machine = machine(rules, context, database.into_recorder(false)).inspected_by(inspector);
        Self::by(machine, rules, reader, context, transaction_count_hint, failure)
    }

    /// Applies what comes before the first transaction: the DAO fork's moves, or the calls of [`Self::begin`].
    pub(crate) fn apply_start(&mut self) -> Result<(), ExecutionError> {
        let evm = &mut self.executor.evm;
        if self.rules.is_dao_fork_at(evm.block().number.saturating_to()) {
            dao::move_balances(evm.db_mut()).map_err(into_state_error)?;
        }
        self.begin()
    }

    /// Replaces the last receipt's status by the state root after its transaction, as blocks before Byzantium have it.
    pub(crate) fn seal_receipt(&mut self) -> Result<(), ExecutionError> {
        let number = self.executor.evm.block().number.saturating_to();
        if self.executor.spec.is_byzantium_active_at_block(number) {
            return Ok(());
        }
        let root = self.root()?;
        let receipts = &mut self.executor.receipts;
        let sealed = receipts.pop().map(|receipt| with_state_root(receipt, root));
        receipts.extend(sealed);
        Ok(())
    }

    /// The root of the state after the transactions so far.
    pub(crate) fn root(&mut self) -> Result<B256, ExecutionError> {
        let state = self.executor.evm.db_mut();
        state.merge_transitions(BundleRetention::PlainState);
        Ok(self.reader.root_with(&changes::state_changes(&state.bundle_state))?)
    }

    /// Applies what comes after the last transaction: requests, rewards, withdrawals.
    pub(crate) fn finish(self) -> Result<ExecutionOutcome, ExecutionError> {
        let Ended { result, has_call_failed, mut state } = self.end()?;
        let (changes, access_list) = settle(&mut state);
        Ok(outcome(result, has_call_failed, changes, access_list))
    }

    /// Ends the run as it stands: the receipts and changes of the transactions alone.
    pub(crate) fn stop(self) -> (Vec<Receipt>, StateChanges) {
        (self.executor.receipts, settle(&mut self.executor.evm.finish().0).0)
    }
}

impl<'a, D: BlockState> BlockRun<'a, D> {
    /// Prepares to run a block on `state`, whose reader notes its first failure.
    pub(crate) fn over(
        rules: &'a ChainRules,
        reader: &'a dyn StateReader,
        context: &BlockContext<'a>,
        transaction_count_hint: usize,
        state: D,
        failure: FirstFailure,
    ) -> Self {
        let machine = machine(rules, context, state);
        Self::by(machine, rules, reader, context, transaction_count_hint, failure)
    }
}

impl<'a, D: BlockState, I: Inspector<MachineContext<D>>> BlockRun<'a, D, I> {
    /// Prepares to run a block by the given machine.
    fn by(
        machine: Machine<D, I>,
        rules: &'a ChainRules,
        reader: &'a dyn StateReader,
        context: &BlockContext<'a>,
        transaction_count_hint: usize,
        failure: FirstFailure,
    ) -> Self {
        let header = context.header;
        let executor_context = EthBlockExecutionCtx {
            parent_hash: header.parent_hash,
            parent_beacon_block_root: header.parent_beacon_block_root,
            ommers: context.ommers,
            withdrawals: Some(Cow::Borrowed(context.withdrawals)),
            extra_data: header.extra_data.clone(),
            tx_count_hint: Some(transaction_count_hint),
            slot_number: header.slot_number,
        };
        let executor = EthBlockExecutor::new(machine, executor_context, rules.at(header), TypedReceipts);
        Self { executor, rules, reader, failure, call: context.call, has_call_failed: false }
    }

    /// Makes the calls that come before the first transaction: those of EIP-2935 and EIP-4788, and the chain's own.
    pub(crate) fn begin(&mut self) -> Result<(), ExecutionError> {
        self.executor.apply_pre_execution_changes().map_err(|error| blame(&self.failure, error))?;
        let Some(ChainCall { to, data }) = self.call else { return Ok(()) };
        let evm = &mut self.executor.evm;
        let called = evm.transact_system_call(SYSTEM_ADDRESS, *to, data.clone());
        let called = called.map_err(|error| blame(&self.failure, BlockExecutionError::other(error)))?;
        self.has_call_failed = !called.result.is_success();
        // What a failed call looked at was looked at, as with a transaction; it has written nothing.
        evm.db_mut().commit(called.state);
        Ok(())
    }

    /// Executes one more transaction. A failing one leaves no trace and the run may go on.
    pub(crate) fn transact(&mut self, transaction: &RecoveredTransaction) -> Result<(), BlockExecutionError> {
        self.transact_and(transaction, |_| ())
    }

    /// As [`Self::transact`], and shows what the execution did before that becomes part of the block.
    pub(crate) fn transact_and(
        &mut self,
        transaction: &RecoveredTransaction,
        inspect: impl FnOnce(&Executed<'_>),
    ) -> Result<(), BlockExecutionError> {
        self.transact_on(transaction, |machine, done| {
            inspect(&Executed {
                result: &done.result,
                accesses: Accesses {
                    transaction,
                    state: &done.state,
                    fee_recipient: machine.block().beneficiary,
                    is_fee_recipient_met: machine.is_fee_recipient_met(),
                    are_new_accounts_charged: machine.cfg_env().enable_amsterdam_eip8037,
                },
            });
        })
    }

    /// As [`Self::transact`], and shows the machine, and what the execution did before that becomes part of the block.
    pub(crate) fn transact_on<T>(
        &mut self,
        transaction: &RecoveredTransaction,
        look: impl FnOnce(&mut Machine<D, I>, &ResultAndState) -> T,
    ) -> Result<T, BlockExecutionError> {
        let index = self.executor.receipts.len() as u64 + 1;
        self.executor.evm.db_mut().set_index(index);
        let done = self.executor.execute_transaction_without_commit(transaction)?;
        let seen = look(&mut self.executor.evm, &done.result);
        self.executor.commit_transaction(done);
        Ok(seen)
    }

    /// Takes over transactions that were executed elsewhere.
    pub(crate) fn adopt(&mut self, results: Results) {
        self.executor.receipts.extend(results.receipts);
        self.executor.cumulative_tx_gas_used = results.gas.cumulative;
        self.executor.block_regular_gas_used = results.gas.regular;
        self.executor.block_state_gas_used = results.gas.state;
        self.executor.blob_gas_used += results.blob_gas_used;
    }

    /// The receipts of the transactions so far; before Byzantium those sealed have a state root.
    pub(crate) fn receipts(&self) -> &[Receipt] {
        &self.executor.receipts
    }

    /// The machine that the block is executed by.
    pub(crate) fn machine_mut(&mut self) -> &mut Machine<D, I> {
        &mut self.executor.evm
    }

    /// How many transactions the block has so far.
    pub(crate) fn transactions(&self) -> usize {
        self.executor.receipts.len()
    }

    /// What the transactions so far used.
    pub(crate) fn gas(&self) -> GasLedger {
        let executor = &self.executor;
        let mut gas = GasLedger::new(executor.evm.block().gas_limit, executor.evm.cfg_env());
        gas.cumulative = executor.cumulative_tx_gas_used;
        gas.regular = executor.block_regular_gas_used;
        gas.state = executor.block_state_gas_used;
        gas
    }

    /// Gas that further transactions may use.
    pub(crate) fn gas_left(&self) -> u64 {
        let evm = &self.executor.evm;
        let used = if evm.cfg_env().enable_amsterdam_eip8037 {
            self.executor.max_block_gas_used()
        } else {
            self.executor.cumulative_tx_gas_used
        };
        evm.block().gas_limit.saturating_sub(used)
    }

    /// Says whose fault it is that `transaction` was not executed.
    pub(crate) fn blame(&self, transaction: &RecoveredTransaction, error: BlockExecutionError) -> ExecutionError {
        let error = match error {
            BlockExecutionError::Validation(BlockValidationError::InvalidTx { error, .. }) => {
                self.name(error, transaction)
            }
            BlockExecutionError::Validation(BlockValidationError::TransactionGasLimitMoreThanAvailableBlockGas {
                transaction_gas_limit: gas_limit,
                block_available_gas: available,
            }) => TransactionError::BlockGas { gas_limit, available },
            error => return blame(&self.failure, error),
        };
        let (index, hash) = (self.executor.receipts.len(), *transaction.tx_hash());
        ExecutionError::InvalidTransaction { index, hash, error: Box::new(error) }
    }

    fn name(&self, error: Box<dyn InvalidTxError>, transaction: &RecoveredTransaction) -> TransactionError {
        let evm = &self.executor.evm;
        let environment = EvmEnv::new(evm.cfg_env().clone(), evm.block().clone());
        match error.as_invalid_tx_err() {
            Some(error) => TransactionError::of(error, transaction, &environment),
            None => TransactionError::Other(error.to_string()),
        }
    }

    /// Applies what comes after the last transaction, and gives the state back.
    pub(crate) fn end(mut self) -> Result<Ended<D>, ExecutionError> {
        let post_execution = self.executor.receipts.len() as u64 + 1;
        self.executor.evm.db_mut().set_index(post_execution);
        self.require_system_contracts()?;
        self.check_deposits()?;
        let (failure, has_call_failed) = (self.failure, self.has_call_failed);
        let (evm, result) = self.executor.finish().map_err(|error| blame(&failure, error))?;
        Ok(Ended { result, has_call_failed, state: evm.finish().0 })
    }

    /// The state that the block is executed on.
    pub(crate) fn state_mut(&mut self) -> &mut D {
        self.executor.evm.db_mut()
    }

    fn check_deposits(&self) -> Result<(), ExecutionError> {
        let executor = &self.executor;
        if !executor.spec.is_prague_active_at_timestamp(self.timestamp()) {
            return Ok(());
        }
        let contract = executor.spec.deposit_contract_address().unwrap_or(MAINNET_DEPOSIT_CONTRACT_ADDRESS);
        Ok(deposit::check_layout(contract, &executor.receipts)?)
    }

    fn require_system_contracts(&mut self) -> Result<(), ExecutionError> {
        let (spec, timestamp) = (self.executor.spec, self.timestamp());
        if spec.is_prague_active_at_timestamp(timestamp) {
            self.require_code(REQUIRED_FROM_PRAGUE)?;
        }
        if spec.is_amsterdam_active_at_timestamp(timestamp) {
            self.require_code(REQUIRED_FROM_AMSTERDAM)?;
        }
        Ok(())
    }

    fn require_code(&mut self, addresses: [Address; 2]) -> Result<(), ExecutionError> {
        for address in addresses {
            let account = self.executor.evm.db_mut().basic(address).map_err(into_state_error)?;
            if account.is_none_or(|account| account.is_empty_code_hash()) {
                return Err(ExecutionError::MissingSystemContract(address));
            }
        }
        Ok(())
    }

    fn timestamp(&self) -> u64 {
        self.executor.evm.block().timestamp.saturating_to()
    }
}

/// A machine for a block's transactions.
fn machine<D: MachineDatabase>(rules: &ChainRules, context: &BlockContext<'_>, state: D) -> Machine<D> {
    let header = context.header;
    Machine::new(state, rules.environment(header), rules.is_constantinople_only(header))
}

/// A block's result with what it changed.
pub(crate) fn outcome(
    result: BlockExecutionResult<Receipt>,
    has_call_failed: bool,
    changes: StateChanges,
    access_list: Option<BlockAccessList>,
) -> ExecutionOutcome {
    let BlockExecutionResult { receipts, requests, gas_used, blob_gas_used } = result;
    ExecutionOutcome { receipts, changes, requests, gas_used, blob_gas_used, access_list, has_call_failed }
}

/// What was recorded, in the form that is stored: all changes, and the access list since the last time.
pub(crate) fn settle(state: &mut Recorder<'_>) -> (StateChanges, Option<BlockAccessList>) {
    state.merge_transitions(BundleRetention::PlainState);
    (changes::state_changes(&state.bundle_state), state.take_built_alloy_bal())
}

impl BlockState for Recorder<'_> {
    fn set_index(&mut self, index: u64) {
        self.set_bal_index(BlockAccessIndex::new(index));
    }
}

/// Says whose fault an error outside the transactions is.
fn blame(failure: &FirstFailure, error: BlockExecutionError) -> ExecutionError {
    if let Some(failure) = failure.get() {
        return ExecutionError::State(failure.clone());
    }
    match error {
        BlockExecutionError::Validation(error) => ExecutionError::InvalidBlock(error.to_string()),
        BlockExecutionError::Internal(error) => ExecutionError::Internal(error.to_string()),
    }
}

fn into_state_error(error: MachineDatabaseError) -> ExecutionError {
    match error {
        EvmDatabaseError::Database(error) => ExecutionError::State(error),
        EvmDatabaseError::Bal(error) => ExecutionError::Internal(error.to_string()),
    }
}
