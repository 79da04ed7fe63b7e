//! Why a transaction is refused, in go-ethereum's words.

use crate::ports::ChainReadError;
use alloy_eips::eip2718::Eip2718Error;
use alloy_primitives::{Address, U256};

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No correct node holds such a transaction at any height: a peer that gossips it is at fault.
    Peer,
    /// It does not fit here and now; another node, or this one later, may hold it.
    Caller,
    /// This node cannot read its chain.
    Ours,
}

/// Why a transaction does not enter the pool.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The bytes are no EIP-2718 transaction.
    #[error("rlp: {0}")]
    Decode(Eip2718Error),
    /// A transaction type that no fork has (EIP-2718).
    #[error("transaction type not supported: tx type {0} not supported by this pool")]
    UnknownType(u8),
    /// EIP-4844 is off on Heddle chains: nothing distributes the blobs.
    #[error("transaction type not supported: blob transactions are not enabled on this chain")]
    BlobsDisabled,
    /// Larger than [`heddle_primitives::MAX_TRANSACTION_BYTES`].
    #[error("oversized data: transaction size {size}, limit {limit}")]
    Oversized {
        /// Encoded size in bytes.
        size: usize,
        /// Most bytes accepted.
        limit: usize,
    },
    /// Creation code above the limit of EIP-3860 (EIP-7954 from Amsterdam on).
    #[error("max initcode size exceeded: code size {size}, limit {limit}")]
    InitCodeTooLarge {
        /// Bytes of creation code.
        size: usize,
        /// Most bytes accepted.
        limit: usize,
    },
    /// More gas than one transaction may have (EIP-7825; EIP-8037 from Amsterdam on).
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas})")]
    GasLimitTooHigh {
        /// Most gas accepted.
        cap: u64,
        /// The transaction's gas.
        gas: u64,
    },
    /// More gas than a block has.
    #[error("exceeds block gas limit")]
    ExceedsBlockGasLimit,
    /// The priority fee exceeds the whole fee (EIP-1559).
    #[error(
        "max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: {tip}, maxFeePerGas: {fee_cap}"
    )]
    TipAboveFeeCap {
        /// Priority fee in wei.
        tip: u128,
        /// Fee cap in wei.
        fee_cap: u128,
    },
    /// Signed for another chain (EIP-155).
    #[error("invalid sender: invalid chain id for signer: have {have} want {want}")]
    WrongChain {
        /// The transaction's chain id.
        have: u64,
        /// This chain's.
        want: u64,
    },
    /// No sender can be recovered, or the signature is malleable (EIP-2).
    #[error("invalid sender: invalid transaction v, r, s values")]
    InvalidSignature,
    /// The nonce cannot be followed by another (EIP-2681).
    #[error("nonce has max value")]
    NonceMax,
    /// Less gas than the transaction costs before it runs.
    #[error("intrinsic gas too low: gas {gas}, minimum needed {needed}")]
    IntrinsicGas {
        /// The transaction's gas.
        gas: u64,
        /// Least gas.
        needed: u64,
    },
    /// Less gas than its calldata costs at least (EIP-7623).
    #[error("insufficient gas for floor data gas cost: gas {gas}, minimum needed {needed}")]
    FloorDataGas {
        /// The transaction's gas.
        gas: u64,
        /// Least gas.
        needed: u64,
    },
    /// Priority fee below the configured minimum.
    #[error("transaction underpriced: gas tip cap {tip}, minimum needed {minimum}")]
    TipTooLow {
        /// Priority fee in wei.
        tip: u128,
        /// The configured minimum in wei.
        minimum: u128,
    },
    /// A set-code transaction that sets nothing (EIP-7702).
    #[error("set code tx must have at least one authorization tuple")]
    EmptyAuthorizationList,
    /// The pool holds it.
    #[error("already known")]
    AlreadyKnown,
    /// The sender has code that is no delegation (EIP-3607).
    #[error("sender not an eoa: address {0}")]
    SenderNotEoa(Address),
    /// The nonce is used.
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow {
        /// The account's nonce.
        next: u64,
        /// The transaction's nonce.
        nonce: u64,
    },
    /// The balance does not pay for it.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, tx cost {cost}, overshot {}",
        cost.saturating_sub(*balance)
    )]
    InsufficientFunds {
        /// The sender's balance in wei.
        balance: U256,
        /// Gas times fee cap, and value, in wei.
        cost: U256,
    },
    /// The balance does not pay for it and what is pending.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx cost {cost}, \
         overshot {}",
        queued.saturating_add(*cost).saturating_sub(*balance)
    )]
    InsufficientFundsForAll {
        /// The sender's balance in wei.
        balance: U256,
        /// What its pending transactions cost, in wei.
        queued: U256,
        /// What this one costs, in wei.
        cost: U256,
    },
    /// The balance does not pay for what a replacement costs more.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx bumped {bump}, \
         overshot {}",
        queued.saturating_add(*bump).saturating_sub(*balance)
    )]
    InsufficientFundsForBump {
        /// The sender's balance in wei.
        balance: U256,
        /// What its pending transactions cost, in wei.
        queued: U256,
        /// How much more than the replaced one this one costs, in wei.
        bump: U256,
    },
    /// A replacement must raise both fees by the configured percentage.
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    /// The sender has as many transactions as one may have.
    #[error("account limit exceeded: pooled {pooled} txs")]
    AccountLimit {
        /// How many the pool holds.
        pooled: usize,
    },
    /// A delegated account may have one pending transaction, because its balance may go with any other's (EIP-7702).
    #[error("in-flight transaction limit reached for delegated accounts")]
    DelegatedInFlight,
    /// A delegated account's transaction must be the next one.
    #[error("gapped-nonce tx from delegated accounts")]
    DelegatedGap,
    /// An authority of this transaction has more than one transaction in the pool.
    #[error("authority already reserved")]
    AuthorityReserved,
    /// The pool is full and holds nothing cheaper.
    #[error("transaction underpriced")]
    Underpriced,
    /// The pool is full of pending transactions, which one that must wait does not displace.
    #[error("future transaction tries to replace pending")]
    FutureReplacesPending,
    /// The pool is full, and an earlier transaction of the sender is among the cheapest.
    #[error("txpool is full")]
    Full,
    /// The chain cannot be read.
    #[error("cannot read the sender's account: {0}")]
    Chain(#[from] ChainReadError),
}

impl PoolError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Decode(_)
            | Self::UnknownType(_)
            | Self::BlobsDisabled
            | Self::Oversized { .. }
            | Self::TipAboveFeeCap { .. }
            | Self::WrongChain { .. }
            | Self::InvalidSignature
            | Self::NonceMax
            | Self::EmptyAuthorizationList => Fault::Peer,
            Self::Chain(_) => Fault::Ours,
            _ => Fault::Caller,
        }
    }
}
