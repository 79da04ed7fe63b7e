//! Which arguments and fields are quantities or bytes, and what go-ethereum refuses of them though the libraries' types take
//! it: numbers that are no strings, strings without `0x` or with zeros in front, bytes as lists of numbers.

use alloy_eips::eip1898::LenientBlockNumberOrTag;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U64, U128, map::HashSet};
use alloy_rpc_types_engine::PayloadAttributes;
use alloy_rpc_types_eth::state::StateOverride;
use alloy_rpc_types_eth::{Index, TransactionRequest};
use alloy_rpc_types_trace::geth::GethDebugTracingOptions;
use alloy_rpc_types_trace::parity::TraceType;
use serde::Deserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// What a method takes as one of its arguments.
pub(crate) trait Argument: DeserializeOwned {
    /// Where it has quantities.
    const SHAPE: Shape = Shape::Opaque;
}

/// Where a JSON value has quantities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Nowhere.
    Opaque,
    /// Nowhere: it is bytes.
    Bytes,
    /// It is one.
    Quantity,
    /// It is a block's number, unless it is a tag, a hash or an object (EIP-1898).
    Block,
    /// In the fields that are known for it, at any depth.
    Object,
}

macro_rules! arguments {
    ($shape:ident: $($argument:ty),+ $(,)?) => {
        $(impl Argument for $argument {
            const SHAPE: Shape = Shape::$shape;
        })+
    };
}

// An index is decimal or hexadecimal, and hexadecimal with zeros in front if it likes, as go-ethereum's counts of blocks.
arguments!(Opaque: bool, String, u64, usize, U128, Index, LenientBlockNumberOrTag, HashSet<TraceType>);
arguments!(Opaque: Vec<String>, Vec<Bytes>, Vec<f64>, Vec<Index>, BTreeMap<Address, Vec<B256>>);
arguments!(Bytes: Address, B256, Bytes);
arguments!(Quantity: U64);
arguments!(Block: BlockId, BlockNumberOrTag);
arguments!(Object: TransactionRequest, StateOverride, PayloadAttributes);
arguments!(Object: GethDebugTracingOptions, Vec<(TransactionRequest, HashSet<TraceType>)>);

/// Says what is wrong with quantities and bytes in a JSON text. What is wrong with the text itself is not told here.
pub(crate) fn check(shape: Shape, json: &str) -> Result<(), String> {
    let mut wrong = None;
    if shape != Shape::Opaque {
        // An error ends the look; what it is about stands beside it.
        let _ = Look { shape, name: "", wrong: &mut wrong }.deserialize(&mut serde_json::Deserializer::from_str(json));
    }
    wrong.map_or(Ok(()), Err)
}

/// One look through a value.
struct Look<'w> {
    shape: Shape,
    /// The field that it is of; empty when it is of none.
    name: &'w str,
    wrong: &'w mut Option<String>,
}

