//! Completing and signing transactions and messages without sending them. Only a devnet's accounts sign.

use super::accounts::{build, dev_signer, fill};
use super::state::pending_nonce;
use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert::{self, WaitingTransaction};
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_consensus::{SignableTransaction, TypedTransaction};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, Bytes, Signature};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_signer::SignerSync;
use heddle_primitives::Transaction;
use jsonrpsee::server::RegisterMethodError;
use serde::Serialize;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.execute("eth_fillTransaction", &["transaction"], fill_transaction)?;
    registry.read("eth_signTransaction", &["transaction"], sign_transaction)?;
    registry.read("eth_sign", &["address", "message"], sign)?;
    registry.scan("eth_pendingTransactions", &[], pending_transactions)
}

/// A transaction, encoded and as an object.
#[derive(Serialize)]
struct Encoded {
    raw: Bytes,
    tx: Transaction,
}

impl Encoded {
    fn new(unsigned: TypedTransaction, signature: Signature) -> Self {
        let tx = Transaction::from(unsigned.into_envelope(signature));
        Self { raw: tx.encoded_2718().into(), tx }
    }
}

/// What `eth_sendTransaction` would sign, with zeros for the signature.
fn fill_transaction(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Encoded, MethodError> {
    let mut request: TransactionRequest = arguments.required()?;
    fill(backend, &mut request)?;
    if request.nonce.is_none() {
        request.nonce = Some(pending_nonce(backend, request.from.unwrap_or_default())?);
    }
    Ok(Encoded::new(build(request)?, Signature::new(Default::default(), Default::default(), false)))
}

/// Nothing is filled in: whoever signs says what.
fn sign_transaction(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Encoded, MethodError> {
    let mut request: TransactionRequest = arguments.required()?;
    let has_fees = request.gas_price.is_some()
        || (request.max_fee_per_gas.is_some() && request.max_priority_fee_per_gas.is_some());
    for (is_there, message) in [
        (request.gas.is_some(), "gas not specified"),
        (has_fees, "missing gasPrice or maxFeePerGas/maxPriorityFeePerGas"),
        (request.nonce.is_some(), "nonce not specified"),
    ] {
        if !is_there {
            return Err(MethodError::Rejected(message.to_owned()));
        }
    }
    let signer = dev_signer(backend, request.from)?;
    fill(backend, &mut request)?;
    let unsigned = build(request)?;
    let signature = signer.sign_hash_sync(&unsigned.signature_hash());
    Ok(Encoded::new(unsigned, signature.map_err(|error| MethodError::Internal(error.to_string()))?))
}

/// Signs a message as wallets do (EIP-191): it can never be a transaction.
fn sign(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Bytes, MethodError> {
    let (address, message): (Address, Bytes) = (arguments.required()?, arguments.required()?);
    let signature = dev_signer(backend, Some(address))?.sign_message_sync(&message);
    let signature = signature.map_err(|error| MethodError::Internal(error.to_string()))?;
    Ok(signature.as_bytes().into())
}

/// What waits in the mempool of the accounts that the node signs for.
fn pending_transactions(backend: &Backend, _: &mut Arguments<'_>) -> Result<Vec<WaitingTransaction>, MethodError> {
    let own = backend.dev_accounts.iter().flat_map(|accounts| accounts.addresses());
    let waiting = own.flat_map(|address| backend.mempool.content_from(address).pending);
    Ok(waiting.map(|transaction| convert::pending_transaction(&transaction)).collect())
}
