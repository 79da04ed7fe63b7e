//! `eth_getTransactionBySenderAndNonce`: for wallets, which know their nonces and not which replacement was mined.

use crate::account_history::first_block;
use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert::{self, FoundTransaction};
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U64};
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
    // Nonces never fall, but for accounts that destroyed themselves, which had code and sent nothing.
    let Some(number) = first_block(backend, sender, |account| account.nonce > nonce)? else {
        let waiting = content.pending.into_iter().chain(content.queued).find(|waiting| waiting.nonce() == nonce);
        return Ok(convert::found(None, waiting.as_deref()));
    };
    let Some(stored) = backend.block_at(number)? else { return Ok(None) };
    let mut transactions = stored.block.body.transactions.iter().zip(&stored.senders);
    let place = transactions.position(|(transaction, from)| *from == sender && transaction.nonce() == nonce);
    Ok(convert::found(place.and_then(|place| convert::mined_transaction(&stored, place)), None))
}
