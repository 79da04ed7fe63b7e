//! The texts that mean the same on the command line and in a network description.

use super::accounts;
use super::quantity::{Cpu, Mebibytes};
use alloy_primitives::{Address, U256};
use heddle_primitives::registry::Governance;
use heddle_rpc::{Api, ParseApiError};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::time::Duration;

/// Parses `ADDRESS=ETHER`, an account and its balance.
///
/// # Errors
/// Names what is no address, or no amount.
pub fn parse_fund(text: &str) -> Result<(Address, U256), String> {
    let (address, amount) = text.split_once('=').ok_or("expected ADDRESS=ETHER")?;
    let address = address.parse().map_err(|_| format!("`{address}` is not an address"))?;
    Ok((address, accounts::parse_balance(amount)?))
}

/// Parses `admin:ADDRESS` or `staking:ETHER:OPERATOR`, who changes the validators.
///
/// # Errors
/// Names both forms, and what is wrong.
pub fn parse_governance(text: &str) -> Result<Governance, String> {
    let expected = "expected admin:ADDRESS, or staking:ETHER:OPERATOR";
    let parse = |address: &str| address.parse().map_err(|_| format!("`{address}` is not an address: {expected}"));
    match text.split(':').collect::<Vec<_>>()[..] {
        ["admin", address] => Ok(Governance::Administered { administrator: parse(address)? }),
        ["staking", ether, operator] => {
            let unit = Some(accounts::parse_balance(ether)?).filter(|unit| !unit.is_zero());
            let unit = unit.ok_or_else(|| format!("the deposit for one power is at least 1 wei: {expected}"))?;
            Ok(Governance::Staked { unit, operator: parse(operator)? })
        }
        _ => Err(expected.to_owned()),
    }
}

fn parsed<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn all_parsed<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| parse(text).map_err(D::Error::custom)).collect()
}

/// A duration, for serde.
///
/// # Errors
/// What is accepted.
pub fn block_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parsed(deserializer, accounts::parse_block_time)
}

/// A duration that may be absent, for serde.
///
/// # Errors
/// What is accepted.
pub fn optional_block_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    block_time(deserializer).map(Some)
}

/// An amount in ether, for serde.
///
/// # Errors
/// What is accepted.
pub fn balance<'de, D: Deserializer<'de>>(deserializer: D) -> Result<U256, D::Error> {
    parsed(deserializer, accounts::parse_balance)
}

/// Accounts and their balances, for serde.
///
/// # Errors
/// What is accepted.
pub fn funds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(Address, U256)>, D::Error> {
    all_parsed(deserializer, parse_fund)
}

/// Who changes the validators, for serde.
///
/// # Errors
/// What is accepted.
pub fn registry<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Governance>, D::Error> {
    parsed(deserializer, parse_governance).map(Some)
}

/// Processor time, for serde.
///
/// # Errors
/// What is accepted.
pub fn cpu<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cpu, D::Error> {
    parsed(deserializer, Cpu::parse)
}

/// Room, for serde.
///
/// # Errors
/// What is accepted.
pub fn mebibytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Mebibytes, D::Error> {
    parsed(deserializer, Mebibytes::parse)
}

/// JSON-RPC namespaces, for serde.
///
/// # Errors
/// What is accepted.
pub fn api<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Api>, D::Error> {
    all_parsed(deserializer, |name| name.parse().map_err(|error: ParseApiError| error.to_string()))
}
