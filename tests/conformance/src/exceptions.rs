//! Our errors by the names that fixtures have for them.
//!
//! A fixture may name several reasons, any of which will do, since clients check in different orders.

use crate::verdict::Refusal;
use heddle_chain::BlockError;
use heddle_evm::{ExecutionError, RuleError, TransactionError};

/// Names of bytes that do not decode: most kinds have a name of their own, which our decoder does not tell apart.
pub(crate) const MALFORMED: &[&str] = &[
    "TransactionException.RLP_",
    "TransactionException.ADDRESS_TOO_",
    "TransactionException.NONCE_OVERFLOW",
    "TransactionException.GASLIMIT_OVERFLOW",
    "TransactionException.GASLIMIT_PRICE_PRODUCT_OVERFLOW",
    "TransactionException.GASPRICE_OVERFLOW",
    "TransactionException.PRIORITY_OVERFLOW",
    "TransactionException.VALUE_OVERFLOW",
    "TransactionException.INVALID_CHAINID",
    "TransactionException.INVALID_SIGNATURE_VRS",
    "TransactionException.TYPE_NOT_SUPPORTED",
    "TransactionException.TYPE_3_TX_CONTRACT_CREATION",
    "TransactionException.TYPE_3_TX_WITH_FULL_BLOBS",
    "TransactionException.TYPE_4_TX_CONTRACT_CREATION",
    "TransactionException.TYPE_4_INVALID_AUTHORIZATION_FORMAT",
    "TransactionException.TYPE_4_INVALID_AUTHORITY_SIGNATURE",
    "BlockException.RLP_",
    "BlockException.INCORRECT_BLOCK_FORMAT",
];

/// Names of a block that does not follow the head.
pub(crate) const WRONG_PARENT: &[&str] =
    &["BlockException.UNKNOWN_PARENT", "BlockException.UNKNOWN_PARENT_ZERO", "BlockException.INVALID_BLOCK_NUMBER"];

/// Whether one of the expected names, divided by `|`, begins with one of ours.
pub(crate) fn matches(expected: &str, ours: &[&str]) -> bool {
    expected.split('|').any(|name| ours.iter().any(|prefix| name.trim().starts_with(prefix)))
}

/// Why a block was refused.
pub(crate) fn block_refusal(error: &BlockError) -> Refusal {
    let names = match error {
        BlockError::Rule(error) => rule_names(error),
        BlockError::Signature { error, .. } => transaction_names(error),
        BlockError::StateRoot { .. } => &["BlockException.INVALID_STATE_ROOT"],
        BlockError::Execution(error) => execution_names(error),
        _ => &[],
    };
    Refusal { reason: error.to_string(), names }
}

/// Why a transaction was not executed.
pub(crate) fn execution_refusal(error: &ExecutionError) -> Refusal {
    Refusal { reason: error.to_string(), names: execution_names(error) }
}

/// Why a transaction was refused before it came to execution.
pub(crate) fn transaction_refusal(error: &TransactionError) -> Refusal {
    Refusal { reason: error.to_string(), names: transaction_names(error) }
}

fn execution_names(error: &ExecutionError) -> &'static [&'static str] {
    match error {
        ExecutionError::InvalidTransaction { error, .. } => transaction_names(error),
        ExecutionError::Rule(error) => rule_names(error),
        ExecutionError::InvalidAccessList(_) => &["BlockException.INVALID_BLOCK_ACCESS_LIST"],
        ExecutionError::MissingSystemContract(_) => &["BlockException.SYSTEM_CONTRACT_EMPTY"],
        ExecutionError::InvalidBlock(_) => &["BlockException.SYSTEM_CONTRACT_CALL_FAILED"],
        ExecutionError::State(_) | ExecutionError::Internal(_) => &[],
    }
}

