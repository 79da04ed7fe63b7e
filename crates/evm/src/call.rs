//! Running one message without a block: `eth_call`.

use crate::database::ReaderDatabase;
use crate::machine::{Machine, MachineContext, MachineError};
use crate::overrides::{apply_blob_fee, apply_block_hashes, apply_state};
use crate::run::Recorder;
use crate::{CallError, CallLimits, ChainRules, Overrides, StateReader};
use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_evm::Evm;
use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256};
use heddle_primitives::Header;
use revm::{
    Database, Inspector,
    context::{
        BlockEnv, CfgEnv, TxEnv,
        either::Either,
        result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction, OutOfGasError, ResultAndState},
    },
    database::bal::EvmDatabaseError,
    inspector::NoOpInspector,
    primitives::hardfork::SpecId,
};

/// A message to run as if it were a transaction, without a signature.
///
/// It has no nonce: a call runs at whatever nonce its sender has, as in go-ethereum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// The sender; the zero address unless the caller names one. It may have code.
    pub from: Address,
    /// The callee; `None` runs `data` as the init code of a new contract.
    pub to: Option<Address>,
    /// Wei to transfer; the sender must have it.
    pub value: U256,
    /// Input data or init code.
    pub data: Bytes,
    /// Gas limit; the cap when absent.
    pub gas: Option<u64>,
    /// Wei a gas; excludes the two fields below. Without any of the three the call is free.
    pub gas_price: Option<u128>,
    /// EIP-1559 fee cap, wei a gas.
    pub max_fee_per_gas: Option<u128>,
    /// EIP-1559 tip cap, wei a gas.
    pub max_priority_fee_per_gas: Option<u128>,
    /// Addresses and slots that are warm from the start (EIP-2930). Also an empty one asks for a block that knows of them.
    pub access_list: Option<AccessList>,
    /// Delegations to apply first (EIP-7702).
    pub authorization_list: Vec<SignedAuthorization>,
    /// Versioned hashes of the blobs that the message carries (EIP-4844).
    pub blob_hashes: Vec<B256>,
    /// Blob gas fee cap, wei a gas; without it blobs are free.
    pub max_fee_per_blob_gas: Option<u128>,
}

impl CallRequest {
    /// The most the caller pays a gas, in wei.
    pub(crate) fn fee_cap(&self) -> u128 {
        self.gas_price.or(self.max_fee_per_gas).unwrap_or_default()
    }

    /// Whether its sender pays nothing for gas.
    pub(crate) fn is_free(&self) -> bool {
        self.fee_cap() == 0 && self.max_priority_fee_per_gas.unwrap_or_default() == 0
    }

    fn has_blobs(&self) -> bool {
        !self.blob_hashes.is_empty()
    }

    fn are_blobs_free(&self) -> bool {
        self.has_blobs() && self.max_fee_per_blob_gas.unwrap_or_default() == 0
    }

    pub(crate) fn check(&self) -> Result<(), CallError> {
        let is_eip1559 = self.max_fee_per_gas.is_some() || self.max_priority_fee_per_gas.is_some();
        if self.gas_price.is_some() && is_eip1559 {
            let text = "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified";
            return Err(CallError::Rejected(text.to_owned()));
        }
        Ok(())
    }

    /// What the block's fork does not know is refused, also where it would change nothing.
    pub(crate) fn check_fork(&self, fork: SpecId) -> Result<(), CallError> {
        let has_eip1559_fees = self.max_fee_per_gas.or(self.max_priority_fee_per_gas).is_some();
        if has_eip1559_fees && !fork.is_enabled_in(SpecId::LONDON) {
            let text = "maxFeePerGas and maxPriorityFeePerGas are not valid before London is active";
            return Err(CallError::Rejected(text.to_owned()));
        }
        let types = [
            ("access list", SpecId::BERLIN, self.access_list.is_some()),
            ("blob", SpecId::CANCUN, self.has_blobs() || self.max_fee_per_blob_gas.is_some()),
            ("setcode", SpecId::PRAGUE, !self.authorization_list.is_empty()),
        ];
        match types.into_iter().find(|(_, since, is_meant)| *is_meant && !fork.is_enabled_in(*since)) {
            None => Ok(()),
            Some((name, ..)) => {
                let text = format!("transaction type not supported: {name} tx (sender {})", self.from);
                Err(CallError::Rejected(text))
            }
        }
    }