impl Look<'_> {
    fn judge<E: Error>(self, text: &str) -> Result<(), E> {
        let judged = match self.shape {
            Shape::Opaque | Shape::Bytes | Shape::Object => Ok(()),
            Shape::Quantity => quantity(text),
            Shape::Block => block(text),
        };
        judged.or_else(|reason| self.refuse(&reason))
    }

    fn judge_number<E: Error>(self) -> Result<(), E> {
        if self.shape == Shape::Quantity { self.refuse(r#"not a string, expected for example "0x1""#) } else { Ok(()) }
    }

    fn refuse<E: Error>(self, reason: &str) -> Result<(), E> {
        let separator = if self.name.is_empty() { "" } else { ": " };
        *self.wrong = Some(format!("{}{separator}{reason}", self.name));
        Err(E::custom("a quantity"))
    }
}

/// What is under a name.
fn shape_of(name: &str) -> Shape {
    match name {
        "amount"
        | "balance"
        | "baseFee"
        | "baseFeePerGas"
        | "blobBaseFee"
        | "chainId"
        | "difficulty"
        | "gas"
        | "gasLimit"
        | "gasPrice"
        | "index"
        | "maxFeePerBlobGas"
        | "maxFeePerGas"
        | "maxPriorityFeePerGas"
        | "nonce"
        | "number"
        | "r"
        | "s"
        | "time"
        | "timestamp"
        | "txIndex"
        | "validatorIndex"
        | "value"
        | "yParity" => Shape::Quantity,
        "blockNumber" | "fromBlock" | "toBlock" => Shape::Block,
        "code" | "data" | "input" => Shape::Bytes,
        // Whose fields are the tracers'.
        "tracerConfig" => Shape::Opaque,
        _ => Shape::Object,
    }
}

/// go-ethereum's rule for a number, in its words; its length is the type's matter.
fn quantity(text: &str) -> Result<(), String> {
    let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) else {
        return Err(if text.is_empty() { "empty hex string" } else { "hex string without 0x prefix" }.to_owned());
    };
    if digits.is_empty() {
        return Err(r#"hex string "0x""#.to_owned());
    }
    if digits.len() > 1 && digits.starts_with('0') {
        return Err("hex number with leading zero digits".to_owned());
    }
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_hex { Ok(()) } else { Err("invalid hex string".to_owned()) }
}

/// As [`quantity`], for the number of a block.
fn block(text: &str) -> Result<(), String> {
    /// Characters of a hash.
    const HASH_LENGTH: usize = 66;
    const DIGITS_MAX: usize = 16;
    if matches!(text, "earliest" | "latest" | "pending" | "safe" | "finalized") || text.len() == HASH_LENGTH {
        return Ok(());
    }
    quantity(text)?;
    let digits = text.get(2..).unwrap_or_default();
    if digits.len() > DIGITS_MAX {
        return Err("hex number > 64 bits".to_owned());
    }
    let is_too_large = digits.len() == DIGITS_MAX && !digits.starts_with(|first| first < '8');
    if is_too_large { Err("block number larger than int64".to_owned()) } else { Ok(()) }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.shape {
            Shape::Opaque => deserializer.deserialize_ignored_any(IgnoredAny).map(drop),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.judge(text)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.judge_number()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.judge_number()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.judge_number()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.judge_number()
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        if self.shape == Shape::Bytes {
            return self.refuse(r#"not a string, expected for example "0x12ab""#);
        }
        while items.next_element_seed(Look { shape: Shape::Object, name: "", wrong: &mut *self.wrong })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<Cow<'de, str>>()? {
            fields.next_value_seed(Look { shape: shape_of(&name), name: &name, wrong: &mut *self.wrong })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_one_way() {
        for text in ["0x0", "0x1", "0X1f", "0xffffffffffffffffff"] {
            assert_eq!(quantity(text), Ok(()), "{text}");
        }
        for (text, reason) in [
            ("", "empty hex string"),
            ("1", "hex string without 0x prefix"),
            ("0x", "hex string \"0x\""),
            ("0x00", "hex number with leading zero digits"),
            ("0x01", "hex number with leading zero digits"),
            ("0x1g", "invalid hex string"),
            ("0x+1", "invalid hex string"),
        ] {
            assert_eq!(quantity(text), Err(reason.to_owned()), "{text}");
        }
    }

    #[test]
    fn blocks_have_a_tag_a_hash_or_a_number() {
        let hash = B256::repeat_byte(0).to_string();
        for text in ["latest", "earliest", "pending", "safe", "finalized", "0x0", "0x7fffffffffffffff", &hash] {
            assert_eq!(block(text), Ok(()), "{text}");
        }
        for (text, reason) in [
            ("LATEST", "hex string without 0x prefix"),
            ("0x8000000000000000", "block number larger than int64"),
            ("0x10000000000000000", "hex number > 64 bits"),
        ] {
            assert_eq!(block(text), Err(reason.to_owned()), "{text}");
        }
    }

    #[test]
    fn fields_are_told_by_their_names() {
        let object = |json: &str| check(Shape::Object, json);
        for json in [
            r#"{"gas":"0x1","data":"0x01","to":"0x00","nonce":null}"#,
            r#"{"tracerConfig":{"value":"0x01","number":7}}"#,
            r#"{"fromBlock":"latest","topics":["0x00",["0x00"]]}"#,
            r#"{"0x00":{"stateDiff":{"0x00":"0x00"}}}"#,
            // Not a matter of quantities.
            "[1,true,1.5,-1]",
            "{",
        ] {
            assert_eq!(object(json), Ok(()), "{json}");
        }
        for (json, reason) in [
            (r#"{"gas":"0x01"}"#, "gas: hex number with leading zero digits"),
            (r#"{"gas":1}"#, r#"gas: not a string, expected for example "0x1""#),
            (r#"{"toBlock":"0x00"}"#, "toBlock: hex number with leading zero digits"),
            (r#"{"data":[1]}"#, r#"data: not a string, expected for example "0x12ab""#),
            (r#"{"blockStateCalls":[{"calls":[{"\u0067as":"1"}]}]}"#, "gas: hex string without 0x prefix"),
        ] {
            assert_eq!(object(json), Err(reason.to_owned()), "{json}");
        }
        assert_eq!(
            check(Shape::Block, r#"{"blockNumber":"0x01"}"#),
            Err("blockNumber: hex number with leading zero digits".to_owned())
        );
    }
}
