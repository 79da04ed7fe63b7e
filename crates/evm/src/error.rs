//! What can go wrong, and whose fault it is.

use crate::{AccessListError, OmmerError, StateError, TransactionError};
use alloy_primitives::{Address, B256, Bloom, Bytes, U256};
use std::fmt;
use std::time::Duration;

/// A value that is not the one the rules require.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch<T> {
    /// What the block has.
    pub got: T,
    /// What the rules require.
    pub expected: T,
}

impl<T: fmt::Display> fmt::Display for Mismatch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, expected {}", self.got, self.expected)
    }
}

/// The rule that a header, a body or its execution breaks. Always the fault of the block's author.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Not the number after the parent's.
    #[error("block number is {0}")]
    Number(Mismatch<u64>),
    /// Not the hash of the parent.
    #[error("parent hash is {0}")]
    ParentHash(Mismatch<B256>),
    /// Before the parent (or, on a plain Ethereum chain, not after it); seconds.
    #[error("timestamp {timestamp} is too early: the parent's is {parent}")]
    Timestamp {
        /// Of the block.
        timestamp: u64,
        /// Of its parent.
        parent: u64,
    },
    /// Outside what any block may have.
    #[error("gas limit {gas_limit} is not in {min} to {max}")]
    GasLimitRange {
        /// Of the block.
        gas_limit: u64,
        /// Least.
        min: u64,
        /// Most (EIP-1985).
        max: u64,
    },
    /// Moved by 1/1024 of the parent's or more.
    #[error("gas limit {gas_limit} is too far from the parent's {parent}")]
    GasLimitStep {
        /// Of the block.
        gas_limit: u64,
        /// Of its parent, doubled at London.
        parent: u64,
    },
    /// Used more than the limit.
    #[error("gas used {gas_used} is more than the gas limit {gas_limit}")]
    GasUsedOverLimit {
        /// Gas used.
        gas_used: u64,
        /// Gas limit.
        gas_limit: u64,
    },
    /// Not what EIP-1559 derives from the parent; wei.
    #[error("base fee is {0}")]
    BaseFee(Mismatch<u64>),
    /// Longer than 32 bytes.
    #[error("extra data has {length} bytes, more than {max}")]
    ExtraDataLength {
        /// Bytes.
        length: usize,
        /// Most.
        max: usize,
    },
    /// A field of an active fork is absent.
    #[error("header lacks {0}, which its fork requires")]
    FieldMissing(&'static str),
    /// A field of an inactive fork is present.
    #[error("header has {0}, which its fork does not know")]
    FieldUnexpected(&'static str),
    /// Not a whole number of blobs.
    #[error("blob gas used {blob_gas_used} is not a multiple of {per_blob}")]
    BlobGasUsedMultiple {
        /// Blob gas used.
        blob_gas_used: u64,
        /// Gas of one blob.
        per_blob: u64,
    },
    /// More blobs than a block may have.
    #[error("blob gas used {blob_gas_used} is more than {max}")]
    BlobGasUsedOverLimit {
        /// Blob gas used.
        blob_gas_used: u64,
        /// Most at the block's timestamp.
        max: u64,
    },
    /// Not what EIP-4844 and EIP-7918 derive from the parent.
    #[error("excess blob gas is {0}")]
    ExcessBlobGas(Mismatch<u64>),
    /// Nonzero after the merge.
    #[error("difficulty is {0}")]
    Difficulty(Mismatch<U256>),
    /// Proof of work after the terminal total difficulty, or none before it; a block without it has difficulty 0.
    #[error("proof of work must end when the total difficulty reaches {terminal}, the parent's is {parent}")]
    Merge {
        /// Sum of the difficulties to the parent.
        parent: U256,
        /// At which proof of work ends.
        terminal: U256,
    },
    /// Not marked as the chain's side of the DAO fork marks the ten blocks from the fork on.
    #[error("extra data {0} is of the other side of the DAO fork")]
    DaoExtraData(Bytes),
    /// Nonzero after the merge.
    #[error("nonce is {0}")]
    Nonce(Mismatch<u64>),
    /// Not SHA-256(parent's || parent hash) on a Heddle chain.
    #[error("prevRandao is {0}")]
    PrevRandao(Mismatch<B256>),
    /// Not the block's number on a Heddle chain.
    #[error("slot number is {0}")]
    SlotNumber(Mismatch<u64>),
    /// Does not commit to the body's ommers, or there are ommers where none may be.
    #[error("ommers hash is {0}")]
    OmmersHash(Mismatch<B256>),
    /// More ommers than a block may have.
    #[error("block has {count} ommers, more than {max}")]
    OmmerCount {
        /// Ommers.
        count: usize,
        /// Most.
        max: usize,
    },
    /// An ommer may not be included here.
    #[error("ommer {index} {error}")]
    Ommer {
        /// Position in the block.
        index: usize,
        /// The rule it breaks.
        error: OmmerError,
    },
    /// Does not commit to the body's withdrawals, or there are withdrawals on a Heddle chain.
    #[error("withdrawals root is {0}")]
    WithdrawalsRoot(Mismatch<B256>),
    /// The body has withdrawals before Shanghai, or lacks the list after it.
    #[error("body has withdrawals: {0}")]
    Withdrawals(Mismatch<bool>),
    /// Does not commit to the body's transactions.
    #[error("transactions root is {0}")]
    TransactionsRoot(Mismatch<B256>),
    /// A blob transaction on a Heddle chain, which has no blob data availability.
    #[error("transaction {index} carries blobs, which this chain does not accept")]
    BlobTransaction {
        /// Position in the block.
        index: usize,
    },
    /// Larger than EIP-7934 allows.
    #[error("block has {bytes} bytes of RLP, more than {max}")]
    Size {
        /// Bytes.
        bytes: usize,
        /// Most.
        max: usize,
    },
    /// Execution used another amount.
    #[error("gas used is {0}")]
    GasUsed(Mismatch<u64>),
    /// Execution used another amount.
    #[error("blob gas used is {0}")]
    BlobGasUsed(Mismatch<u64>),
    /// Execution gave other receipts.
    #[error("receipts root is {0}")]
    ReceiptsRoot(Mismatch<B256>),
    /// Execution gave other logs.
    #[error("logs bloom is {0}")]
    LogsBloom(Box<Mismatch<Bloom>>),
    /// The deposit contract logged what cannot be read as a deposit (EIP-6110).
    #[error("a deposit event has another layout than that of EIP-6110")]
    DepositLayout,
    /// Execution gave other requests (EIP-7685).
    #[error("requests hash is {0}")]
    RequestsHash(Mismatch<B256>),
    /// Execution touched other state (EIP-7928).
    #[error("block access list hash is {0}")]
    AccessListHash(Mismatch<B256>),
    /// Execution touched more state than an access list may name (EIP-7928).
    #[error("block access list has {items} items, more than {max}")]
    AccessListItems {
        /// Accounts and slots.
        items: u64,
        /// Most under the block's gas limit.
        max: u64,
    },
    /// The extra data of a Heddle chain's block is not the hash of its access list, or is not empty from Amsterdam on.
    #[error("extra data is {got}, expected {expected}")]
    ExtraData {
        /// What the header has.
        got: Bytes,
        /// What execution gives.
        expected: Bytes,
    },
}

/// Why a block was not executed to its end.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ExecutionError {
    /// A transaction may not be in this place. The fault of the block's author.
    #[error("transaction {index} ({hash}) is invalid: {error}")]
    InvalidTransaction {
        /// Position in the block.
        index: usize,
        /// Hash of the transaction.
        hash: B256,
        /// The rule it breaks.
        error: Box<TransactionError>,
    },
    /// A rule is broken that takes more than the block to check. The fault of the block's author.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The access list that the header binds is not the block's. The fault of the block's author.
    #[error(transparent)]
    InvalidAccessList(#[from] AccessListError),
    /// A contract that the protocol calls has no code. The fault of the block's author, and of the genesis file when
    /// it happens in the first block.
    #[error("system contract {0} has no code")]
    MissingSystemContract(Address),
    /// The block fails outside its transactions. The fault of the block's author.
    #[error("block cannot be executed: {0}")]
    InvalidBlock(String),
    /// The state cannot be read. Our own fault.
    #[error(transparent)]
    State(#[from] StateError),
    /// The executor failed. Our own fault.
    #[error("executor failed: {0}")]
    Internal(String),
}

impl ExecutionError {
    /// Whether the block is at fault; otherwise we are, and nothing is known about the block.
    pub fn is_invalid_block(&self) -> bool {
        match self {
            Self::InvalidTransaction { .. }
            | Self::Rule(_)
            | Self::InvalidAccessList(_)
            | Self::MissingSystemContract(_)
            | Self::InvalidBlock(_) => true,
            Self::State(_) | Self::Internal(_) => false,
        }
    }
}

/// Why a call or an estimate has no result. The texts are go-ethereum's, which clients match on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The request cannot be run as a transaction. The caller's fault.
    #[error("{0}")]
    Rejected(String),
    /// The estimated transaction reverts whatever its gas limit; carries the revert data. The caller's fault.
    #[error("execution reverted")]
    Reverted(Bytes),
    /// The estimated transaction fails whatever its gas limit. The caller's fault.
    #[error("{0}")]
    Halted(String),
    /// The transaction needs more gas than it may have. The caller's fault.
    #[error("gas required exceeds allowance ({0})")]
    GasAllowance(u64),
    /// It took longer than it may. The caller's fault.
    #[error("execution aborted (timeout = {0:?})")]
    Timeout(Duration),
    /// The state cannot be read. Our own fault.
    #[error(transparent)]
    State(#[from] StateError),
    /// The executor failed. Our own fault.
    #[error("executor failed: {0}")]
    Internal(String),
}
