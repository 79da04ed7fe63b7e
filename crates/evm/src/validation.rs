//! The rules a block must obey, apart from its transactions' own.

use crate::header::{GAS_LIMIT_MAX, GAS_LIMIT_MIN, heddle_extra_data};
use crate::{ChainRules, ExecutionOutcome, Mismatch, RuleError, next_base_fee, next_excess_blob_gas, next_prev_randao};
use alloy_consensus::{
    EMPTY_OMMER_ROOT_HASH,
    constants::{EMPTY_WITHDRAWALS, MAXIMUM_EXTRA_DATA_SIZE},
    proofs::{calculate_ommers_root, calculate_transaction_root, calculate_withdrawals_root},
};
use alloy_eips::{
    eip1559::{DEFAULT_ELASTICITY_MULTIPLIER, GAS_LIMIT_BOUND_DIVISOR},
    eip4844::DATA_GAS_PER_BLOB,
    eip7928::{constants::ITEM_COST, total_bal_items},
};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks};
use alloy_primitives::U256;
use alloy_rlp::Encodable;
use heddle_primitives::{Block, Header, MAX_BLOCK_BYTES, SealedHeader};

/// Checks a header against its parent.
///
/// Not checked here, because it takes more than the two headers: the beneficiary, the parent certificate's digest, the
/// distance to the local clock, the roots; and proof of work.
///
/// # Errors
/// The first rule broken.
pub fn validate_header(rules: &ChainRules, parent: &SealedHeader, header: &Header) -> Result<(), RuleError> {
    equal(header.number, parent.number.saturating_add(1)).map_err(RuleError::Number)?;
    equal(header.parent_hash, parent.seal()).map_err(RuleError::ParentHash)?;
    validate_timestamp(rules, parent, header)?;
    validate_gas_limit(rules, parent, header)?;
    if header.extra_data.len() > MAXIMUM_EXTRA_DATA_SIZE {
        return Err(RuleError::ExtraDataLength { length: header.extra_data.len(), max: MAXIMUM_EXTRA_DATA_SIZE });
    }
    validate_fork_fields(rules, header)?;
    equal(header.base_fee_per_gas.unwrap_or_default(), next_base_fee(rules, parent).unwrap_or_default())
        .map_err(RuleError::BaseFee)?;
    validate_blob_gas(rules, parent, header)?;
    validate_dao_extra_data(rules, header)?;
    if rules.is_paris_certain(header) {
        equal(header.difficulty, U256::ZERO).map_err(RuleError::Difficulty)?;
    }
    if rules.is_paris(header) {
        equal(header.nonce.into(), 0).map_err(RuleError::Nonce)?;
        equal(header.ommers_hash, EMPTY_OMMER_ROOT_HASH).map_err(RuleError::OmmersHash)?;
    }
    if rules.is_heddle() { validate_heddle_fields(parent, header) } else { Ok(()) }
}

/// Checks that a block has left proof of work exactly when its parent's total difficulty, the sum of all difficulties
/// from genesis to the parent, has reached the terminal one. Needed only where [`validate_header`] cannot tell: on
/// chains that merge at a block that their genesis does not name.
///
/// # Errors
/// [`RuleError::Merge`].
pub fn validate_merge(rules: &ChainRules, parent_total_difficulty: U256, header: &Header) -> Result<(), RuleError> {
    let Some(terminal) = rules.terminal_total_difficulty() else { return Ok(()) };
    let is_merged = rules.is_paris_certain(header) || parent_total_difficulty >= terminal;
    if header.difficulty.is_zero() == is_merged {
        return Ok(());
    }
    Err(RuleError::Merge { parent: parent_total_difficulty, terminal })
}

/// For ten blocks the extra data tells the two sides of the DAO fork apart.
fn validate_dao_extra_data(rules: &ChainRules, header: &Header) -> Result<(), RuleError> {
    const BLOCKS: u64 = 10;
    const EXTRA_DATA: &[u8] = b"dao-hard-fork";
    let Some(fork) = rules.dao_fork() else { return Ok(()) };
    let is_marked_range = header.number.checked_sub(fork.block).is_some_and(|distance| distance < BLOCKS);
    if is_marked_range && (header.extra_data.as_ref() == EXTRA_DATA) != fork.is_supported {
        return Err(RuleError::DaoExtraData(header.extra_data.clone()));
    }
    Ok(())
}

