//! Positional arguments of a call, taken in order and named in errors.

use crate::error::MethodError;
use crate::quantities::{self, Argument, Shape};
use alloy_primitives::B256;
use jsonrpsee::types::Params;
use serde::de::{DeserializeOwned, DeserializeSeed, Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt;
use std::time::SystemTime;

/// The arguments of one call, as text until they are taken. A trailing `null` counts as absent.
pub(crate) struct Arguments<'a> {
    names: &'static [&'static str],
    values: std::vec::IntoIter<&'a RawValue>,
    position: usize,
    received: SystemTime,
}

impl<'a> Arguments<'a> {
    /// Splits `params` into arguments, no more than there are `names`.
    pub(crate) fn parse(params: &'a Params<'_>, names: &'static [&'static str]) -> Result<Self, MethodError> {
        let mut values = match params.as_str() {
            None | Some("null") => Vec::new(),
            Some(text) => AtMost(names.len())
                .deserialize(&mut serde_json::Deserializer::from_str(text))
                .map_err(|_| MethodError::InvalidParams("non-array args".to_owned()))?
                .ok_or_else(|| {
                    MethodError::InvalidParams(format!("too many arguments, want at most {}", names.len()))
                })?,
        };
        while values.last().is_some_and(|value| is_null(value)) {
            values.pop();
        }
        Ok(Self { names, values: values.into_iter(), position: 0, received: SystemTime::now() })
    }

    /// The arguments of a call that came before they were parsed.
    pub(crate) fn received_at(self, received: SystemTime) -> Self {
        Self { received, ..self }
    }

    /// When the call came.
    pub(crate) fn received(&self) -> SystemTime {
        self.received
    }

    /// The next argument, which must be there.
    pub(crate) fn required<T: Argument>(&mut self) -> Result<T, MethodError> {
        let place = self.place();
        let value = self.optional()?;
        value.ok_or_else(|| MethodError::InvalidParams(format!("missing value for required argument {place}")))
    }

    /// The next argument, which must be a hash, with `0x` before it: libraries take it without, go-ethereum does not.
    pub(crate) fn hash(&mut self) -> Result<B256, MethodError> {
        let place = self.place();
        let is_prefixed = self.values.as_slice().first().is_none_or(|value| {
            let text = value.get();
            !text.starts_with('"') || text.starts_with("\"0x")
        });
        if is_prefixed {
            return self.required();
        }
        Err(MethodError::InvalidParams(format!("invalid argument {place}: hex string without 0x prefix")))
    }

    /// The next argument, if it is there and not `null`.
    pub(crate) fn optional<T: Argument>(&mut self) -> Result<Option<T>, MethodError> {
        let place = self.place();
        self.position += 1;
        let Some(value) = self.values.next().filter(|value| !is_null(value)) else { return Ok(None) };
        let invalid = |reason: String| MethodError::InvalidParams(format!("invalid argument {place}: {reason}"));
        quantities::check(T::SHAPE, value.get()).map_err(invalid)?;
        serde_json::from_str(value.get()).map(Some).map_err(|error| invalid(error.to_string()))
    }

    /// Whether no argument is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.as_slice().is_empty()
    }

    fn place(&self) -> String {
        format!("{} ({})", self.position, self.names.get(self.position).unwrap_or(&"unnamed"))
    }
}

/// One value as two types: a library's, and one for what that leaves out.
#[derive(Default)]
pub(crate) struct Twice<A, B>(pub(crate) A, pub(crate) B);

impl<A: DeserializeOwned, B: DeserializeOwned> Argument for Twice<A, B> {
    const SHAPE: Shape = Shape::Object;
}

impl<'de, A: DeserializeOwned, B: DeserializeOwned> Deserialize<'de> for Twice<A, B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let first = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        let second = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        Ok(Self(first, second))
    }
}

/// The values of a list of so many at most, `null` at its end not counted; `None` of a longer one. What is too long is read and
/// not kept: a list of a megabyte would otherwise take many.
struct AtMost(usize);

impl<'de> DeserializeSeed<'de> for AtMost {
    type Value = Option<Vec<&'de RawValue>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for AtMost {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let (mut values, mut is_longer) = (Vec::new(), false);
        while let Some(value) = items.next_element::<&RawValue>()? {
            if values.len() < self.0 {
                values.push(value);
            } else {
                is_longer |= !is_null(value);
            }
        }
        Ok((!is_longer).then_some(values))
    }
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;

    const NAMES: &[&str] = &["address", "block"];

    fn parse(text: &str) -> Result<(Address, Option<u64>), MethodError> {
        let params = Params::new(Some(text));
        let mut arguments = Arguments::parse(&params, NAMES)?;
        Ok((arguments.required()?, arguments.optional()?))
    }

    #[test]
    fn a_hash_has_a_prefix() {
        let parse = |text: &str| {
            let params = Params::new(Some(text));
            Arguments::parse(&params, NAMES)?.hash()
        };
        let hash = B256::repeat_byte(0x12);
        assert_eq!(parse(&format!(r#"["{hash}"]"#)).unwrap(), hash);
        let bare = format!(r#"["{}"]"#, &hash.to_string()[2..]);
        for text in [&bare, "[]", "[7]", r#"["0x12"]"#] {
            assert_eq!(parse(text).unwrap_err().code(), -32602, "{text}");
        }
    }

    #[test]
    fn errors_name_the_argument() {
        let zero = Address::ZERO;
        assert_eq!(parse(&format!(r#"["{zero}"]"#)).unwrap(), (zero, None));
        assert_eq!(parse(&format!(r#"["{zero}",null,null]"#)).unwrap(), (zero, None));
        assert_eq!(parse(&format!(r#"["{zero}", 7]"#)).unwrap(), (zero, Some(7)));
        for (text, expected) in [
            ("[]", "missing value for required argument 0 (address)"),
            (r#"[null, 7]"#, "missing value for required argument 0 (address)"),
            (r#"["0x12"]"#, "invalid argument 0 (address): "),
            (r#"["0x0000000000000000000000000000000000000000", "x"]"#, "invalid argument 1 (block): "),
            ("[1,2,3]", "too many arguments, want at most 2"),
            (r#"{"address":1}"#, "non-array args"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{text}: {message}");
        }
    }
}
