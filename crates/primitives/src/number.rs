//! Heights, rounds and epochs are types of their own, so that none can be passed for another.

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

/// A stretch of heights with one validator set; the first is epoch 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, RlpEncodableWrapper, RlpDecodableWrapper,
)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch of this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The epoch of a height, when each has `length` blocks: height 1 starts epoch 0, to which genesis is counted too.
    pub const fn of(height: Height, length: u64) -> Self {
        match height.0.saturating_sub(1).checked_div(length) {
            Some(epoch) => Self(epoch),
            None => Self(0),
        }
    }

    /// Whether `height` is the last one of its epoch: the state after it decides the next epoch's validators.
    pub const fn is_last(height: Height, length: u64) -> bool {
        matches!(height.0.checked_rem(length), Some(0)) && height.0 > 0
    }

    /// The number of the epoch.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_starts_after_the_last_height_of_the_one_before() {
        let epochs = (0..=7).map(|number| Epoch::of(Height::new(number), 3).as_u64());
        assert!(epochs.eq([0, 0, 0, 0, 1, 1, 1, 2]));
        let last = (0..=7).filter(|number| Epoch::is_last(Height::new(*number), 3));
        assert!(last.eq([3, 6]));
        assert!((1..=3).all(|number| Epoch::is_last(Height::new(number), 1)));
    }
}
