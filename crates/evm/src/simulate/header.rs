//! Headers of simulated blocks.

use super::plan::Planned;
use crate::header::heddle_extra_data;
use crate::{ChainRules, ExecutionOutcome, next_base_fee, next_excess_blob_gas};
use alloy_consensus::proofs::{calculate_transaction_root, calculate_withdrawals_root};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{B256, U256};
use alloy_rpc_types_eth::BlockOverrides;
use heddle_primitives::{Header, SealedHeader, Transaction};

/// What is known of a header before its block is run. What is not asked for stays as in the parent, or is empty; without
/// validation gas is free.
pub(super) fn begin(rules: &ChainRules, parent: &SealedHeader, planned: &Planned<'_>, is_validated: bool) -> Header {
    let Planned { number, timestamp, request } = *planned;
    let nothing = BlockOverrides::default();
    let overrides = request.map_or(&nothing, |request| &request.overrides.block);
    let base_fee = || if is_validated { next_base_fee(rules, parent).unwrap_or_default() } else { 0 };
    let is_london = rules.is_london_active_at_block(number);
    let is_shanghai = rules.is_shanghai_active_at_timestamp(timestamp);
    let is_cancun = rules.is_cancun_active_at_timestamp(timestamp);
    let mut header = Header {
        parent_hash: parent.seal(),
        number,
        timestamp,
        beneficiary: overrides.coinbase.unwrap_or(parent.beneficiary),
        gas_limit: overrides.gas_limit.unwrap_or(parent.gas_limit),
        base_fee_per_gas: is_london.then(|| overrides.base_fee.map_or_else(base_fee, |fee| fee.saturating_to())),
        mix_hash: overrides.random.unwrap_or_default(),
        withdrawals_root: is_shanghai.then(|| calculate_withdrawals_root(planned.withdrawals())),
        excess_blob_gas: next_excess_blob_gas(rules, parent, timestamp),
        parent_beacon_block_root: is_cancun.then(|| overrides.beacon_root.unwrap_or_default()),
        slot_number: rules.is_amsterdam_active_at_timestamp(timestamp).then_some(number),
        ..Header::default()
    };
    let inherited = if rules.is_paris_certain(&header) { U256::ZERO } else { parent.difficulty };
    header.difficulty = overrides.difficulty.unwrap_or(inherited);
    header
}

/// Fills in what running the block gave.
pub(super) fn complete(
    rules: &ChainRules,
    header: Header,
    transactions: &[Transaction],
    outcome: &ExecutionOutcome,
    state_root: B256,
) -> Header {
    let is_cancun = rules.is_cancun_active_at_timestamp(header.timestamp);
    let is_prague = rules.is_prague_active_at_timestamp(header.timestamp);
    let is_amsterdam = rules.is_amsterdam_active_at_timestamp(header.timestamp);
    let access_list_hash = outcome.access_list_hash();
    let extra_data = rules.is_heddle().then(|| heddle_extra_data(rules, &header, access_list_hash));
    Header {
        state_root,
        transactions_root: calculate_transaction_root(transactions),
        receipts_root: outcome.receipts_root(),
        logs_bloom: outcome.logs_bloom(),
        gas_used: outcome.gas_used,
        blob_gas_used: is_cancun.then_some(outcome.blob_gas_used),
        requests_hash: is_prague.then(|| outcome.requests.requests_hash()),
        block_access_list_hash: is_amsterdam.then_some(access_list_hash),
        extra_data: extra_data.unwrap_or_default(),
        ..header
    }
}
