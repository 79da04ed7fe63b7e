//! What to pay: suggested tips, base fees, the history of both.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_consensus::Transaction as _;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::U256;
use alloy_rpc_types_eth::{FeeHistory, Index};
use heddle_chain::{PendingBlock, StoredBlock, next_base_fee};
use heddle_primitives::{Header, Receipt};
use jsonrpsee::server::RegisterMethodError;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Instant;

/// Blocks that a suggestion looks back over.
const SAMPLE_BLOCKS: u64 = 20;
/// Cheapest transactions of each block that count.
const SAMPLES_PER_BLOCK: usize = 3;
/// Which of the sampled tips is suggested.
const SAMPLE_PERCENTILE: usize = 60;
/// Suggested while there is nothing to sample, in wei per gas.
const TIP_DEFAULT: u128 = 1_000_000_000;
/// Lowest suggestion, in wei per gas: mempools refuse a tip of nothing.
const TIP_MIN: u128 = 1;
/// Highest suggestion, in wei per gas.
const TIP_MAX: u128 = 500_000_000_000;
/// Most blocks in one fee history.
const HISTORY_BLOCKS_MAX: u64 = 1_024;
/// Most reward percentiles in one fee history.
const HISTORY_PERCENTILES_MAX: usize = 100;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.read("eth_gasPrice", &[], gas_price)?;
    registry.read("eth_maxPriorityFeePerGas", &[], max_priority_fee_per_gas)?;
    registry.scan("eth_feeHistory", &["blockCount", "newestBlock", "rewardPercentiles"], fee_history)?;
    registry.memory("eth_baseFee", &[], base_fee)?;
    registry.memory("eth_blobBaseFee", &[], blob_base_fee)
}

/// The cheapest tips of recent blocks, by block number. Blocks are final, so what was sampled once stays true.
#[derive(Default)]
pub(crate) struct TipSamples(Mutex<BTreeMap<u64, Vec<u128>>>);

impl TipSamples {
    /// A tip that recent blocks accepted, in wei per gas: the 60th percentile of their three cheapest.
    pub(crate) fn suggest(&self, backend: &Backend) -> Result<u128, MethodError> {
        let head = backend.head_number();
        let oldest = head.saturating_sub(SAMPLE_BLOCKS - 1).max(1);
        let mut samples = self.0.lock();
        samples.retain(|number, _| *number >= oldest);
        for number in oldest..=head {
            if !samples.contains_key(&number)
                && let Some(stored) = backend.chain.block(number)?
            {
                samples.insert(number, cheapest_tips(&stored));
            }
        }
        let mut tips = Vec::from_iter(samples.values().flatten().copied());
        tips.sort_unstable();
        let index = tips.len().saturating_sub(1) * SAMPLE_PERCENTILE / 100;
        Ok(tips.get(index).copied().unwrap_or(TIP_DEFAULT).clamp(TIP_MIN, TIP_MAX))
    }
}

fn cheapest_tips(stored: &StoredBlock) -> Vec<u128> {
    let base_fee = stored.header.base_fee_per_gas.unwrap_or_default();
    let transactions = stored.block.body.transactions.iter();
    let mut tips = Vec::from_iter(transactions.filter_map(|tx| tx.effective_tip_per_gas(base_fee)));
    tips.sort_unstable();
    tips.truncate(SAMPLES_PER_BLOCK);
    tips
}

fn gas_price(backend: &Backend, _: &mut Arguments<'_>) -> Result<U256, MethodError> {
    let tip = backend.tip_samples.suggest(backend)?;
    Ok(U256::from(tip) + U256::from(backend.chain.head().next_base_fee))
}

fn max_priority_fee_per_gas(backend: &Backend, _: &mut Arguments<'_>) -> Result<U256, MethodError> {
    Ok(U256::from(backend.tip_samples.suggest(backend)?))
}

/// The base fee of the next block, in wei per gas; zero before London.
fn base_fee(backend: &Backend, _: &mut Arguments<'_>) -> Result<U256, MethodError> {
    Ok(U256::from(backend.chain.head().next_base_fee))
}