fn validate_timestamp(rules: &ChainRules, parent: &Header, header: &Header) -> Result<(), RuleError> {
    let (timestamp, parent) = (header.timestamp, parent.timestamp);
    // Heddle's blocks may be faster than one a second.
    let is_late_enough = if rules.is_heddle() { timestamp >= parent } else { timestamp > parent };
    if is_late_enough { Ok(()) } else { Err(RuleError::Timestamp { timestamp, parent }) }
}

fn validate_gas_limit(rules: &ChainRules, parent: &Header, header: &Header) -> Result<(), RuleError> {
    let gas_limit = header.gas_limit;
    if !(GAS_LIMIT_MIN..=GAS_LIMIT_MAX).contains(&gas_limit) {
        return Err(RuleError::GasLimitRange { gas_limit, min: GAS_LIMIT_MIN, max: GAS_LIMIT_MAX });
    }
    // London turned the limit into twice the target, so that the target stayed what the limit had been.
    let is_london_first = rules.ethereum_fork_activation(EthereumHardfork::London).transitions_at_block(header.number);
    let factor = if is_london_first { DEFAULT_ELASTICITY_MULTIPLIER } else { 1 };
    let parent = parent.gas_limit.saturating_mul(factor);
    if gas_limit.abs_diff(parent) >= (parent / GAS_LIMIT_BOUND_DIVISOR).max(1) {
        return Err(RuleError::GasLimitStep { gas_limit, parent });
    }
    if header.gas_used > gas_limit {
        return Err(RuleError::GasUsedOverLimit { gas_used: header.gas_used, gas_limit });
    }
    Ok(())
}

/// Every optional field is there exactly when its fork is active.
fn validate_fork_fields(rules: &ChainRules, header: &Header) -> Result<(), RuleError> {
    let time = header.timestamp;
    let cancun = rules.is_cancun_active_at_timestamp(time);
    let amsterdam = rules.is_amsterdam_active_at_timestamp(time);
    let fields = [
        ("baseFeePerGas", header.base_fee_per_gas.is_some(), rules.is_london_active_at_block(header.number)),
        ("withdrawalsRoot", header.withdrawals_root.is_some(), rules.is_shanghai_active_at_timestamp(time)),
        ("blobGasUsed", header.blob_gas_used.is_some(), cancun),
        ("excessBlobGas", header.excess_blob_gas.is_some(), cancun),
        ("parentBeaconBlockRoot", header.parent_beacon_block_root.is_some(), cancun),
        ("requestsHash", header.requests_hash.is_some(), rules.is_prague_active_at_timestamp(time)),
        ("blockAccessListHash", header.block_access_list_hash.is_some(), amsterdam),
        ("slotNumber", header.slot_number.is_some(), amsterdam),
    ];
    for (name, is_present, is_required) in fields {
        match (is_present, is_required) {
            (false, true) => return Err(RuleError::FieldMissing(name)),
            (true, false) => return Err(RuleError::FieldUnexpected(name)),
            _ => {}
        }
    }
    Ok(())
}

fn validate_blob_gas(rules: &ChainRules, parent: &Header, header: &Header) -> Result<(), RuleError> {
    let Some(params) = rules.blob_params(header.timestamp) else { return Ok(()) };
    let blob_gas_used = header.blob_gas_used.unwrap_or_default();
    if !blob_gas_used.is_multiple_of(DATA_GAS_PER_BLOB) {
        return Err(RuleError::BlobGasUsedMultiple { blob_gas_used, per_blob: DATA_GAS_PER_BLOB });
    }
    let max = if rules.is_heddle() { 0 } else { params.max_blob_gas_per_block() };
    if blob_gas_used > max {
        return Err(RuleError::BlobGasUsedOverLimit { blob_gas_used, max });
    }
    let expected = next_excess_blob_gas(rules, parent, header.timestamp).unwrap_or_default();
    equal(header.excess_blob_gas.unwrap_or_default(), expected).map_err(RuleError::ExcessBlobGas)
}

