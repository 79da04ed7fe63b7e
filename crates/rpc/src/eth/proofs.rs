//! Merkle proofs of state (EIP-1186).

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert;
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_primitives::{Address, U256};
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, EIP1186StorageProof};
use alloy_serde::JsonStorageKey;
use heddle_chain::AccountProof;
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.scan("eth_getProof", &["address", "storageKeys", "block"], proof)
}

fn proof(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<EIP1186AccountProofResponse, MethodError> {
    let address: Address = arguments.required()?;
    let keys: Vec<String> = arguments.required()?;
    let keys_max = backend.limits.proof_slots;
    if keys.len() > keys_max {
        let message = format!("too many slots ({} requested, at most {keys_max} are allowed)", keys.len());
        return Err(MethodError::InvalidParams(message));
    }
    let keys = keys.iter().map(|key| convert::storage_key(key)).collect::<Result<Vec<_>, _>>()?;
    let number = backend.state_number(arguments.optional()?)?;
    let slots: Vec<_> = keys.iter().map(|key| U256::from_be_bytes(key.as_b256().0)).collect();
    let proof = backend.chain.proof(number, address, &slots, &backend.limits.proofs)?;
    Ok(response(proof, keys))
}

/// In go-ethereum's shape; a key is given back as it was asked for, at full width or as a number. An account that does
/// not exist has the values of an empty one.
fn response(proof: AccountProof, keys: Vec<JsonStorageKey>) -> EIP1186AccountProofResponse {
    let account = proof.account.unwrap_or_default();
    let slots = proof.storage.into_iter().zip(keys);
    EIP1186AccountProofResponse {
        address: proof.address,
        balance: account.balance,
        code_hash: account.code_hash,
        nonce: account.nonce,
        storage_hash: account.storage_root,
        account_proof: proof.proof,
        storage_proof: slots
            .map(|(slot, key)| EIP1186StorageProof { key, value: slot.value, proof: slot.proof })
            .collect(),
    }
}