fn transaction_names(error: &TransactionError) -> &'static [&'static str] {
    match error {
        TransactionError::Signature | TransactionError::ReplayProtection => &[
            "TransactionException.INVALID_SIGNATURE_VRS",
            "TransactionException.EC_RECOVERY_FAIL",
            "TransactionException.INVALID_CHAINID",
        ],
        TransactionError::TypeNotActive(_) => &[
            "TransactionException.TYPE_NOT_SUPPORTED",
            "TransactionException.TYPE_1_TX_PRE_FORK",
            "TransactionException.TYPE_2_TX_PRE_FORK",
            "TransactionException.TYPE_3_TX_PRE_FORK",
            "TransactionException.TYPE_3_TX_ZERO_BLOBS_PRE_FORK",
            "TransactionException.TYPE_4_TX_PRE_FORK",
        ],
        TransactionError::ChainId { .. } | TransactionError::ChainIdMissing => {
            &["TransactionException.INVALID_CHAINID", "TransactionException.INVALID_SIGNATURE_VRS"]
        }
        TransactionError::NonceTooHigh { .. } => &["TransactionException.NONCE_MISMATCH_TOO_HIGH"],
        TransactionError::NonceTooLow { .. } => &["TransactionException.NONCE_MISMATCH_TOO_LOW"],
        TransactionError::NonceOverflow => &["TransactionException.NONCE_IS_MAX", "TransactionException.NONCE_TOO_BIG"],
        TransactionError::Funds { .. } => &["TransactionException.INSUFFICIENT_ACCOUNT_FUNDS"],
        TransactionError::CostOverflow => {
            &["TransactionException.GASLIMIT_PRICE_PRODUCT_OVERFLOW", "TransactionException.INSUFFICIENT_ACCOUNT_FUNDS"]
        }
        TransactionError::SenderCode => &["TransactionException.SENDER_NOT_EOA"],
        TransactionError::PriorityFee { .. } => &["TransactionException.PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS"],
        TransactionError::BaseFee { .. } => &["TransactionException.INSUFFICIENT_MAX_FEE_PER_GAS"],
        TransactionError::BlockGas { .. } => &["TransactionException.GAS_ALLOWANCE_EXCEEDED"],
        TransactionError::GasLimitCap { .. } => &["TransactionException.GAS_LIMIT_EXCEEDS_MAXIMUM"],
        TransactionError::IntrinsicGas { .. } => &["TransactionException.INTRINSIC_GAS_TOO_LOW"],
        TransactionError::FloorGas { .. } => {
            &["TransactionException.INTRINSIC_GAS_BELOW_FLOOR_GAS_COST", "TransactionException.INTRINSIC_GAS_TOO_LOW"]
        }
        TransactionError::InitCodeSize { .. } => &["TransactionException.INITCODE_SIZE_EXCEEDED"],
        TransactionError::BlobsMissing => &["TransactionException.TYPE_3_TX_ZERO_BLOBS"],
        TransactionError::BlobCount { .. } => &[
            "TransactionException.TYPE_3_TX_BLOB_COUNT_EXCEEDED",
            "TransactionException.TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED",
        ],
        TransactionError::BlobVersion => &["TransactionException.TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH"],
        TransactionError::BlobCreate => &["TransactionException.TYPE_3_TX_CONTRACT_CREATION"],
        TransactionError::BlobFee { .. } => &["TransactionException.INSUFFICIENT_MAX_FEE_PER_BLOB_GAS"],
        TransactionError::AuthorizationsMissing => &["TransactionException.TYPE_4_EMPTY_AUTHORIZATION_LIST"],
        TransactionError::Other(_) => &[],
    }
}

