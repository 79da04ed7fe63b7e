//! The rules that a transaction must obey to be in a block.

use crate::ChainRules;
use alloy_consensus::{Transaction as _, transaction::SignerRecoverable};
use alloy_evm::EvmEnv;
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, U256};
use heddle_primitives::Transaction;
use revm::{context::result::InvalidTransaction, context_interface::Cfg};

/// The rule that a transaction breaks. The fault of whoever put it into a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// Nobody signed it; or, from Homestead on, its `s` is in the upper half (EIP-2).
    #[error("no valid signature")]
    Signature,
    /// Signed with a chain id before Spurious Dragon (EIP-155).
    #[error("a signature for one chain only, before EIP-155 is active")]
    ReplayProtection,
    /// Its type is of a later fork (EIP-2718).
    #[error("transaction type {0} is not active")]
    TypeNotActive(u8),
    /// Signed for another chain.
    #[error("chain id is {got}, expected {expected}")]
    ChainId {
        /// Of the transaction.
        got: u64,
        /// Of the chain.
        expected: u64,
    },
    /// A typed transaction without a chain id.
    #[error("no chain id")]
    ChainIdMissing,
    /// The nonce leaves a gap.
    #[error("nonce {got} too high, expected {expected}")]
    NonceTooHigh {
        /// Of the transaction.
        got: u64,
        /// Of the sender.
        expected: u64,
    },
    /// The nonce was used.
    #[error("nonce {got} too low, expected {expected}")]
    NonceTooLow {
        /// Of the transaction.
        got: u64,
        /// Of the sender.
        expected: u64,
    },
    /// The nonce is 2^64 - 1 (EIP-2681).
    #[error("nonce is at its maximum")]
    NonceOverflow,
    /// The sender cannot pay value, gas and blobs; wei.
    #[error("insufficient funds: have {balance}, want {cost}")]
    Funds {
        /// Of the sender.
        balance: U256,
        /// The most the transaction may cost.
        cost: U256,
    },
    /// Value, gas and blobs together are 2^256 wei or more.
    #[error("the cost overflows 256 bits")]
    CostOverflow,
    /// The sender is a contract (EIP-3607).
    #[error("the sender has code")]
    SenderCode,
    /// Offers more to the beneficiary than in all (EIP-1559); wei a gas.
    #[error("max priority fee per gas {priority_fee} is more than max fee per gas {max_fee}")]
    PriorityFee {
        /// `maxPriorityFeePerGas`.
        priority_fee: u128,
        /// `maxFeePerGas`.
        max_fee: u128,
    },
    /// Does not pay the block's base fee (EIP-1559); wei a gas.
    #[error("max fee per gas {max_fee} is less than the base fee {base_fee}")]
    BaseFee {
        /// `maxFeePerGas` or `gasPrice`.
        max_fee: u128,
        /// Of the block.
        base_fee: u64,
    },
    /// More gas than is left in the block.
    #[error("gas limit {gas_limit} is more than the {available} left in the block")]
    BlockGas {
        /// Of the transaction.
        gas_limit: u64,
        /// Left of the block's gas limit.
        available: u64,
    },
    /// More gas than any transaction may have (EIP-7825).
    #[error("gas limit {gas_limit} is more than the cap of {cap}")]
    GasLimitCap {
        /// Of the transaction.
        gas_limit: u64,
        /// Most.
        cap: u64,
    },
    /// Too little gas to start.
    #[error("gas limit {gas_limit} is less than the intrinsic gas {intrinsic}")]
    IntrinsicGas {
        /// Of the transaction.
        gas_limit: u64,
        /// Least.
        intrinsic: u64,
    },
    /// Too little gas for its data (EIP-7623).
    #[error("gas limit {gas_limit} is less than the floor gas {floor}")]
    FloorGas {
        /// Of the transaction.
        gas_limit: u64,
        /// Least.
        floor: u64,
    },
    /// Init code too long (EIP-3860).
    #[error("init code has {size} bytes, more than {max}")]
    InitCodeSize {
        /// Bytes.
        size: usize,
        /// Most.
        max: usize,
    },
    /// A blob transaction without blobs (EIP-4844).
    #[error("no blobs")]
    BlobsMissing,
    /// More blobs than a transaction may have (EIP-4844, EIP-7594).
    #[error("{count} blobs, more than {max}")]
    BlobCount {
        /// Blobs.
        count: usize,
        /// Most.
        max: usize,
    },
    /// A blob's hash is not of version 1 (EIP-4844).
    #[error("blob hash of an unknown version")]
    BlobVersion,
    /// A blob transaction that creates a contract (EIP-4844).
    #[error("blob transaction without a recipient")]
    BlobCreate,
    /// Does not pay the block's blob base fee (EIP-4844); wei a blob gas.
    #[error("max fee per blob gas {max_fee} is less than the blob base fee {base_fee}")]
    BlobFee {
        /// `maxFeePerBlobGas`.
        max_fee: u128,
        /// Of the block.
        base_fee: u128,
    },
    /// A set-code transaction without authorizations (EIP-7702).
    #[error("empty authorization list")]
    AuthorizationsMissing,
    /// Refused by the EVM for a reason that no transaction type here can have.
    #[error("{0}")]
    Other(String),
}