fn validate_heddle_fields(parent: &SealedHeader, header: &Header) -> Result<(), RuleError> {
    equal(header.mix_hash, next_prev_randao(parent)).map_err(RuleError::PrevRandao)?;
    equal(header.withdrawals_root.unwrap_or_default(), EMPTY_WITHDRAWALS).map_err(RuleError::WithdrawalsRoot)?;
    equal(header.slot_number.unwrap_or(header.number), header.number).map_err(RuleError::SlotNumber)
}

/// Checks that the header commits to the body, and that the body may have what it has.
///
/// # Errors
/// The first rule broken.
pub fn validate_body(rules: &ChainRules, block: &Block) -> Result<(), RuleError> {
    let (header, body) = (&block.header, &block.body);
    if rules.is_osaka_active_at_timestamp(header.timestamp) {
        let bytes = block.length();
        if bytes > MAX_BLOCK_BYTES {
            return Err(RuleError::Size { bytes, max: MAX_BLOCK_BYTES });
        }
    }
    if rules.is_heddle()
        && let Some(index) = body.transactions.iter().position(|tx| tx.is_eip4844())
    {
        return Err(RuleError::BlobTransaction { index });
    }
    equal(header.ommers_hash, calculate_ommers_root(&body.ommers)).map_err(RuleError::OmmersHash)?;
    equal(body.withdrawals.is_some(), header.withdrawals_root.is_some()).map_err(RuleError::Withdrawals)?;
    if let (Some(root), Some(withdrawals)) = (header.withdrawals_root, &body.withdrawals) {
        equal(root, calculate_withdrawals_root(withdrawals)).map_err(RuleError::WithdrawalsRoot)?;
    }
    equal(header.transactions_root, calculate_transaction_root(&body.transactions)).map_err(RuleError::TransactionsRoot)
}

/// Checks that the header says what execution gave, all but the state root.
///
/// # Errors
/// The first rule broken.
pub fn validate_outcome(rules: &ChainRules, header: &Header, outcome: &ExecutionOutcome) -> Result<(), RuleError> {
    equal(header.gas_used, outcome.gas_used).map_err(RuleError::GasUsed)?;
    equal(header.blob_gas_used.unwrap_or_default(), outcome.blob_gas_used).map_err(RuleError::BlobGasUsed)?;
    equal(header.logs_bloom, outcome.logs_bloom()).map_err(|mismatch| RuleError::LogsBloom(Box::new(mismatch)))?;
    equal(header.receipts_root, outcome.receipts_root()).map_err(RuleError::ReceiptsRoot)?;
    if let Some(requests_hash) = header.requests_hash {
        equal(requests_hash, outcome.requests.requests_hash()).map_err(RuleError::RequestsHash)?;
    }
    if let Some(hash) = header.block_access_list_hash {
        validate_access_list(header, outcome)?;
        equal(hash, outcome.access_list_hash()).map_err(RuleError::AccessListHash)?;
    }
    if rules.is_heddle() {
        let expected = heddle_extra_data(rules, header, outcome.access_list_hash());
        if header.extra_data != expected {
            return Err(RuleError::ExtraData { got: header.extra_data.clone(), expected });
        }
    }
    Ok(())
}

/// EIP-7928: the list has at most one item for every 2000 of the block's gas limit.
fn validate_access_list(header: &Header, outcome: &ExecutionOutcome) -> Result<(), RuleError> {
    let items = outcome.access_list.as_deref().map(total_bal_items).unwrap_or_default();
    let max = header.gas_limit / ITEM_COST as u64;
    if items > max { Err(RuleError::AccessListItems { items, max }) } else { Ok(()) }
}

fn equal<T: PartialEq>(got: T, expected: T) -> Result<(), Mismatch<T>> {
    if got == expected { Ok(()) } else { Err(Mismatch { got, expected }) }
}
