//! Transactions that nobody signed.

use crate::{CallError, CallRequest};
use alloy_consensus::{
    SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy, transaction::Recovered,
};
use alloy_primitives::{Address, Signature, TxKind, U256};
use heddle_primitives::{RecoveredTransaction, Transaction};

/// The transaction that a message would be, with a signature of zeros. Its type follows from its fields: legacy when it
/// has a gas price, otherwise with a fee market.
pub(super) fn unsigned(
    request: &CallRequest,
    nonce: u64,
    gas_limit: u64,
    chain_id: u64,
) -> Result<RecoveredTransaction, CallError> {
    let CallRequest { to, value, data: input, access_list, .. } = request.clone();
    let access_list = access_list.unwrap_or_default();
    let kind = to.map_or(TxKind::Create, TxKind::Call);
    let max_fee_per_gas = request.max_fee_per_gas.unwrap_or_default();
    let max_priority_fee_per_gas = request.max_priority_fee_per_gas.unwrap_or_default();
    let transaction = if !request.authorization_list.is_empty() {
        let authorization_list = request.authorization_list.clone();
        let to = recipient(to)?;
        sign(TxEip7702 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            authorization_list,
            input,
        })
    } else if !request.blob_hashes.is_empty() {
        let blob_versioned_hashes = request.blob_hashes.clone();
        let max_fee_per_blob_gas = request.max_fee_per_blob_gas.unwrap_or_default();
        let to = recipient(to)?;
        sign(TxEip4844 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            blob_versioned_hashes,
            max_fee_per_blob_gas,
            input,
        })
    } else {
        match request.gas_price {
            None => sign(TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to: kind,
                value,
                access_list,
                input,
            }),
            Some(gas_price) if access_list.is_empty() => {
                sign(TxLegacy { chain_id: Some(chain_id), nonce, gas_price, gas_limit, to: kind, value, input })
            }
            Some(gas_price) => {
                sign(TxEip2930 { chain_id, nonce, gas_price, gas_limit, to: kind, value, access_list, input })
            }
        }
    };
    Ok(Recovered::new_unchecked(transaction, request.from))
}

fn recipient(to: Option<Address>) -> Result<Address, CallError> {
    to.ok_or_else(|| CallError::Rejected("a transaction with blobs or authorizations needs a recipient".to_owned()))
}

fn sign<T: SignableTransaction<Signature>>(transaction: T) -> Transaction
where
    Transaction: From<alloy_consensus::Signed<T>>,
{
    transaction.into_signed(Signature::new(U256::ZERO, U256::ZERO, false)).into()
}
