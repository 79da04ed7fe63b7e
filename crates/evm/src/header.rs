//! What a header must contain, derived from its parent and from execution.

use crate::{ChainRules, ExecutionOutcome};
use alloy_consensus::{constants::EMPTY_WITHDRAWALS, proofs::calculate_transaction_root};
use alloy_eips::eip1559::{BaseFeeParams, INITIAL_BASE_FEE, calculate_block_gas_limit};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, Bytes};
use heddle_primitives::{Header, SealedHeader, Transaction};
use sha2::{Digest, Sha256};

/// Least gas limit of any block.
pub(crate) const GAS_LIMIT_MIN: u64 = 5_000;
/// Greatest gas limit of any block (EIP-1985).
pub(crate) const GAS_LIMIT_MAX: u64 = i64::MAX as u64;

/// What the proposer of a block decides, beside its transactions.
#[derive(Clone, Debug)]
pub struct NextBlock {
    /// Seconds since the epoch, not before the parent's.
    pub timestamp: u64,
    /// The proposer's fee recipient.
    pub fee_recipient: Address,
    /// Digest of the parent's commit certificate; zero when the parent is genesis.
    pub parent_beacon_block_root: B256,
    /// The gas limit to move towards.
    pub gas_limit_target: u64,
}

/// The header of the block after `parent` on a Heddle chain, as far as it is known before execution.
pub fn next_header(rules: &ChainRules, parent: &SealedHeader, next: &NextBlock) -> Header {
    let number = parent.number.saturating_add(1);
    Header {
        parent_hash: parent.seal(),
        number,
        timestamp: next.timestamp,
        beneficiary: next.fee_recipient,
        gas_limit: next_gas_limit(parent.gas_limit, next.gas_limit_target),
        base_fee_per_gas: next_base_fee(rules, parent),
        mix_hash: next_prev_randao(parent),
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        excess_blob_gas: next_excess_blob_gas(rules, parent, next.timestamp),
        parent_beacon_block_root: Some(next.parent_beacon_block_root),
        slot_number: rules.is_amsterdam_active_at_timestamp(next.timestamp).then_some(number),
        ..Header::default()
    }
}

/// Fills in what execution gave. The header is then the block's own.
pub fn complete_header(
    rules: &ChainRules,
    header: Header,
    transactions: &[Transaction],
    outcome: &ExecutionOutcome,
    state_root: B256,
) -> Header {
    let is_amsterdam = rules.is_amsterdam_active_at_timestamp(header.timestamp);
    let access_list_hash = outcome.access_list_hash();
    let extra_data = match rules.is_heddle() {
        true => heddle_extra_data(rules, &header, access_list_hash),
        false => header.extra_data,
    };
    Header {
        state_root,
        transactions_root: calculate_transaction_root(transactions),
        receipts_root: outcome.receipts_root(),
        logs_bloom: outcome.logs_bloom(),
        gas_used: outcome.gas_used,
        blob_gas_used: Some(outcome.blob_gas_used),
        requests_hash: Some(outcome.requests.requests_hash()),
        block_access_list_hash: is_amsterdam.then_some(access_list_hash),
        extra_data,
        ..header
    }
}

/// The extra data of a Heddle chain's block: the hash of its access list, until that has a field of its own.
pub(crate) fn heddle_extra_data(rules: &ChainRules, header: &Header, access_list_hash: B256) -> Bytes {
    if rules.is_amsterdam_active_at_timestamp(header.timestamp) { Bytes::new() } else { access_list_hash.into() }
}

/// Base fee of the block after `parent`, in wei (EIP-1559); `None` before London.
pub fn next_base_fee(rules: &ChainRules, parent: &Header) -> Option<u64> {
    if !rules.is_london_active_at_block(parent.number.saturating_add(1)) {
        return None;
    }
    Some(parent.next_block_base_fee(BaseFeeParams::ethereum()).unwrap_or(INITIAL_BASE_FEE))
}

/// The gas limit nearest to `target` that may follow the parent's: it moves by less than 1/1024 a block.
pub fn next_gas_limit(parent_gas_limit: u64, target: u64) -> u64 {
    calculate_block_gas_limit(parent_gas_limit, target.clamp(GAS_LIMIT_MIN, GAS_LIMIT_MAX))
}

/// Excess blob gas of the block after `parent` (EIP-4844, EIP-7918); `None` before Cancun. It depends on the blob
/// parameters at the new block's timestamp.
pub fn next_excess_blob_gas(rules: &ChainRules, parent: &Header, timestamp: u64) -> Option<u64> {
    let params = rules.blob_params(timestamp)?;
    Some(parent.next_block_excess_blob_gas(params).unwrap_or_default())
}

/// prevRandao of the block after `parent` on a Heddle chain: SHA-256(parent's prevRandao || parent's hash). Public and
/// predictable: contracts must not draw lots with it.
pub fn next_prev_randao(parent: &SealedHeader) -> B256 {
    let digest = Sha256::new().chain_update(parent.mix_hash).chain_update(parent.seal()).finalize();
    B256::from_slice(&digest)
}
