//! The content of a sign-state file: which key signed what last, and on which chain.
//!
//! The file lives beside the key and outlives data directories, so it says itself whose it is: the sign state of
//! another key or chain protects from nothing.

use crate::SignState;
use alloy_primitives::{B256, hex};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use heddle_primitives::decode_exact;

/// What a sign-state file holds. Its RLP is the list of the fields; the last is left out while nothing is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
#[rlp(trailing(canonical))]
pub struct SignStateRecord {
    /// The ed25519 public key that signed.
    pub public_key: [u8; 32],
    /// Hash of the genesis block of the chain it signs for; zero while it was never used.
    pub genesis_hash: B256,
    /// The last signature; `None` when there was none.
    pub last: Option<SignState>,
}

/// Why a sign state cannot protect a key on a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignStateMismatch {
    /// It is another key's.
    #[error("it is of the key 0x{}, not of 0x{}", hex::encode(.found), hex::encode(.expected))]
    Key {
        /// The public key it is of.
        found: [u8; 32],
        /// The public key it should be of.
        expected: [u8; 32],
    },
    /// The key signed for another chain with it.
    #[error("it is of the chain with genesis hash {found}, not of {expected}")]
    Chain {
        /// The genesis hash it is bound to.
        found: B256,
        /// The genesis hash it should be bound to.
        expected: B256,
    },
}

impl SignStateRecord {
    /// The largest encoding, in bytes.
    pub const BYTES_MAX: usize = 128;

    /// The record of a key that never signed, for whatever chain it signs first.
    pub const fn fresh(public_key: [u8; 32]) -> Self {
        Self { public_key, genesis_hash: B256::ZERO, last: None }
    }

    /// Reads the content of a file.
    ///
    /// # Errors
    /// The RLP rule that the bytes break: never taken for a fresh record.
    pub fn decode(bytes: &[u8]) -> alloy_rlp::Result<Self> {
        decode_exact(bytes, Self::BYTES_MAX)
    }

    /// Checks that this is the record of the key, and binds it to the chain when it was never used.
    ///
    /// # Errors
    /// [`SignStateMismatch`] when it is of another key or chain; the record is then unchanged.
    pub fn bind(&mut self, public_key: [u8; 32], genesis_hash: B256) -> Result<(), SignStateMismatch> {
        if self.public_key != public_key {
            return Err(SignStateMismatch::Key { found: self.public_key, expected: public_key });
        }
        if ![B256::ZERO, genesis_hash].contains(&self.genesis_hash) {
            return Err(SignStateMismatch::Chain { found: self.genesis_hash, expected: genesis_hash });
        }
        self.genesis_hash = genesis_hash;
        Ok(())
    }

    /// Takes up a signature when it is above the last one, and says whether it was: the record is never lowered.
    pub fn raise(&mut self, signed: SignState) -> bool {
        let position = |state: SignState| (state.height, state.round, state.step);
        let above = self.last.is_none_or(|last| position(last) < position(signed));
        if above {
            self.last = Some(signed);
        }
        above
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::SignStep;
    use heddle_primitives::{Height, Round};

    fn state(height: u64, round: u32, step: SignStep) -> SignState {
        SignState { height: Height::new(height), round: Round::new(round), step, digest: B256::repeat_byte(9) }
    }

    #[test]
    fn a_record_survives_its_encoding_and_no_other_bytes_are_one() {
        let fresh = SignStateRecord::fresh([7; 32]);
        let used = SignStateRecord {
            genesis_hash: B256::repeat_byte(1),
            last: Some(state(u64::MAX, u32::MAX, SignStep::Precommit)),
            ..fresh
        };
        for record in [fresh, used] {
            let bytes = alloy_rlp::encode(record);
            assert!(bytes.len() <= SignStateRecord::BYTES_MAX);
            assert_eq!(SignStateRecord::decode(&bytes), Ok(record));
            for length in 0..bytes.len() {
                assert!(SignStateRecord::decode(&bytes[..length]).is_err(), "{length} bytes");
            }
            assert!(SignStateRecord::decode(&[&bytes[..], &[0x80]].concat()).is_err());
        }
    }

    #[test]
    fn it_is_bound_to_its_key_and_to_the_first_chain() {
        let (key, chain, other) = ([7; 32], B256::repeat_byte(1), B256::repeat_byte(2));
        let mut record = SignStateRecord::fresh(key);
        let mismatch = SignStateMismatch::Key { found: key, expected: [8; 32] };
        assert_eq!(record.bind([8; 32], chain), Err(mismatch));
        assert_eq!(record, SignStateRecord::fresh(key));
        record.bind(key, chain).unwrap();
        record.bind(key, chain).unwrap();
        let mismatch = SignStateMismatch::Chain { found: chain, expected: other };
        assert_eq!(record.bind(key, other), Err(mismatch));
        assert_eq!(record.genesis_hash, chain);
    }

    #[test]
    fn it_is_raised_and_never_lowered() {
        let mut record = SignStateRecord::fresh([7; 32]);
        let last = state(5, 2, SignStep::Prevote);
        assert!(record.raise(last));
        for lower in
            [last, state(5, 2, SignStep::Propose), state(5, 1, SignStep::Precommit), state(4, 9, SignStep::Precommit)]
        {
            assert!(!record.raise(lower));
            assert_eq!(record.last, Some(last));
        }
        assert!(record.raise(state(5, 2, SignStep::Precommit)));
        assert!(record.raise(state(6, 0, SignStep::Propose)));
    }
}
