//! Running one simulated block.

use super::plan::Planned;
use super::transaction::unsigned;
use super::transfers::TransferLogs;
use super::{NumberedCall, SimulatedBlock, SimulatedCall, SimulationError, SimulationRequest, header};
use crate::call::{self, allow_anything};
use crate::database::FirstFailure;
use crate::machine::Machine;
use crate::overrides::{apply_blob_fee, apply_block_hashes, apply_state};
use crate::receipt::TypedReceipts;
use crate::rules::BlockRules;
use crate::run::{Recorder, outcome, settle};
use crate::{CallError, CallLimits, ChainRules, ExecutionOutcome, Overrides, StateReader, TransactionError};
use alloy_consensus::{BlockBody, Transaction as _};
use alloy_eips::{eip4895::Withdrawal, eip7928::BlockAccessIndex};
use alloy_evm::{
    Evm, EvmEnv, ToTxEnv,
    block::{BlockExecutionError, BlockExecutor, BlockValidationError, TxResult},
    eth::{EthBlockExecutionCtx, EthBlockExecutor, EthTxResult},
};
use alloy_primitives::{Address, TxKind};
use heddle_primitives::{Block, Header, RecoveredTransaction};
use revm::{
    Database,
    context::{TxEnv, result::HaltReason},
    state::bal::Bal,
};
use std::borrow::Cow;
use std::cmp::Ordering;

type Executor<'a> = EthBlockExecutor<'a, Machine<Recorder<'a>, TransferLogs>, BlockRules<'a>, TypedReceipts>;

/// About what a log is in JSON, without its data.
const LOG_BYTES: usize = 480;

/// Runs simulated blocks one after the other.
pub(super) struct Simulator<'a> {
    pub(super) rules: &'a ChainRules,
    pub(super) reader: &'a dyn StateReader,
    pub(super) request: &'a SimulationRequest,
    pub(super) limits: CallLimits<'a>,
    pub(super) failure: FirstFailure,
    /// For all calls to come.
    pub(super) gas_left: u64,
    /// About as much JSON as the results of all calls to come may be.
    pub(super) bytes_left: usize,
}

impl<'a> Simulator<'a> {
    /// Runs a block under a header that is not complete yet; gives the state back.
    pub(super) fn run(
        &mut self,
        mut state: Recorder<'a>,
        header: Header,
        planned: &Planned<'_>,
    ) -> Result<(Recorder<'a>, SimulatedBlock), SimulationError> {
        if self.limits.is_over() {
            return Err(CallError::Timeout(self.limits.time).into());
        }
        let is_listed = self.rules.has_access_lists(&header);
        state.bal_state.bal_builder = is_listed.then(Bal::new);
        state.set_bal_index(BlockAccessIndex::new(0));
        let nothing = Overrides::default();
        let overrides = planned.request.map_or(&nothing, |request| &request.overrides);
        let mut executor = self.executor(state, &header, overrides, planned.withdrawals())?;
        executor.apply_pre_execution_changes().map_err(|error| self.failed(error))?;
        let (mut transactions, mut calls) = (Vec::new(), Vec::new());
        for call in planned.request.iter().flat_map(|request| &request.calls) {
            let (transaction, done) = self.call(&mut executor, call)?;
            transactions.push(transaction);
            calls.push(done);
        }
        executor.evm.db_mut().set_bal_index(BlockAccessIndex::new(transactions.len() as u64 + 1));
        let (evm, result) = executor.finish().map_err(|error| self.failed(error))?;
        let mut state = evm.finish().0;
        let (changes, access_list) = settle(&mut state);
        let outcome = outcome(result, false, changes, access_list);
        let block = self.seal(header, transactions, planned.withdrawals(), outcome, calls)?;
        Ok((state, block))
    }