    fn transaction(&self, chain_id: u64) -> Result<TxEnv, CallError> {
        let mut transaction = TxEnv {
            caller: self.from,
            kind: self.to.map_or(TxKind::Create, TxKind::Call),
            value: self.value,
            data: self.data.clone(),
            gas_price: self.fee_cap(),
            gas_priority_fee: self
                .max_fee_per_gas
                .or(self.max_priority_fee_per_gas)
                .map(|_| self.max_priority_fee_per_gas.unwrap_or_default()),
            access_list: self.access_list.clone().unwrap_or_default(),
            authorization_list: self.authorization_list.iter().cloned().map(Either::Left).collect(),
            blob_hashes: self.blob_hashes.clone(),
            max_fee_per_blob_gas: self.max_fee_per_blob_gas.filter(|_| self.has_blobs()).unwrap_or_default(),
            chain_id: Some(chain_id),
            ..TxEnv::default()
        };
        transaction.derive_tx_type().map_err(|error| CallError::Rejected(error.to_string()))?;
        Ok(transaction)
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallStatus {
    /// Returned.
    Success,
    /// Reverted; the output is the revert data.
    Revert,
    /// Stopped by the EVM, with go-ethereum's text for the reason.
    Halt(String),
}

/// What a call did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallOutcome {
    /// How it ended.
    pub status: CallStatus,
    /// Gas used after refunds.
    pub gas_used: u64,
    /// Return data, revert data, or the code of a created contract.
    pub output: Bytes,
    /// Logs of a successful call.
    pub logs: Vec<Log>,
}

/// Runs a message on the state after `header`, under its values, as `eth_call` does: the sender's nonce and code and
/// the block's gas limit do not matter, the base fee does only if the request offers a fee.
///
/// # Errors
/// When the message cannot start (balance, fees, intrinsic gas), takes too long, or on a failure of ours. A revert or
/// halt is an outcome.
pub fn call(
    rules: &ChainRules,
    reader: &dyn StateReader,
    header: &Header,
    request: &CallRequest,
    overrides: &Overrides,
    limits: &CallLimits<'_>,
) -> Result<CallOutcome, CallError> {
    let gas_limit = request.gas.unwrap_or(limits.gas).min(limits.gas);
    let mut simulation = Simulation::new(rules, reader, header, request, overrides, limits)?;
    let result = simulation.run(gas_limit).map_err(|error| simulation.explain(error))?;
    Ok(outcome(result))
}

/// One message that can be run again and again with other gas limits.
pub(crate) struct Simulation<'a, I = NoOpInspector> {
    evm: Machine<Recorder<'a>, I>,
    transaction: TxEnv,
    limits: CallLimits<'a>,
}

impl<'a> Simulation<'a> {
    pub(crate) fn new(
        rules: &ChainRules,
        reader: &'a dyn StateReader,
        header: &Header,
        request: &CallRequest,
        overrides: &Overrides,
        limits: &CallLimits<'a>,
    ) -> Result<Self, CallError> {
        let state = ReaderDatabase::new(reader).watched(*limits).into_cache();
        Self::on(state, rules, header, request, overrides, limits)
    }

    /// As [`Self::new`], on what other messages may have changed.
    pub(crate) fn on(
        mut state: Recorder<'a>,
        rules: &ChainRules,
        header: &Header,
        request: &CallRequest,
        overrides: &Overrides,
        limits: &CallLimits<'a>,
    ) -> Result<Self, CallError> {
        request.check()?;
        let header = &overrides.header(rules, header)?;
        let mut environment = rules.environment(header);
        request.check_fork(environment.cfg_env.spec)?;
        allow_anything(&mut environment.cfg_env, limits);
        let block = &mut environment.block_env;
        apply_blob_fee(&overrides.block, block);
        if request.is_free() {
            // A free message under a base fee would burn what nobody paid.
            block.basefee = 0;
        }
        if let Some(blob) = block.blob_excess_gas_and_price.as_mut().filter(|_| request.are_blobs_free()) {
            blob.blob_gasprice = 0;
        }
        apply_block_hashes(&overrides.block, &mut state);
        let mut evm = Machine::new(state, environment, rules.is_constantinople_only(header));
        evm.watch();
        let (state, _, precompiles) = evm.components_mut();
        apply_state(&overrides.state, state, precompiles)?;
        Ok(Self { evm, transaction: request.transaction(rules.chain_id())?, limits: *limits })
    }

    /// The same message under an inspector.
    pub(crate) fn inspected_by<I>(self, inspector: I) -> Simulation<'a, I> {
        let Self { evm, transaction, limits } = self;
        Simulation { evm: evm.inspected_by(inspector), transaction, limits }
    }
}