impl TransactionError {
    /// Names the rule that revm found broken, with the values that it does not give.
    pub(crate) fn of(error: &InvalidTransaction, transaction: &Transaction, environment: &EvmEnv) -> Self {
        use InvalidTransaction as I;
        let EvmEnv { cfg_env, block_env } = environment;
        let gas_limit = transaction.gas_limit();
        let max_fee = transaction.max_fee_per_gas();
        match *error {
            I::InvalidChainId => {
                Self::ChainId { got: transaction.chain_id().unwrap_or_default(), expected: cfg_env.chain_id }
            }
            I::MissingChainId => Self::ChainIdMissing,
            I::NonceTooHigh { tx: got, state: expected } => Self::NonceTooHigh { got, expected },
            I::NonceTooLow { tx: got, state: expected } => Self::NonceTooLow { got, expected },
            I::NonceOverflowInTransaction => Self::NonceOverflow,
            I::LackOfFundForMaxFee { ref fee, ref balance } => Self::Funds { balance: **balance, cost: **fee },
            I::OverflowPaymentInTransaction => Self::CostOverflow,
            I::RejectCallerWithCode => Self::SenderCode,
            I::PriorityFeeGreaterThanMaxFee => {
                let priority_fee = transaction.max_priority_fee_per_gas().unwrap_or_default();
                Self::PriorityFee { priority_fee, max_fee }
            }
            I::GasPriceLessThanBasefee => Self::BaseFee { max_fee, base_fee: block_env.basefee },
            I::CallerGasLimitMoreThanBlock => Self::BlockGas { gas_limit, available: block_env.gas_limit },
            I::TxGasLimitGreaterThanCap { gas_limit, cap } => Self::GasLimitCap { gas_limit, cap },
            I::CallGasCostMoreThanGasLimit { initial_gas: intrinsic, gas_limit } => {
                Self::IntrinsicGas { gas_limit, intrinsic }
            }
            I::GasFloorMoreThanGasLimit { gas_floor: floor, gas_limit } => Self::FloorGas { gas_limit, floor },
            I::CreateInitCodeSizeLimit => {
                Self::InitCodeSize { size: transaction.input().len(), max: cfg_env.max_initcode_size() }
            }
            I::EmptyBlobs => Self::BlobsMissing,
            I::TooManyBlobs { max, have: count } => Self::BlobCount { count, max },
            I::BlobVersionNotSupported => Self::BlobVersion,
            I::BlobCreateTransaction => Self::BlobCreate,
            I::BlobGasPriceGreaterThanMax { block_blob_gas_price: base_fee, tx_max_fee_per_blob_gas: max_fee } => {
                Self::BlobFee { max_fee, base_fee }
            }
            I::EmptyAuthorizationList => Self::AuthorizationsMissing,
            I::AccessListNotSupported
            | I::MaxFeePerBlobGasNotSupported
            | I::BlobVersionedHashesNotSupported
            | I::AuthorizationListNotSupported
            | I::Eip2930NotSupported
            | I::Eip1559NotSupported
            | I::Eip4844NotSupported
            | I::Eip7702NotSupported => Self::TypeNotActive(transaction.tx_type().into()),
            I::AuthorizationListInvalidFields | I::Eip7873NotSupported | I::Eip7873MissingTarget | I::Str(_) => {
                Self::Other(error.to_string())
            }
        }
    }
}

/// The sender of a transaction in block `number`, if its signature is valid there: with a low `s` from Homestead on
/// (EIP-2), and for one chain only from Spurious Dragon on (EIP-155). Recovering costs more than executing a transfer.
///
/// # Errors
/// [`TransactionError::Signature`], [`TransactionError::ReplayProtection`].
pub fn recover_sender(rules: &ChainRules, number: u64, transaction: &Transaction) -> Result<Address, TransactionError> {
    let is_protected = transaction.as_legacy().is_some_and(|legacy| legacy.tx().chain_id.is_some());
    if is_protected && !rules.is_spurious_dragon_active_at_block(number) {
        return Err(TransactionError::ReplayProtection);
    }
    let sender = if rules.is_homestead_active_at_block(number) {
        transaction.recover_signer()
    } else {
        transaction.recover_signer_unchecked()
    };
    sender.map_err(|_| TransactionError::Signature)
}
