//! Running one message without a block: `eth_call`.

use crate::database::ReaderDatabase;
use crate::machine::{Machine, MachineError};
use crate::run::Recorder;
use crate::{CallError, ChainRules, StateReader};
use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_evm::Evm;
use alloy_primitives::{Address, Bytes, Log, TxKind, U256};
use heddle_primitives::Header;
use revm::{
    Database,
    context::{
        TxEnv,
        either::Either,
        result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction},
    },
    database::bal::EvmDatabaseError,
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
    /// Addresses and slots that are warm from the start (EIP-2930).
    pub access_list: AccessList,
    /// Delegations to apply first (EIP-7702).
    pub authorization_list: Vec<SignedAuthorization>,
}

impl CallRequest {
    /// The most the caller pays a gas, in wei.
    pub(crate) fn fee_cap(&self) -> u128 {
        self.gas_price.or(self.max_fee_per_gas).unwrap_or_default()
    }

    fn is_free(&self) -> bool {
        self.fee_cap() == 0 && self.max_priority_fee_per_gas.unwrap_or_default() == 0
    }

    fn check(&self) -> Result<(), CallError> {
        let is_eip1559 = self.max_fee_per_gas.is_some() || self.max_priority_fee_per_gas.is_some();
        if self.gas_price.is_some() && is_eip1559 {
            let text = "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified";
            return Err(CallError::Rejected(text.to_owned()));
        }
        Ok(())
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
            access_list: self.access_list.clone(),
            authorization_list: self.authorization_list.iter().cloned().map(Either::Left).collect(),
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
/// `gas_cap` bounds the gas whatever the request asks for.
///
/// # Errors
/// When the message cannot start (balance, fees, intrinsic gas) or on a failure of ours. A revert or halt is an outcome.
pub fn call(
    rules: &ChainRules,
    reader: &dyn StateReader,
    header: &Header,
    request: &CallRequest,
    gas_cap: u64,
) -> Result<CallOutcome, CallError> {
    let gas_limit = request.gas.unwrap_or(gas_cap).min(gas_cap);
    let mut simulation = Simulation::new(rules, reader, header, request)?;
    let result = simulation.run(gas_limit).map_err(|error| simulation.explain(error))?;
    Ok(outcome(result))
}

/// One message that can be run again and again with other gas limits.
pub(crate) struct Simulation<'a> {
    evm: Machine<Recorder<'a>>,
    transaction: TxEnv,
}

impl<'a> Simulation<'a> {
    pub(crate) fn new(
        rules: &ChainRules,
        reader: &'a dyn StateReader,
        header: &Header,
        request: &CallRequest,
    ) -> Result<Self, CallError> {
        request.check()?;
        let mut environment = rules.environment(header);
        let config = &mut environment.cfg_env;
        config.disable_nonce_check = true;
        config.disable_eip3607 = true;
        config.disable_block_gas_limit = true;
        config.tx_gas_limit_cap = Some(u64::MAX);
        if request.is_free() {
            // A free message under a base fee would burn what nobody paid.
            environment.block_env.basefee = 0;
        }
        let database = ReaderDatabase::new(reader).into_cache();
        Ok(Self {
            evm: Machine::new(database, environment, rules.is_constantinople_only(header)),
            transaction: request.transaction(rules.chain_id())?,
        })
    }

    pub(crate) fn run(&mut self, gas_limit: u64) -> Result<ExecutionResult, MachineError> {
        let transaction = TxEnv { gas_limit, ..self.transaction.clone() };
        self.evm.transact_raw(transaction).map(|done| done.result)
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
