//! The accounts of the test mnemonic that every Ethereum tool knows. Their keys are public: never fund them on a
//! chain of value.

use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, U256, utils::parse_ether};
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use std::error::Error;

/// The mnemonic of Anvil and Hardhat.
pub const TEST_MNEMONIC: &str = "test test test test test test test test test test test junk";
/// As many accounts as anyone has used by hand.
pub const ACCOUNTS_MAX: u32 = 1_000;

/// The first `count` accounts of the test mnemonic, at m/44'/60'/0'/0/i.
///
/// # Errors
/// Only if the key derivation itself fails.
pub fn test_accounts(count: u32) -> Result<Vec<PrivateKeySigner>, Box<dyn Error>> {
    let account = |index| MnemonicBuilder::<English>::default().phrase(TEST_MNEMONIC).index(index)?.build();
    (0..count).map(|index| account(index).map_err(Into::into)).collect()
}

/// Genesis entries that give each address `balance` wei.
pub fn funded(addresses: impl Iterator<Item = Address>, balance: U256) -> Vec<(Address, GenesisAccount)> {
    addresses.map(|address| (address, GenesisAccount { balance, ..Default::default() })).collect()
}

/// Parses a balance in ether, as Anvil's `--balance` takes it.
///
/// # Errors
/// When the text is not a decimal number with at most 18 decimals.
pub fn parse_balance(text: &str) -> Result<U256, String> {
    parse_ether(text).map_err(|_| "expected an amount in ether, for example 10000 or 0.5".to_owned())
}

/// Parses a duration such as `500ms`, `2s` or `1m`; a bare number is seconds, as Anvil's `--block-time` takes it.
///
/// # Errors
/// When the text has another form or lies outside 10 ms to 1 h.
pub fn parse_block_time(text: &str) -> Result<std::time::Duration, String> {
    let accepted = || "expected 10ms to 1h, for example 500ms, 2s or 1m".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale_ms = match unit {
        "ms" => 1.0,
        "" | "s" => 1_000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        _ => return Err(accepted()),
    };
    let milliseconds = number.parse::<f64>().map_err(|_| accepted())? * scale_ms;
    if !(10.0..=3_600_000.0).contains(&milliseconds) {
        return Err(accepted());
    }
    Ok(std::time::Duration::from_millis(milliseconds.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_account_is_the_one_every_tool_knows() {
        let accounts = test_accounts(2).unwrap();
        assert_eq!(accounts[0].address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        assert_eq!(accounts[1].address().to_string(), "0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
    }

    #[test]
    fn block_times() {
        for (text, milliseconds) in [("500ms", 500), ("2s", 2_000), ("2", 2_000), ("0.5s", 500), ("1m", 60_000)] {
            assert_eq!(parse_block_time(text).unwrap().as_millis(), milliseconds, "{text}");
        }
        for text in ["", "fast", "5 days", "1ms", "2h", "-1s"] {
            assert!(parse_block_time(text).is_err(), "{text}");
        }
    }
}