fn rule_names(error: &RuleError) -> &'static [&'static str] {
    match error {
        RuleError::Number(_) => &["BlockException.INVALID_BLOCK_NUMBER"],
        RuleError::ParentHash(_) => WRONG_PARENT,
        RuleError::Timestamp { .. } => &["BlockException.INVALID_BLOCK_TIMESTAMP_OLDER_THAN_PARENT"],
        RuleError::GasLimitRange { .. } => &["BlockException.GASLIMIT_TOO_BIG", "BlockException.INVALID_GASLIMIT"],
        RuleError::GasLimitStep { .. } => &["BlockException.INVALID_GASLIMIT"],
        RuleError::GasUsedOverLimit { .. } => {
            &["BlockException.GAS_USED_OVERFLOW", "BlockException.INVALID_GAS_USED_ABOVE_LIMIT"]
        }
        RuleError::BaseFee(_) => &["BlockException.INVALID_BASEFEE_PER_GAS"],
        RuleError::ExtraDataLength { .. } => &["BlockException.EXTRA_DATA_TOO_BIG"],
        RuleError::FieldMissing(_) | RuleError::FieldUnexpected(_) | RuleError::Withdrawals(_) => {
            &["BlockException.INCORRECT_BLOCK_FORMAT", "BlockException.RLP_", "BlockException.IMPORT_IMPOSSIBLE_"]
        }
        RuleError::BlobGasUsedMultiple { .. } | RuleError::BlobGasUsed(_) => {
            &["BlockException.INCORRECT_BLOB_GAS_USED"]
        }
        RuleError::BlobGasUsedOverLimit { .. } => &[
            "BlockException.BLOB_GAS_USED_ABOVE_LIMIT",
            "BlockException.INCORRECT_BLOB_GAS_USED",
            "TransactionException.TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED",
            "TransactionException.TYPE_3_TX_BLOB_COUNT_EXCEEDED",
        ],
        RuleError::ExcessBlobGas(_) => &["BlockException.INCORRECT_EXCESS_BLOB_GAS"],
        RuleError::Difficulty(_) => &["BlockException.IMPORT_IMPOSSIBLE_DIFFICULTY_OVER_PARIS"],
        RuleError::OmmersHash(_) => {
            &["BlockException.IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS", "BlockException.INVALID_UNCLES_HASH"]
        }
        RuleError::WithdrawalsRoot(_) => &["BlockException.INVALID_WITHDRAWALS_ROOT"],
        RuleError::TransactionsRoot(_) => &["BlockException.INVALID_TRANSACTIONS_ROOT"],
        RuleError::Merge { .. } => &["BlockException.IMPORT_IMPOSSIBLE_"],
        RuleError::DaoExtraData(_) => &["BlockException.EXTRA_DATA_INVALID_DAO"],
        RuleError::OmmerCount { .. } => &["BlockException.TOO_MANY_UNCLES"],
        RuleError::Ommer { .. } => &["BlockException.UNCLE_", "BlockException.INVALID_"],
        RuleError::Size { .. } => &["BlockException.RLP_BLOCK_LIMIT_EXCEEDED"],
        RuleError::GasUsed(_) => &["BlockException.INVALID_GAS_USED"],
        RuleError::ReceiptsRoot(_) => &["BlockException.INVALID_RECEIPTS_ROOT"],
        RuleError::LogsBloom(_) => &["BlockException.INVALID_LOG_BLOOM"],
        RuleError::RequestsHash(_) => &["BlockException.INVALID_REQUESTS"],
        RuleError::AccessListHash(_) => &[
            "BlockException.INVALID_BLOCK_ACCESS_LIST",
            "BlockException.INVALID_BAL_",
            "BlockException.INCORRECT_BLOCK_ACCESS_LIST",
        ],
        RuleError::AccessListItems { .. } => &["BlockException.BLOCK_ACCESS_LIST_"],
        RuleError::DepositLayout => &["BlockException.INVALID_DEPOSIT_EVENT_LAYOUT"],
        // Rules of Heddle's own chains, or without a name.
        RuleError::Nonce(_)
        | RuleError::PrevRandao(_)
        | RuleError::SlotNumber(_)
        | RuleError::BlobTransaction { .. }
        | RuleError::ExtraData { .. } => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_the_expected_names_will_do() {
        let ours = &["TransactionException.INTRINSIC_GAS_TOO_LOW"];
        assert!(matches("TransactionException.INTRINSIC_GAS_TOO_LOW", ours));
        assert!(matches("A.B| TransactionException.INTRINSIC_GAS_TOO_LOW", ours));
        assert!(!matches("TransactionException.NONCE_IS_MAX", ours));
        assert!(matches("TransactionException.RLP_LEADING_ZEROS_R", MALFORMED));
        assert!(!matches("", ours));
    }
}
