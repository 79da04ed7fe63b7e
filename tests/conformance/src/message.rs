//! The transaction of a state test: alternatives for some of its fields, of which a case picks one each.

use crate::number::{Number, callee, parse_bytes};
use alloy_consensus::{
    EthereumTxEnvelope, EthereumTypedTransaction, SignableTransaction, Transaction as _, TxEip1559, TxEip2930,
    TxEip4844, TxLegacy,
};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use heddle_primitives::Transaction;
use serde::Deserialize;

/// The fields. Numbers stay texts: one that does not fit its field makes a case's transaction invalid, not the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message {
    data: Vec<String>,
    gas_limit: Vec<String>,
    value: Vec<String>,
    nonce: String,
    gas_price: Option<String>,
    max_fee_per_gas: Option<String>,
    max_priority_fee_per_gas: Option<String>,
    #[serde(default, deserialize_with = "callee")]
    to: Option<Address>,
    access_lists: Option<Vec<Option<Vec<AccessEntry>>>>,
    secret_key: Option<B256>,
    /// Who signs it.
    pub(crate) sender: Option<Address>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessEntry {
    address: Address,
    storage_keys: Vec<Number>,
}

/// Which alternatives a case picks.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Indexes {
    #[serde(default)]
    data: usize,
    #[serde(default)]
    gas: usize,
    #[serde(default)]
    value: usize,
}

impl std::fmt::Display for Indexes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "d{}g{}v{}", self.data, self.gas, self.value)
    }
}

impl Message {
    /// Signs a case's transaction: for fixtures that do not give its bytes, which were made before blobs.
    pub(crate) fn sign(&self, at: Indexes, chain_id: u64) -> Result<Transaction, String> {
        let key = self.secret_key.ok_or("there is neither txbytes nor secretKey")?;
        let signer = PrivateKeySigner::from_bytes(&key).map_err(|error| format!("secretKey: {error}"))?;
        let unsigned = self.unsigned(at, chain_id)?;
        let signature = signer.sign_hash_sync(&unsigned.signature_hash()).map_err(|error| error.to_string())?;
        Ok(EthereumTxEnvelope::from(unsigned.into_signed(signature)))
    }

    /// Says which field of a transaction is not what the fixture says beside its bytes. Fields that do not fit are not
    /// compared: such a transaction cannot be encoded, so its bytes are of something else.
    pub(crate) fn contradiction(&self, at: Indexes, decoded: &Transaction) -> Option<String> {
        let input = alternative(&self.data, at.data).and_then(parse_bytes);
        let gas_limit = alternative(&self.gas_limit, at.gas).and_then(parse::<u64>);
        let value = alternative(&self.value, at.value).and_then(parse::<U256>);
        let differs = [
            ("data", input.is_ok_and(|input| input != *decoded.input())),
            ("gasLimit", gas_limit.is_ok_and(|gas| gas != decoded.gas_limit())),
            ("value", value.is_ok_and(|value| value != decoded.value())),
            ("to", self.to != decoded.to()),
        ];
        differs.into_iter().find(|(_, differs)| *differs).map(|(field, _)| format!("txbytes have another {field}"))
    }

    fn unsigned(&self, at: Indexes, chain_id: u64) -> Result<EthereumTypedTransaction<TxEip4844>, String> {
        let nonce = parse(&self.nonce)?;
        let gas_limit = parse(alternative(&self.gas_limit, at.gas)?)?;
        let value = parse(alternative(&self.value, at.value)?)?;
        let input: Bytes = parse_bytes(alternative(&self.data, at.data)?)?;
        let to = self.to.map_or(TxKind::Create, TxKind::Call);
        let access_list = self.access_list(at);
        if let Some(max_fee) = &self.max_fee_per_gas {
            return Ok(EthereumTypedTransaction::Eip1559(TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: parse(max_fee)?,
                max_priority_fee_per_gas: parse(self.max_priority_fee_per_gas.as_deref().unwrap_or_default())?,
                to,
                value,
                access_list: access_list.unwrap_or_default(),
                input,
            }));
        }
        let gas_price = parse(self.gas_price.as_deref().ok_or("there is no gasPrice")?)?;
        Ok(match access_list {
            Some(access_list) => {
                let transaction = TxEip2930 { chain_id, nonce, gas_price, gas_limit, to, value, access_list, input };
                EthereumTypedTransaction::Eip2930(transaction)
            }
            None => {
                let transaction = TxLegacy { chain_id: None, nonce, gas_price, gas_limit, to, value, input };
                EthereumTypedTransaction::Legacy(transaction)
            }
        })
    }

    /// The access list that goes with the data.
    fn access_list(&self, at: Indexes) -> Option<AccessList> {
        let entries = self.access_lists.as_ref()?.get(at.data)?.as_ref()?;
        let item = |entry: &AccessEntry| AccessListItem {
            address: entry.address,
            storage_keys: entry.storage_keys.iter().map(|key| B256::from(key.0)).collect(),
        };
        Some(AccessList(entries.iter().map(item).collect()))
    }
}

fn alternative(alternatives: &[String], index: usize) -> Result<&str, String> {
    alternatives.get(index).map(String::as_str).ok_or_else(|| format!("there is no alternative {index}"))
}

fn parse<T: TryFrom<U256>>(text: &str) -> Result<T, String> {
    text.parse::<Number>().and_then(Number::narrow).map_err(|error| error.to_string())
}
