//! Accounts whose keys the node holds, on development chains.

use super::state::pending_nonce;
use super::transactions::submit;
use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert;
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_consensus::{SignableTransaction, TypedTransaction};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, TxHash, TxKind};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_signer::SignerSync;
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.memory("eth_accounts", &[], accounts)?;
    registry.execute("eth_sendTransaction", &["transaction"], send)
}

fn accounts(backend: &Backend, _: &mut Arguments<'_>) -> Result<Vec<Address>, MethodError> {
    Ok(backend.dev_accounts.iter().flat_map(|accounts| accounts.addresses()).collect())
}

/// Fills in what the request leaves open, signs, and submits.
fn send(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<TxHash, MethodError> {
    let mut request: TransactionRequest = arguments.required()?;
    let unknown = || MethodError::Rejected("unknown account".to_owned());
    let from = request.from.ok_or_else(unknown)?;
    let accounts = backend.dev_accounts.as_ref().ok_or_else(unknown)?;
    let signer = accounts.signer(from).ok_or_else(unknown)?;
    fill(backend, &mut request)?;

    let _sending = accounts.lock_sending();
    if request.nonce.is_none() {
        request.nonce = Some(pending_nonce(backend, from)?);
    }
    let unsigned: TypedTransaction =
        request.build_consensus_tx().map_err(|error| MethodError::Rejected(error.error))?;
    let signature =
        signer.sign_hash_sync(&unsigned.signature_hash()).map_err(|error| MethodError::Internal(error.to_string()))?;
    submit(backend, &unsigned.into_envelope(signature).encoded_2718(), arguments.received())
}

/// Chain id, fees and gas; everything but the nonce.
fn fill(backend: &Backend, request: &mut TransactionRequest) -> Result<(), MethodError> {
    let is_dynamic = request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some();
    if request.gas_price.is_some() && is_dynamic {
        let message = "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified";
        return Err(MethodError::Rejected(message.to_owned()));
    }
    let chain_id = backend.chain.genesis().chain_id();
    let call = convert::call_request(request.clone(), chain_id)?;
    request.chain_id = Some(chain_id);
    request.to.get_or_insert(TxKind::Create);
    if request.gas_price.is_none() {
        let base_fee = u128::from(backend.chain.head().next_base_fee);
        let tip = match (request.max_priority_fee_per_gas, request.max_fee_per_gas) {
            (Some(tip), _) => tip,
            (None, fee_cap) => backend.tip_samples.suggest(backend)?.min(fee_cap.unwrap_or(u128::MAX)),
        };
        request.max_priority_fee_per_gas = Some(tip);
        request.max_fee_per_gas.get_or_insert(tip.saturating_add(2 * base_fee));
    }
    if request.gas.is_none() {
        request.gas = Some(backend.chain.estimate_gas(backend.head_number(), &call, backend.limits.call_gas)?);
    }
    Ok(())
}
