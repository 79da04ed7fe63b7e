//! What keeps a transaction out of the next block, and what would change that.

use crate::backend::Backend;
use crate::error::MethodError;
use crate::ports::ConsensusReport;
use alloy_consensus::Transaction as _;
use alloy_primitives::{TxHash, U64, U256};
use heddle_chain::ChainError;
use heddle_mempool::PoolTransaction;
use heddle_primitives::ValidatorAddress;
use serde::Serialize;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// How much longer than two block times a height may take before the chain counts as stalled.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a transaction is stuck, or that it is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Obstacle {
    /// A block has it.
    Mined { block_number: U64 },
    /// This node does not have it.
    Unknown,
    /// The node judges by an old state.
    Syncing { head: U64, highest: U64 },
    /// Nobody builds blocks.
    ReadOnly,
    /// No block has come for long, of whatever transactions.
    Stalled { height: U64, seconds: U64, voted_power: U64, quorum_power: U64, silent: Vec<ValidatorAddress> },
    /// A transaction of its sender that goes before it is missing.
    NonceGap { nonce: U64, missing: U64 },
    /// Its sender cannot pay for it and for those that go before it. In wei.
    InsufficientFunds { balance: U256, needed: U256 },
    /// It, or one of its sender that goes before it, does not pay the next block's base fee. In wei per gas.
    FeeCapTooLow { nonce: U64, is_own: bool, fee_cap: U256, base_fee: U64 },
    /// Others that pay more fill the next block. Tips in wei per gas.
    TipTooLow { ahead: U64, gas_ahead: U64, block_gas: U64, tip: U256, tip_of_block: U256 },
    /// Nothing is in its way.
    NextBlock,
}

/// What keeps this transaction, mined or not, known or not.
pub(crate) fn of(backend: &Backend, hash: TxHash) -> Result<Obstacle, MethodError> {
    // The mempool is asked first: a block may take the transaction out of it between the two questions.
    let pooled = backend.mempool.get(&hash);
    if let Some(location) = backend.chain.transaction(hash)? {
        return Ok(Obstacle::Mined { block_number: U64::from(location.number) });
    }
    if let Some(progress) = backend.node.sync_progress() {
        let (head, highest) = (U64::from(progress.current), U64::from(progress.highest));
        return Ok(Obstacle::Syncing { head, highest });
    }
    let Some(transaction) = pooled else { return Ok(Obstacle::Unknown) };
    if let Some(obstacle) = before_its_turn(backend, &transaction)? {
        return Ok(obstacle);
    }
    if !backend.chain.rules().is_heddle() {
        return Ok(Obstacle::ReadOnly);
    }
    let outbid = || outbid(backend, hash).unwrap_or(Obstacle::NextBlock);
    Ok(stalled(backend).unwrap_or_else(outbid))
}

/// What its sender's account, its other transactions and its own fee cap have against this transaction.
pub(crate) fn before_its_turn(
    backend: &Backend,
    transaction: &PoolTransaction,
) -> Result<Option<Obstacle>, MethodError> {
    let (sender, nonce) = (transaction.sender(), transaction.nonce());
    let content = backend.mempool.content_from(sender);
    let head = backend.chain.head();
    let account = head.state().account(sender).map_err(ChainError::from)?.unwrap_or_default();
    let (mut next, mut needed) = (account.nonce, U256::ZERO);
    let in_order = content.pending.iter().chain(&content.queued).filter(|other| other.nonce() >= account.nonce);
    for other in in_order.take_while(|other| other.nonce() <= nonce) {
        if other.nonce() != next {
            return Ok(Some(Obstacle::NonceGap { nonce: U64::from(nonce), missing: U64::from(next) }));
        }
        next = next.saturating_add(1);
        needed = needed.saturating_add(other.cost());
        if needed > account.balance {
            return Ok(Some(Obstacle::InsufficientFunds { balance: account.balance, needed }));
        }
        let fee_cap = other.recovered().max_fee_per_gas();
        if fee_cap < u128::from(head.next_base_fee) {
            return Ok(Some(Obstacle::FeeCapTooLow {
                nonce: U64::from(other.nonce()),
                is_own: other.nonce() == nonce,
                fee_cap: U256::from(fee_cap),
                base_fee: U64::from(head.next_base_fee),
            }));
        }
    }
    Ok(None)
}

