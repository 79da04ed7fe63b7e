//! Heights and rounds are types of their own, so that neither can be passed for the other.

use alloy_rlp::{RlpDecodableWrapper, RlpEncodableWrapper};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of a block that consensus decides; the genesis block has height 0.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    RlpEncodableWrapper,
    RlpDecodableWrapper,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct Height(u64);

impl Height {
    /// The height of the genesis block.
    pub const GENESIS: Self = Self(0);

    /// Names a block number as a height.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The block number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The height after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One attempt to decide a height; the first is round 0.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    RlpEncodableWrapper,
    RlpDecodableWrapper,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct Round(u32);

impl Round {
    /// The first round of a height.
    pub const ZERO: Self = Self(0);

    /// Names a number as a round.
    pub const fn new(round: u32) -> Self {
        Self(round)
    }

    /// The number of the round.
    pub const fn as_u32(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
