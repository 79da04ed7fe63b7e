//! RLP tests: values with their encoding, and encodings that are none.

use crate::number::parse_bytes;
use crate::verdict::Verdict;
use alloy_primitives::{Uint, hex};
use alloy_rlp::{Decodable, Encodable, Header};
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
struct RlpTest {
    #[serde(rename = "in")]
    value: Value,
    out: String,
}

/// Any RLP value. Numbers are strings of bytes without leading zeros.
#[derive(Debug, PartialEq, Eq)]
enum Item {
    Bytes(Vec<u8>),
    List(Vec<Item>),
}

/// Judges a test.
pub(crate) fn run(test: Value) -> Verdict {
    judge(test).into()
}

fn judge(test: Value) -> Result<(), String> {
    let test: RlpTest = serde_json::from_value(test).map_err(|error| format!("not an RLP test: {error}"))?;
    let encoded = parse_bytes(&test.out)?;
    let decoded: Result<Item, _> = alloy_rlp::decode_exact(&encoded);
    match test.value.as_str() {
        Some("INVALID") => match decoded {
            Ok(item) => Err(format!("expected invalid RLP, decoded {item:?}")),
            Err(_) => Ok(()),
        },
        Some("VALID") => {
            let item = decoded.map_err(|error| format!("expected valid RLP, refused: {error}"))?;
            compare_bytes(&alloy_rlp::encode(item), &encoded)
        }
        _ => {
            let expected = Item::from_json(&test.value)?;
            let item = decoded.map_err(|error| format!("expected valid RLP, refused: {error}"))?;
            if item != expected {
                return Err(format!("expected {expected:?}, decoded {item:?}"));
            }
            compare_bytes(&alloy_rlp::encode(expected), &encoded)
        }
    }
}

fn compare_bytes(found: &[u8], expected: &[u8]) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("expected {}, encoded {}", hex::encode_prefixed(expected), hex::encode_prefixed(found)))
}

impl Item {
    fn from_json(value: &Value) -> Result<Self, String> {
        match value {
            Value::Array(items) => items.iter().map(Self::from_json).collect::<Result<_, _>>().map(Self::List),
            Value::String(text) => match text.strip_prefix('#') {
                Some(digits) => Self::number(digits),
                None => Ok(Self::Bytes(text.as_bytes().to_vec())),
            },
            Value::Number(number) => Self::number(&number.to_string()),
            other => Err(format!("{other} is no RLP value")),
        }
    }

    fn number(digits: &str) -> Result<Self, String> {
        let number: Uint<2048, 32> = digits.parse().map_err(|error| format!("{digits}: {error}"))?;
        Ok(Self::Bytes(number.to_be_bytes_trimmed_vec()))
    }
}

impl Encodable for Item {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        match self {
            Self::Bytes(bytes) => bytes.as_slice().encode(out),
            Self::List(items) => alloy_rlp::encode_list(items, out),
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.as_slice().length(),
            Self::List(items) => alloy_rlp::list_length(items),
        }
    }
}

impl Decodable for Item {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        // A single byte below 0x80 is its own header, and `decode_bytes` leaves it in place.
        if buf.first().is_none_or(|first| *first < alloy_rlp::EMPTY_LIST_CODE) {
            return Header::decode_bytes(buf, false).map(|bytes| Self::Bytes(bytes.to_vec()));
        }
        let mut payload = Header::decode_bytes(buf, true)?;
        let mut items = Vec::new();
        while !payload.is_empty() {
            items.push(Self::decode(&mut payload)?);
        }
        Ok(Self::List(items))
    }
}