/// When no block has come for long: who does not vote.
fn stalled(backend: &Backend) -> Option<Obstacle> {
    let block_time = backend.chain.genesis().heddle()?.block_time;
    let ConsensusReport { position, quorum_power, validators, .. } = backend.node.consensus()?;
    let now = backend.node.report().time;
    let duration = Duration::from_millis(now.saturating_sub(position.height_since).to());
    if duration <= block_time * 2 + PATIENCE {
        return None;
    }
    let (voted, silent): (Vec<_>, Vec<_>) =
        validators.iter().partition(|validator| validator.prevote.is_some() || validator.precommit.is_some());
    Some(Obstacle::Stalled {
        height: position.height,
        seconds: U64::from(duration.as_secs()),
        voted_power: voted.iter().fold(U64::ZERO, |power, validator| power.saturating_add(validator.power)),
        quorum_power,
        silent: silent.iter().map(|validator| validator.address).collect(),
    })
}

/// When those that go first fill a block: what the last that fits pays.
fn outbid(backend: &Backend, hash: TxHash) -> Option<Obstacle> {
    let head = backend.chain.head();
    let (block_gas, base_fee) = (head.header.gas_limit, head.next_base_fee);
    let (mut ahead, mut gas_ahead, mut tip_of_block) = (0_u64, 0_u64, 0_u128);
    for candidate in backend.mempool.best() {
        let gas = gas_ahead.saturating_add(candidate.gas_limit());
        let tip = candidate.effective_tip_per_gas(base_fee).unwrap_or_default();
        if *candidate.tx_hash() == hash {
            let own_tip = U256::from(tip);
            return (gas > block_gas).then(|| Obstacle::TipTooLow {
                ahead: U64::from(ahead),
                gas_ahead: U64::from(gas_ahead),
                block_gas: U64::from(block_gas),
                tip: own_tip,
                tip_of_block: U256::from(tip_of_block),
            });
        }
        if gas <= block_gas {
            tip_of_block = tip;
        }
        (ahead, gas_ahead) = (ahead + 1, gas);
    }
    None
}

impl Display for Obstacle {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mined { block_number } => write!(f, "block {block_number} has it, for good"),
            Self::Unknown => write!(
                f,
                "this node does not have it, because it was never sent here, or refused, replaced or dropped: send it \
                 again, and the answer says what is wrong with it"
            ),
            Self::Syncing { head, highest } => write!(
                f,
                "this node is at block {head} of {highest} and cannot judge: ask again when it has caught up, or ask \
                 another node"
            ),
            Self::ReadOnly => {
                write!(f, "nobody builds blocks of this chain, because its genesis has no heddle section")
            }
            Self::Stalled { height, seconds, voted_power, quorum_power, silent } => {
                write!(
                    f,
                    "no block has come for {seconds} s, because validators with power {voted_power} have voted on block \
                     {height} in the present round, and {quorum_power} decides"
                )?;
                let names = Vec::from_iter(silent.iter().map(ToString::to_string)).join(", ");
                if names.is_empty() { Ok(()) } else { write!(f, ": bring back {names}") }
            }
            Self::NonceGap { nonce, missing } => write!(
                f,
                "its nonce is {nonce}, and its sender's transaction with nonce {missing} is missing: send that one first"
            ),
            Self::InsufficientFunds { balance, needed } => write!(
                f,
                "its sender has {balance} wei, and it and those before it may cost {needed} wei: send the sender {} wei more",
                needed.saturating_sub(*balance)
            ),
            Self::FeeCapTooLow { is_own: true, fee_cap, base_fee, .. } => write!(
                f,
                "it pays at most {fee_cap} wei per gas, and the next block's base fee is {base_fee}: replace it with one \
                 that pays more, or wait until the base fee falls"
            ),
            Self::FeeCapTooLow { nonce, fee_cap, base_fee, .. } => write!(
                f,
                "its sender's transaction with nonce {nonce} goes before it and pays at most {fee_cap} wei per gas, and the \
                 next block's base fee is {base_fee}: replace that one, or wait until the base fee falls"
            ),
            Self::TipTooLow { ahead, gas_ahead, block_gas, tip, tip_of_block } => write!(
                f,
                "it tips {tip} wei per gas, and {ahead} transactions with {gas_ahead} gas go before it, when a block has \
                 {block_gas}: replace it with one that tips more than {tip_of_block}, or wait"
            ),
            Self::NextBlock => write!(f, "nothing is in its way: one of the next blocks should have it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_and_people_can_read_it() {
        let gap = Obstacle::NonceGap { nonce: U64::from(7), missing: U64::from(5) };
        let json = serde_json::to_value(&gap).unwrap();
        assert_eq!(json, serde_json::json!({"reason": "nonce-gap", "nonce": "0x7", "missing": "0x5"}));
        let sentence = "its nonce is 7, and its sender's transaction with nonce 5 is missing: send that one first";
        assert_eq!(gap.to_string(), sentence);
        let unknown = serde_json::to_value(Obstacle::Unknown).unwrap();
        assert_eq!(unknown, serde_json::json!({"reason": "unknown"}));
    }
}
