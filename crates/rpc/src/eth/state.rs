//! Accounts and storage after a block.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use heddle_chain::{ChainError, StateView};
use heddle_primitives::Account;
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.read("eth_getBalance", &["address", "block"], balance)?;
    registry.read("eth_getTransactionCount", &["address", "block"], transaction_count)?;
    registry.read("eth_getCode", &["address", "block"], code)?;
    registry.read("eth_getStorageAt", &["address", "slot", "block"], storage)
}

/// The account; an empty one when there is none.
fn account(state: &StateView, address: Address) -> Result<Account, MethodError> {
    Ok(state.account(address).map_err(ChainError::from)?.unwrap_or_default())
}

fn balance(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<U256, MethodError> {
    let address: Address = arguments.required()?;
    Ok(account(&backend.state(arguments.optional()?)?, address)?.balance)
}

/// The next nonce; with `pending`, counting the sender's transactions that wait in the mempool.
fn transaction_count(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<U64, MethodError> {
    let address: Address = arguments.required()?;
    let id: Option<BlockId> = arguments.optional()?;
    if id.is_some_and(|id| id.is_pending()) {
        return Ok(U64::from(pending_nonce(backend, address)?));
    }
    Ok(U64::from(account(&backend.state(id)?, address)?.nonce))
}

/// The nonce after all transactions of the sender that could follow each other into the next blocks.
pub(super) fn pending_nonce(backend: &Backend, sender: Address) -> Result<u64, MethodError> {
    let pooled = backend.mempool.pending_nonce(sender);
    let committed = account(&backend.chain.state(), sender)?.nonce;
    // A block may have been committed that the mempool does not know yet.
    Ok(pooled.map_or(committed, |nonce| nonce.max(committed)))
}

fn code(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Bytes, MethodError> {
    let address: Address = arguments.required()?;
    let state = backend.state(arguments.optional()?)?;
    Ok(state.code(account(&state, address)?.code_hash).map_err(ChainError::from)?)
}

fn storage(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<B256, MethodError> {
    let (address, slot) = (arguments.required()?, arguments.required()?);
    let value = backend.state(arguments.optional()?)?.storage(address, slot).map_err(ChainError::from)?;
    Ok(value.into())
}
