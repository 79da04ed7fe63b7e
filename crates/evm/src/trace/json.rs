//! JSON of a bounded length.

use super::TraceError;
use serde::Serialize;
use serde_json::value::RawValue;
use std::io::{Error, ErrorKind, Write};

/// Bytes that stop growing at a bound.
struct Bounded {
    bytes: Vec<u8>,
    max: usize,
}

impl Write for Bounded {
    fn write(&mut self, more: &[u8]) -> Result<usize, Error> {
        if more.len() > self.max.saturating_sub(self.bytes.len()) {
            return Err(ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// A value as JSON text of at most `max` bytes.
///
/// # Errors
/// [`TraceError::TooLarge`], or [`TraceError::Internal`] for what is no JSON.
pub fn to_bounded_json(value: &impl Serialize, max: usize) -> Result<Box<RawValue>, TraceError> {
    let mut text = Bounded { bytes: Vec::new(), max };
    serde_json::to_writer(&mut text, value).map_err(|error| match error.io_error_kind() {
        Some(_) => TraceError::TooLarge(max),
        None => TraceError::Internal(error.to_string()),
    })?;
    let text = String::from_utf8(text.bytes).map_err(|error| TraceError::Internal(error.to_string()))?;
    RawValue::from_string(text).map_err(|error| TraceError::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_more() {
        assert_eq!(to_bounded_json(&[1, 2], 5).unwrap().get(), "[1,2]");
        assert!(matches!(to_bounded_json(&[1, 2], 4), Err(TraceError::TooLarge(4))));
    }
}
