//! The funded accounts of the test mnemonic, and transactions signed by them.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};

/// Chain id of devnets and of `genesis create`.
pub const CHAIN_ID: u64 = 31337;
const MNEMONIC: &str = "test test test test test test test test test test test junk";

/// A signed transaction.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Its hash.
    pub hash: B256,
    /// What `eth_sendRawTransaction` takes.
    pub raw: Bytes,
}

/// Account `index` of the test mnemonic.
pub fn account(index: u32) -> PrivateKeySigner {
    MnemonicBuilder::<English>::default().phrase(MNEMONIC).index(index).unwrap().build().unwrap()
}

/// That many ether in wei.
pub fn ether(amount: u64) -> U256 {
    U256::from(amount) * U256::from(1_000_000_000_000_000_000u64)
}

/// A plain transfer with a tip of 1 gwei.
pub fn transfer(from: &PrivateKeySigner, nonce: u64, to: Address, value: U256) -> Signed {
    sign(from, TxEip1559 { nonce, gas_limit: 21_000, to: to.into(), value, ..TxEip1559::default() })
}

/// A call of a contract, with gas for a million steps and a tip of 1 gwei.
pub fn contract_call(from: &PrivateKeySigner, nonce: u64, to: Address, input: impl Into<Bytes>) -> Signed {
    let input = input.into();
    sign(from, TxEip1559 { nonce, gas_limit: 1_000_000, to: to.into(), input, ..TxEip1559::default() })
}

fn sign(from: &PrivateKeySigner, transaction: TxEip1559) -> Signed {
    const GWEI: u128 = 1_000_000_000;
    let fees = TxEip1559 { max_fee_per_gas: 100 * GWEI, max_priority_fee_per_gas: GWEI, ..transaction };
    let transaction = TxEip1559 { chain_id: CHAIN_ID, ..fees };
    let signature = from.sign_hash_sync(&transaction.signature_hash()).unwrap();
    let signed = transaction.into_signed(signature);
    Signed { hash: *signed.hash(), raw: signed.encoded_2718().into() }
}
