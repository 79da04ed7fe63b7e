//! Numbers and bytes in the many ways in which fixtures write them.

use alloy_primitives::{Address, Bytes, U256};
use serde::{Deserialize, Deserializer, de};
use std::str::FromStr;

/// A number of up to 256 bits: hexadecimal with any leading zeros, decimal, a JSON number, or empty for zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number(pub(crate) U256);

/// A text that is not a number of the size asked for.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a number below 2^{bits}")]
pub(crate) struct NumberError {
    text: String,
    bits: usize,
}

impl Number {
    /// The number as a smaller type.
    pub(crate) fn narrow<T: TryFrom<U256>>(self) -> Result<T, NumberError> {
        let error = || NumberError { text: self.0.to_string(), bits: 8 * size_of::<T>() };
        T::try_from(self.0).map_err(|_| error())
    }
}

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let digits = text.strip_prefix("0x:bigint ").unwrap_or(text);
        let parsed = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
            Some("") => Ok(U256::ZERO),
            Some(hex) => U256::from_str_radix(hex, 16),
            None if digits.is_empty() => Ok(U256::ZERO),
            None => U256::from_str_radix(digits, 10),
        };
        parsed.map(Self).map_err(|_| NumberError { text: text.to_owned(), bits: 256 })
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Number;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number or its text")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(U256::from(value)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The callee of a transaction: empty or absent when it creates a contract.
pub(crate) fn callee<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Address>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let address = text.filter(|text| !text.is_empty() && text != "0x");
    address.map(|text| text.parse().map_err(de::Error::custom)).transpose()
}

/// Bytes whose text may lack its prefix.
pub(crate) fn parse_bytes(text: &str) -> Result<Bytes, String> {
    alloy_primitives::hex::decode(text)
        .map(Bytes::from)
        .map_err(|error| format!("{text:?} is not hexadecimal: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn numbers_are_read_in_every_spelling() {
        for (text, value) in [("0x00", 0), ("0x", 0), ("", 0), ("0x0010", 16), ("10", 10), ("0x:bigint 0x0a", 10)] {
            assert_eq!(text.parse::<Number>().unwrap(), Number(U256::from(value)), "{text}");
        }
        assert_eq!(serde_json::from_str::<Number>("7").unwrap(), Number(U256::from(7)));
        assert_eq!(serde_json::from_str::<Number>("\"0x07\"").unwrap(), Number(U256::from(7)));
    }

    #[test]
    fn numbers_that_do_not_fit_are_errors() {
        assert!(format!("0x1{}", "00".repeat(32)).parse::<Number>().is_err());
        assert!("cow".parse::<Number>().is_err());
        assert!("0x010000000000000000".parse::<Number>().unwrap().narrow::<u64>().is_err());
        assert_eq!("0xffffffffffffffff".parse::<Number>().unwrap().narrow::<u64>().unwrap(), u64::MAX);
    }
}