/// The price of blob gas in the next block, in wei per blob gas.
fn blob_base_fee(backend: &Backend, _: &mut Arguments<'_>) -> Result<U256, MethodError> {
    let head = backend.chain.head();
    Ok(U256::from(next_blob_fee(backend, &head.header)))
}

/// Zero before Cancun.
fn blob_fee(backend: &Backend, header: &Header) -> u128 {
    backend.chain.rules().blob_params(header.timestamp).and_then(|params| header.blob_fee(params)).unwrap_or_default()
}

/// Zero before Cancun.
fn next_blob_fee(backend: &Backend, header: &Header) -> u128 {
    let params = backend.chain.rules().blob_params(header.timestamp);
    params.and_then(|params| header.next_block_blob_fee(params)).unwrap_or_default()
}

fn fee_history(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<FeeHistory, MethodError> {
    let (Index(count), tag) = (arguments.required()?, arguments.required::<BlockNumberOrTag>()?);
    let percentiles: Vec<f64> = arguments.optional()?.unwrap_or_default();
    check_percentiles(&percentiles)?;
    let pending = backend.pending_for(tag.into())?;
    let newest = match &pending {
        Some(pending) => pending.header().number,
        None => newest_committed(backend, tag)?,
    };
    let oldest = backend.chain.headers_from();
    let known = newest.checked_sub(oldest).ok_or_else(|| {
        MethodError::Rejected(format!("request before oldest block: requested {newest}, oldest {oldest}"))
    })?;
    // As in go-ethereum: where there is no pending block, its row is left out.
    let asked = (count as u64).saturating_sub(u64::from(tag.is_pending() && pending.is_none()));
    let count = asked.min(HISTORY_BLOCKS_MAX).min(known + 1);
    let mut history = FeeHistory { oldest_block: newest + 1 - count, ..FeeHistory::default() };
    let (mut last, started, time) = (None, Instant::now(), backend.limits.call_time);
    for number in newest + 1 - count..newest + 1 - u64::from(pending.is_some()).min(count) {
        if started.elapsed() >= time {
            let message = format!("fee history takes longer than {} ms, ask for fewer blocks", time.as_millis());
            return Err(MethodError::LimitExceeded(message));
        }
        let Some(header) = backend.chain.header(number)? else { continue };
        append(backend, &mut history, &header);
        append_rewards(&mut history, &percentiles, || block_rewards(backend, number, &percentiles))?;
        last = Some(header);
    }
    if let Some(PendingBlock { block, receipts, .. }) = pending.as_deref().filter(|_| count > 0) {
        append(backend, &mut history, &block.header);
        append_rewards(&mut history, &percentiles, || Ok(stored_rewards(block, receipts, &percentiles)))?;
        last = Some(block.header.clone());
    }
    let Some(last) = last else { return Ok(FeeHistory::default()) };
    let next = next_base_fee(backend.chain.rules(), &last).unwrap_or_default();
    history.base_fee_per_gas.push(u128::from(next));
    history.base_fee_per_blob_gas.push(next_blob_fee(backend, &last));
    Ok(history)
}

/// The number of a block that is there.
fn newest_committed(backend: &Backend, tag: BlockNumberOrTag) -> Result<u64, MethodError> {
    backend.number_of_tag(tag).ok_or_else(|| {
        let (requested, head) = (tag.as_number().unwrap_or_default(), backend.head_number());
        MethodError::Rejected(format!("request beyond head block: requested {requested}, head {head}"))
    })
}

/// A row of rewards, if there are to be any.
fn append_rewards(
    history: &mut FeeHistory,
    percentiles: &[f64],
    rewards: impl FnOnce() -> Result<Vec<u128>, MethodError>,
) -> Result<(), MethodError> {
    if !percentiles.is_empty() {
        history.reward.get_or_insert_default().push(rewards()?);
    }
    Ok(())
}

fn check_percentiles(percentiles: &[f64]) -> Result<(), MethodError> {
    if percentiles.len() > HISTORY_PERCENTILES_MAX {
        let message = format!("invalid reward percentile: over the query limit {HISTORY_PERCENTILES_MAX}");
        return Err(MethodError::Rejected(message));
    }
    if let Some(percentile) = percentiles.iter().find(|percentile| !(0.0..=100.0).contains(*percentile)) {
        return Err(MethodError::Rejected(format!("invalid reward percentile: {percentile:.6}")));
    }
    for (index, pair) in percentiles.windows(2).enumerate() {
        if let [before, after] = pair
            && before >= after
        {
            let message = format!("invalid reward percentile: #{index}:{before:.6} >= #{}:{after:.6}", index + 1);
            return Err(MethodError::Rejected(message));
        }
    }
    Ok(())
}

fn append(backend: &Backend, history: &mut FeeHistory, header: &Header) {
    let ratio = |used: u64, most: u64| if most == 0 { 0.0 } else { used as f64 / most as f64 };
    let blob_gas_max =
        backend.chain.rules().blob_params(header.timestamp).map_or(0, |params| params.max_blob_gas_per_block());
    history.base_fee_per_gas.push(u128::from(header.base_fee_per_gas.unwrap_or_default()));
    history.gas_used_ratio.push(ratio(header.gas_used, header.gas_limit));
    history.base_fee_per_blob_gas.push(blob_fee(backend, header));
    history.blob_gas_used_ratio.push(ratio(header.blob_gas_used.unwrap_or_default(), blob_gas_max));
}

fn block_rewards(backend: &Backend, number: u64, percentiles: &[f64]) -> Result<Vec<u128>, MethodError> {
    let (Some(stored), Some(receipts)) = (backend.chain.block(number)?, backend.chain.receipts(number)?) else {
        return Ok(vec![0; percentiles.len()]);
    };
    Ok(stored_rewards(&stored, &receipts, percentiles))
}

fn stored_rewards(stored: &StoredBlock, receipts: &[Receipt], percentiles: &[f64]) -> Vec<u128> {
    rewards(&gas_and_tips(stored, receipts), stored.header.gas_used, percentiles)
}

/// Each transaction's gas used and effective tip, the lowest tip first.
fn gas_and_tips(stored: &StoredBlock, receipts: &[Receipt]) -> Vec<(u64, u128)> {
    let base_fee = stored.header.base_fee_per_gas.unwrap_or_default();
    let mut gas_before = 0;
    let transactions = stored.block.body.transactions.iter().zip(receipts);
    let mut items = Vec::from_iter(transactions.map(|(tx, receipt)| {
        let gas_used = receipt.cumulative_gas_used() - gas_before;
        gas_before = receipt.cumulative_gas_used();
        (gas_used, tx.effective_tip_per_gas(base_fee).unwrap_or_default())
    }));
    items.sort_by_key(|(_, tip)| *tip);
    items
}

/// For each percentile of the block's gas, the tip of the transaction at that point; zeros for an empty block.
fn rewards(items: &[(u64, u128)], gas_used: u64, percentiles: &[f64]) -> Vec<u128> {
    let mut gas_so_far = 0;
    let mut rest = items.iter();
    let mut reward = 0;
    let mut at = |percentile: &f64| {
        let threshold = (gas_used as f64 * percentile / 100.0) as u64;
        while gas_so_far < threshold || gas_so_far == 0 {
            let Some((gas, tip)) = rest.next() else { break };
            gas_so_far += gas;
            reward = *tip;
        }
        reward
    };
    percentiles.iter().map(&mut at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewards_are_weighted_by_gas() {
        let items = [(10, 1), (80, 5), (10, 9)];
        assert_eq!(rewards(&items, 100, &[0.0, 10.0, 11.0, 50.0, 90.0, 91.0, 100.0]), [1, 1, 5, 5, 5, 9, 9]);
        assert_eq!(rewards(&[], 0, &[0.0, 100.0]), [0, 0]);
    }

    #[test]
    fn percentiles_rise_within_0_to_100() {
        let message = |percentiles: &[f64]| check_percentiles(percentiles).unwrap_err().to_string();
        assert_eq!(check_percentiles(&[0.0, 50.0, 100.0]), Ok(()));
        assert_eq!(message(&[101.0]), "invalid reward percentile: 101.000000");
        assert_eq!(message(&[-1.0]), "invalid reward percentile: -1.000000");
        assert_eq!(message(&[20.0, 10.0]), "invalid reward percentile: #0:20.000000 >= #1:10.000000");
        assert_eq!(message(&[0.0; 101]), "invalid reward percentile: over the query limit 100");
    }
}
