//! What a block pays without a transaction, before the merge.

use crate::ChainRules;
use alloy_evm::block::calc::{base_block_reward, block_reward, ommer_reward};
use alloy_primitives::U256;
use alloy_rpc_types_trace::parity::{RewardAction, RewardType};
use heddle_primitives::Header;

/// The rewards of a block's author and then of its ommers' authors; none after the merge.
pub fn block_rewards(rules: &ChainRules, header: &Header, ommers: &[Header]) -> Vec<RewardAction> {
    let Some(base) = base_block_reward(rules.at(header), header.number) else { return Vec::new() };
    let reward = |author, reward_type, value| RewardAction { author, reward_type, value: U256::from(value) };
    let of_block = reward(header.beneficiary, RewardType::Block, block_reward(base, ommers.len()));
    let of_ommers = ommers
        .iter()
        .map(|ommer| reward(ommer.beneficiary, RewardType::Uncle, ommer_reward(base, header.number, ommer.number)));
    [of_block].into_iter().chain(of_ommers).collect()
}
