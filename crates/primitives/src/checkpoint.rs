//! A block that an operator trusts, from a source of their own.

use crate::Height;
use alloy_primitives::B256;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A block that must be on the chain: `HEIGHT:HASH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Checkpoint {
    /// Its height, at least 1.
    pub height: Height,
    /// Its hash.
    pub hash: B256,
}

/// What a checkpoint is parsed from is none: the caller's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected HEIGHT:HASH, the number of a block after genesis and its hash, for example 1000:0x9f..e2")]
pub struct CheckpointParseError;

impl FromStr for Checkpoint {
    type Err = CheckpointParseError;

    fn from_str(text: &str) -> Result<Self, CheckpointParseError> {
        let (height, hash) = text.split_once(':').ok_or(CheckpointParseError)?;
        let height = height.parse().ok().filter(|height| *height > 0).ok_or(CheckpointParseError)?;
        let hash = hash.parse().map_err(|_| CheckpointParseError)?;
        Ok(Self { height: Height::new(height), hash })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.height, self.hash)
    }
}

impl From<Checkpoint> for String {
    fn from(checkpoint: Checkpoint) -> Self {
        checkpoint.to_string()
    }
}

impl TryFrom<String> for Checkpoint {
    type Error = CheckpointParseError;

    fn try_from(text: String) -> Result<Self, CheckpointParseError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_checkpoint() {
        let hash = B256::repeat_byte(0x9f);
        let checkpoint = Checkpoint { height: Height::new(1_000), hash };
        assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint));
        for text in ["", "7", "7:", ":0x12", "7:0x12", "-1:", &format!("0:{hash}"), &format!("x:{hash}")] {
            assert_eq!(text.parse::<Checkpoint>(), Err(CheckpointParseError), "{text}");
        }
    }
}
