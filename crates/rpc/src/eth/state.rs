//! Accounts and storage after a block.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert;
use crate::error::MethodError;
use crate::pending::State;
use crate::registry::Registry;
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use heddle_primitives::Account;
use jsonrpsee::server::RegisterMethodError;
use std::collections::BTreeMap;

/// Most slots of one `eth_getStorageValues`.
const STORAGE_VALUES_MAX: usize = 1_024;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.recall("eth_getBalance", &["address", "block"], recent_balance, balance)?;
    registry.recall("eth_getTransactionCount", &["address", "block"], recent_nonce, transaction_count)?;
    registry.read("eth_getCode", &["address", "block"], code)?;
    registry.read("eth_getStorageAt", &["address", "slot", "block"], storage)?;
    registry.read("eth_getStorageValues", &["slots", "block"], storage_values)
}

/// The account; an empty one when there is none.
fn account(state: &State, address: Address) -> Result<Account, MethodError> {
    Ok(state.account(address)?.unwrap_or_default())
}

/// The account at the head, if it is in memory.
fn recent_account(backend: &Backend, arguments: &mut Arguments<'_>) -> Option<Account> {
    let address = arguments.required().ok()?;
    let head = backend.named_head(arguments.optional().ok()?)?;
    Some(head.state().cached_account(address)?.unwrap_or_default())
}

fn recent_balance(backend: &Backend, arguments: &mut Arguments<'_>) -> Option<U256> {
    recent_account(backend, arguments).map(|account| account.balance)
}

fn recent_nonce(backend: &Backend, arguments: &mut Arguments<'_>) -> Option<U64> {
    recent_account(backend, arguments).map(|account| U64::from(account.nonce))
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
    let committed = account(&State::Committed(backend.chain.state()), sender)?.nonce;
    // A block may have been committed that the mempool does not know yet.
    Ok(pooled.map_or(committed, |nonce| nonce.max(committed)))
}

fn code(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Bytes, MethodError> {
    let address: Address = arguments.required()?;
    let state = backend.state(arguments.optional()?)?;
    Ok(state.code(account(&state, address)?.code_hash)?)
}

fn storage(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<B256, MethodError> {
    let (address, slot) = (arguments.required()?, arguments.required::<String>()?);
    let slot = convert::storage_key(&slot)?;
    let state = backend.state(arguments.optional()?)?;
    let value = state.storage(address, slot.as_b256().into())?;
    Ok(value.into())
}

/// The slots of several accounts, in the order asked for.
fn storage_values(
    backend: &Backend,
    arguments: &mut Arguments<'_>,
) -> Result<BTreeMap<Address, Vec<B256>>, MethodError> {
    let wanted: BTreeMap<Address, Vec<B256>> = arguments.required()?;
    match wanted.values().map(Vec::len).sum::<usize>() {
        0 => return Err(MethodError::InvalidParams("empty request".to_owned())),
        1..=STORAGE_VALUES_MAX => {}
        _ => return Err(MethodError::TooManyItems(format!("too many slots (max {STORAGE_VALUES_MAX})"))),
    }
    let state = backend.state(arguments.optional()?)?;
    let value =
        |address: Address, slot: B256| -> Result<B256, MethodError> { Ok(state.storage(address, slot.into())?.into()) };
    let values = |(address, slots): (Address, Vec<B256>)| {
        let values = slots.into_iter().map(|slot| value(address, slot)).collect::<Result<_, _>>()?;
        Ok((address, values))
    };
    wanted.into_iter().map(values).collect()
}