impl<'a, I: Inspector<MachineContext<Recorder<'a>>>> Simulation<'a, I> {
    pub(crate) fn run(&mut self, gas_limit: u64) -> Result<ExecutionResult, MachineError> {
        self.run_whole(gas_limit).map(|(_, done)| done.result)
    }

    /// As [`Self::run`], and gives what was run, and what it changed.
    pub(crate) fn run_whole(&mut self, gas_limit: u64) -> Result<(TxEnv, ResultAndState), MachineError> {
        if self.limits.is_over() {
            return Err(EVMError::Custom("the time is over".to_owned()));
        }
        let transaction = TxEnv { gas_limit, ..self.transaction.clone() };
        let done = self.evm.transact_raw(transaction.clone())?;
        Ok((transaction, done))
    }

    /// The machine that runs the message.
    pub(crate) fn machine_mut(&mut self) -> &mut Machine<Recorder<'a>, I> {
        &mut self.evm
    }

    /// The state, without what the message changed.
    pub(crate) fn into_state(self) -> Recorder<'a> {
        self.evm.finish().0
    }

    /// Changes what slots and accounts are warm from the start.
    pub(crate) fn set_access_list(&mut self, access_list: AccessList) -> Result<(), CallError> {
        self.transaction.access_list = access_list;
        self.transaction.derive_tx_type().map_err(|error| CallError::Rejected(error.to_string()))
    }

    pub(crate) fn inspector_mut(&mut self) -> &mut I {
        self.evm.components_mut().1
    }

    /// The values of the block that the message runs in.
    pub(crate) fn block(&self) -> &BlockEnv {
        self.evm.block()
    }

    /// The sender's balance in wei.
    pub(crate) fn sender_balance(&mut self) -> Result<U256, CallError> {
        let account = self.evm.db_mut().basic(self.transaction.caller);
        let account = account.map_err(|error| self.explain(EVMError::Database(error)))?;
        Ok(account.map_or(U256::ZERO, |account| account.balance))
    }

    /// Whether the message is a transfer to an account without code.
    pub(crate) fn is_plain_transfer(&mut self) -> Result<bool, CallError> {
        let TxKind::Call(to) = self.transaction.kind else { return Ok(false) };
        if !self.transaction.data.is_empty() {
            return Ok(false);
        }
        let account = self.evm.db_mut().basic(to).map_err(|error| self.explain(EVMError::Database(error)))?;
        Ok(account.is_none_or(|account| account.is_empty_code_hash()))
    }

    pub(crate) fn explain(&self, error: MachineError) -> CallError {
        match error {
            EVMError::Transaction(error) => CallError::Rejected(self.rejection(error)),
            EVMError::Database(EvmDatabaseError::Database(error)) => CallError::State(error),
            EVMError::Custom(_) if self.limits.is_over() => CallError::Timeout(self.limits.time),
            error => CallError::Internal(error.to_string()),
        }
    }

    fn rejection(&self, error: InvalidTransaction) -> String {
        let from = self.transaction.caller;
        match error {
            InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
                format!("insufficient funds for gas * price + value: address {from} have {balance} want {fee}")
            }
            InvalidTransaction::GasPriceLessThanBasefee => format!(
                "max fee per gas less than block base fee: address {from}, maxFeePerGas: {}, baseFee: {}",
                self.transaction.gas_price,
                self.evm.block().basefee
            ),
            InvalidTransaction::PriorityFeeGreaterThanMaxFee => format!(
                "max priority fee per gas higher than max fee per gas: address {from}, maxPriorityFeePerGas: {}, \
                 maxFeePerGas: {}",
                self.transaction.gas_priority_fee.unwrap_or_default(),
                self.transaction.gas_price
            ),
            InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
                format!("intrinsic gas too low: have {gas_limit}, want {initial_gas}")
            }
            InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
                format!("insufficient gas for floor data gas cost: have {gas_limit}, want {gas_floor}")
            }
            InvalidTransaction::CreateInitCodeSizeLimit => "max initcode size exceeded".to_owned(),
            error => error.to_string(),
        }
    }
}

/// Lets messages run that no block could contain.
pub(crate) fn allow_anything(config: &mut CfgEnv, limits: &CallLimits<'_>) {
    config.disable_nonce_check = true;
    config.disable_eip3607 = true;
    config.disable_block_gas_limit = true;
    config.tx_gas_limit_cap = Some(u64::MAX);
    config.memory_limit = limits.memory;
}

pub(crate) fn outcome(result: ExecutionResult) -> CallOutcome {
    let gas_used = result.tx_gas_used();
    match result {
        ExecutionResult::Success { logs, output, .. } => {
            CallOutcome { status: CallStatus::Success, gas_used, output: output.into_data(), logs }
        }
        ExecutionResult::Revert { output, .. } => {
            CallOutcome { status: CallStatus::Revert, gas_used, output, logs: Vec::new() }
        }
        ExecutionResult::Halt { reason, .. } => CallOutcome {
            status: CallStatus::Halt(halt_text(&reason)),
            gas_used,
            output: Bytes::new(),
            logs: Vec::new(),
        },
    }
}

/// go-ethereum's text for a halt.
pub(crate) fn halt_text(reason: &HaltReason) -> String {
    let text = match reason {
        HaltReason::OutOfGas(OutOfGasError::MemoryLimit) => "memory limit reached",
        HaltReason::OutOfGas(_) => "out of gas",
        HaltReason::OpcodeNotFound | HaltReason::NotActivated => "invalid opcode",
        HaltReason::InvalidFEOpcode => "invalid opcode: INVALID",
        HaltReason::InvalidJump => "invalid jump destination",
        HaltReason::StackUnderflow => "stack underflow",
        HaltReason::StackOverflow => "stack limit reached",
        HaltReason::OutOfOffset => "return data out of bounds",
        HaltReason::CreateCollision => "contract address collision",
        HaltReason::NonceOverflow => "nonce uint64 overflow",
        HaltReason::CreateContractSizeLimit => "max code size exceeded",
        HaltReason::CreateContractStartingWithEF => "invalid code: must not begin with 0xef",
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded",
        HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => "write protection",
        HaltReason::OutOfFunds => "insufficient balance for transfer",
        HaltReason::CallTooDeep => "max call depth exceeded",
        other => return other.to_string(),
    };
    text.to_owned()
}
