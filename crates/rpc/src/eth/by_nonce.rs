//! `eth_getTransactionBySenderAndNonce`: for wallets, which know their nonces and not which replacement was mined.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert::{self, FoundTransaction};
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U64};
use heddle_chain::ChainError;
use jsonrpsee::server::RegisterMethodError;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.scan("eth_getTransactionBySenderAndNonce", &["sender", "nonce"], by_sender_and_nonce)
}

/// The transaction, mined or waiting; `null` also for a nonce that an EIP-7702 authorization used.
fn by_sender_and_nonce(
    backend: &Backend,
    arguments: &mut Arguments<'_>,
) -> Result<Option<FoundTransaction>, MethodError> {
    let (sender, nonce) = (arguments.required::<Address>()?, arguments.required::<U64>()?.to::<u64>());
    // Before the head: a block may take the transaction out of the mempool between the two questions.
    let content = backend.mempool.content_from(sender);
    let Some(number) = block_of_nonce(backend, sender, nonce)? else {
        let waiting = content.pending.into_iter().chain(content.queued).find(|waiting| waiting.nonce() == nonce);
        return Ok(convert::found(None, waiting.as_deref()));
    };
    let Some(stored) = backend.block_at(number)? else { return Ok(None) };
    let mut transactions = stored.block.body.transactions.iter().zip(&stored.senders);
    let place = transactions.position(|(transaction, from)| *from == sender && transaction.nonce() == nonce);
    Ok(convert::found(place.and_then(|place| convert::mined_transaction(&stored, place)), None))
}

/// The block after which the account's nonce was first above this one; `None` when it is not yet.
///
/// A search by halves: nonces never fall, but for accounts that destroyed themselves, which had code and sent nothing.
fn block_of_nonce(backend: &Backend, sender: Address, nonce: u64) -> Result<Option<u64>, MethodError> {
    let is_used = |number: u64| -> Result<bool, MethodError> {
        let account = backend.chain.state_at(number)?.account(sender).map_err(ChainError::from)?;
        Ok(account.unwrap_or_default().nonce > nonce)
    };
    let oldest = backend.chain.states_from()?;
    let (mut from, mut to) = (oldest, backend.head_number());
    if !is_used(to)? {
        return Ok(None);
    }
    while from < to {
        let middle = from + (to - from) / 2;
        if is_used(middle)? { to = middle } else { from = middle + 1 }
    }
    if to == oldest && oldest > backend.chain.genesis().header().number {
        return Err(MethodError::Rejected(format!(
            "nonce {nonce} was used in block {oldest} or before it: older states are not in this node's database"
        )));
    }
    Ok(Some(to))
}
