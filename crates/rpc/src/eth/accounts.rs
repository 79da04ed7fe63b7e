//! Accounts whose keys the node holds, on development chains.

use super::state::pending_nonce;
use super::transactions::submit;
use crate::DevAccounts;
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
use alloy_signer_local::PrivateKeySigner;
use heddle_chain::Overrides;
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
    let signer = dev_signer(backend, request.from)?;
    fill(backend, &mut request)?;

    let _sending = backend.dev_accounts.as_ref().map(DevAccounts::lock_sending);
    if request.nonce.is_none() {
        request.nonce = Some(pending_nonce(backend, signer.address())?);
    }
    let unsigned = build(request)?;
    let signature =
        signer.sign_hash_sync(&unsigned.signature_hash()).map_err(|error| MethodError::Internal(error.to_string()))?;
    submit(backend, &unsigned.into_envelope(signature).encoded_2718(), arguments.received())
}

/// The key of a sender, which must be one of the node's.
pub(super) fn dev_signer(backend: &Backend, sender: Option<Address>) -> Result<&PrivateKeySigner, MethodError> {
    let signer = sender.zip(backend.dev_accounts.as_ref()).and_then(|(sender, accounts)| accounts.signer(sender));
    signer.ok_or_else(|| MethodError::Rejected("unknown account".to_owned()))
}

/// The transaction that a request describes in full.
pub(super) fn build(request: TransactionRequest) -> Result<TypedTransaction, MethodError> {
    request.build_consensus_tx().map_err(|error| MethodError::Rejected(error.error))
}

/// Chain id, fees and gas; everything but the nonce.
pub(super) fn fill(backend: &Backend, request: &mut TransactionRequest) -> Result<(), MethodError> {
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
        let (number, overrides) = (backend.head_number(), Overrides::default());
        let gas = backend.limited(|limits| backend.chain.estimate_gas(number, &call, &overrides, limits))?;
        request.gas = Some(gas);
    }
    Ok(())
}
