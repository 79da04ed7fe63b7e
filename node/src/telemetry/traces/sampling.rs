//! Which transactions are traced.

use alloy_primitives::{TxHash, U256};
use std::fmt;
use std::str::FromStr;

/// A part of all transactions, chosen by their hashes: nodes with the same ratio choose the same ones.
#[derive(Clone, Copy, PartialEq)]
pub struct Sampling {
    ratio: f64,
    /// Of the 2^64 values of a hash's last eight bytes, those below are taken.
    below: u128,
}

impl Sampling {
    /// Takes this part of all transactions, from 0 to 1; `None` for any other number.
    pub fn new(ratio: f64) -> Option<Self> {
        /// 2^64
        const ALL: f64 = 18_446_744_073_709_551_616.0;
        (0.0..=1.0).contains(&ratio).then_some(Self { ratio, below: (ratio * ALL) as u128 })
    }

    /// Whether this transaction is traced. The bytes are others than those that name the trace and its first span.
    pub fn takes(self, hash: &TxHash) -> bool {
        let [last, ..] = U256::from_be_bytes(hash.0).into_limbs();
        u128::from(last) < self.below
    }
}

impl FromStr for Sampling {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ratio = text.parse().ok().and_then(Self::new);
        ratio.ok_or_else(|| "expected a part of all transactions, from 0 to 1, for example 0.01".to_owned())
    }
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ratio.fmt(f)
    }
}

impl fmt::Debug for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sampling({})", self.ratio)
    }
}