    fn executor(
        &self,
        mut state: Recorder<'a>,
        header: &Header,
        overrides: &Overrides,
        withdrawals: &[Withdrawal],
    ) -> Result<Executor<'a>, SimulationError> {
        let mut environment = self.rules.environment(header);
        allow_anything(&mut environment.cfg_env, &self.limits);
        environment.cfg_env.disable_nonce_check = !self.request.is_validated;
        environment.cfg_env.disable_base_fee = !self.request.is_validated;
        apply_blob_fee(&overrides.block, &mut environment.block_env);
        apply_block_hashes(&overrides.block, &mut state);
        let machine = Machine::new(state, environment, self.rules.is_constantinople_only(header));
        let mut machine = machine.inspected_by(TransferLogs::default());
        machine.set_inspector_enabled(self.request.traces_transfers);
        machine.watch();
        let (state, _, precompiles) = machine.components_mut();
        apply_state(&overrides.state, state, precompiles)?;
        let context = EthBlockExecutionCtx {
            parent_hash: header.parent_hash,
            parent_beacon_block_root: header.parent_beacon_block_root,
            ommers: &[],
            withdrawals: Some(Cow::Owned(withdrawals.into())),
            extra_data: header.extra_data.clone(),
            tx_count_hint: None,
            slot_number: header.slot_number,
        };
        Ok(EthBlockExecutor::new(machine, context, self.rules.at(header), TypedReceipts))
    }

    fn call(
        &mut self,
        executor: &mut Executor<'a>,
        call: &NumberedCall,
    ) -> Result<(RecoveredTransaction, SimulatedCall), SimulationError> {
        call.request.check()?;
        let sender = executor.evm.db_mut().basic(call.request.from);
        let own_nonce =
            sender.map_err(|error| CallError::Internal(error.to_string()))?.map_or(0, |account| account.nonce);
        let gas = self.gas(executor, call)?;
        let nonce = call.nonce.unwrap_or(own_nonce);
        let transaction = unsigned(&call.request, nonce, gas, self.rules.chain_id())?;
        self.check_nonce(&transaction, own_nonce)?;
        self.check_fee(&transaction, executor.evm.block().basefee)?;
        executor.evm.db_mut().set_bal_index(BlockAccessIndex::new(executor.receipts.len() as u64 + 1));
        let mut environment: TxEnv = transaction.to_tx_env();
        if !self.request.is_validated {
            // Not compared with anything, but the greatest would be refused all the same.
            environment.nonce = 0;
        }
        let executed = executor.execute_transaction_without_commit((environment, &transaction));
        let mut executed = executed.map_err(|error| self.refused(executor, &transaction, error))?;
        if own_nonce == u64::MAX {
            wrap_nonce(&mut executed, &transaction);
        }
        let result = &executed.result().result;
        let gas_peak = result.gas().total_gas_spent().max(result.gas().floor_gas());
        let mut outcome = call::outcome(result.clone());
        if self.request.traces_transfers {
            outcome.logs = executor.evm.components_mut().1.take();
        }
        self.gas_left = self.gas_left.saturating_sub(outcome.gas_used);
        let logs = outcome.logs.iter().map(|log| LOG_BYTES + 2 * log.data.data.len()).sum::<usize>();
        self.bytes_left = self.bytes_left.checked_sub(2 * outcome.output.len() + logs).ok_or_else(|| {
            CallError::Rejected("the simulation returns more than it may: simulate fewer calls".to_owned())
        })?;
        executor.commit_transaction(executed);
        Ok((transaction, SimulatedCall { outcome, gas_peak }))
    }

    /// The gas limit of a call: what it asks for, or what its block has left, and no more than all calls have left.
    fn gas(&self, executor: &Executor<'_>, call: &NumberedCall) -> Result<u64, SimulationError> {
        let (used, limit) = (executor.cumulative_tx_gas_used, executor.evm.block().gas_limit);
        let gas = call.request.gas.unwrap_or(limit.saturating_sub(used));
        let asked = used.saturating_add(gas);
        if asked > limit {
            return Err(SimulationError::BlockGas { asked, limit });
        }
        Ok(gas.min(self.gas_left))
    }

    /// A wrong nonce is what a caller is told of before anything else, as go-ethereum does.
    fn check_nonce(&self, transaction: &RecoveredTransaction, expected: u64) -> Result<(), SimulationError> {
        let got = transaction.nonce();
        let error = match got.cmp(&expected) {
            _ if !self.request.is_validated => return Ok(()),
            Ordering::Less => TransactionError::NonceTooLow { got, expected },
            Ordering::Greater => TransactionError::NonceTooHigh { got, expected },
            Ordering::Equal if got == u64::MAX => TransactionError::NonceOverflow,
            Ordering::Equal => return Ok(()),
        };
        Err(SimulationError::Transaction { error, gas: transaction.gas_limit() })
    }

    /// Without validation a call may be free, but one that offers a fee must offer enough.
    fn check_fee(&self, transaction: &RecoveredTransaction, base_fee: u64) -> Result<(), SimulationError> {
        let max_fee = transaction.max_fee_per_gas();
        let is_free = max_fee == 0 && transaction.max_priority_fee_per_gas().unwrap_or_default() == 0;
        if self.request.is_validated || is_free || max_fee >= u128::from(base_fee) {
            return Ok(());
        }
        let error = TransactionError::BaseFee { max_fee, base_fee };
        Err(SimulationError::Transaction { error, gas: transaction.gas_limit() })
    }

    fn refused(
        &self,
        executor: &Executor<'_>,
        transaction: &RecoveredTransaction,
        error: BlockExecutionError,
    ) -> SimulationError {
        let gas = transaction.gas_limit();
        match error {
            BlockExecutionError::Validation(BlockValidationError::InvalidTx { error, .. }) => {
                let evm = &executor.evm;
                let environment = EvmEnv::new(evm.cfg_env().clone(), evm.block().clone());
                let error = match error.as_invalid_tx_err() {
                    Some(error) => TransactionError::of(error, transaction, &environment),
                    None => TransactionError::Other(error.to_string()),
                };
                SimulationError::Transaction { error, gas }
            }
            BlockExecutionError::Validation(BlockValidationError::TransactionGasLimitMoreThanAvailableBlockGas {
                block_available_gas,
                ..
            }) => SimulationError::BlockGas { asked: gas, limit: block_available_gas },
            error => self.failed(error),
        }
    }

    /// Says why something else than a transaction failed.
    fn failed(&self, error: BlockExecutionError) -> SimulationError {
        SimulationError::Call(match self.failure.get() {
            Some(failure) => CallError::State(failure.clone()),
            None if self.limits.is_over() => CallError::Timeout(self.limits.time),
            None => CallError::Rejected(error.to_string()),
        })
    }

    fn seal(
        &self,
        header: Header,
        transactions: Vec<RecoveredTransaction>,
        withdrawals: &[Withdrawal],
        outcome: ExecutionOutcome,
        calls: Vec<SimulatedCall>,
    ) -> Result<SimulatedBlock, SimulationError> {
        let state_root = self.reader.root_with(&outcome.changes).map_err(CallError::State)?;
        let (transactions, senders): (Vec<_>, Vec<Address>) =
            transactions.into_iter().map(RecoveredTransaction::into_parts).unzip();
        let header = header::complete(self.rules, header, &transactions, &outcome, state_root);
        let withdrawals = header.withdrawals_root.map(|_| withdrawals.to_vec().into());
        let body = BlockBody { transactions, ommers: Vec::new(), withdrawals };
        Ok(SimulatedBlock { block: Block { header, body }, senders, receipts: outcome.receipts, calls })
    }
}

/// go-ethereum's nonces begin again at 0 where no validation stops them; revm's stay.
fn wrap_nonce<T>(executed: &mut EthTxResult<HaltReason, T>, transaction: &RecoveredTransaction) {
    let sender = executed.result.state.get_mut(transaction.signer_ref());
    if let Some(sender) = sender.filter(|_| matches!(transaction.kind(), TxKind::Call(_))) {
        sender.info.nonce = 0;
    }
}
