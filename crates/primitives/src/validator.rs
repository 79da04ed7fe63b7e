//! Validators and the set that decides a height.

use crate::{Bug, Height, planted};
use alloy_primitives::{Address, B256, FixedBytes};
use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};
use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The first 20 bytes of SHA-256 of a validator's public key.
pub type ValidatorAddress = FixedBytes<20>;

/// One member of a validator set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// Derived from the public key.
    pub address: ValidatorAddress,
    /// The ed25519 key that verifies this validator's messages.
    pub public_key: VerifyingKey,
    /// Voting power, at least 1.
    pub power: u64,
    /// Beneficiary of the blocks this validator proposes.
    pub fee_recipient: Address,
}

impl Validator {
    /// A validator; its address follows from its key.
    pub fn new(public_key: VerifyingKey, power: u64, fee_recipient: Address) -> Self {
        let address = ValidatorAddress::from_slice(&Sha256::digest(public_key.as_bytes())[..20]);
        Self { address, public_key, power, fee_recipient }
    }
}

/// Why a list of validators is not a validator set.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ValidatorSetError {
    /// Nobody could decide anything.
    #[error("a validator set needs at least one validator")]
    Empty,
    /// More members than votes can be gathered from.
    #[error("{0} validators, at most {max} are allowed", max = ValidatorSet::MAX_VALIDATORS)]
    TooMany(usize),
    /// One key would vote twice.
    #[error("validator {0} is listed twice; every validator needs a key of its own")]
    Duplicate(ValidatorAddress),
    /// A validator without a say.
    #[error("validator {0} has voting power 0; the least is 1")]
    NoPower(ValidatorAddress),
    /// Power sums must not overflow when tripled.
    #[error("the total voting power is above {max}", max = ValidatorSet::MAX_TOTAL_POWER)]
    PowerOverflow,
    /// A key of small order verifies signatures nobody made.
    #[error("validator {0} has a weak public key")]
    WeakKey(ValidatorAddress),
}

/// The validators of a height, sorted by address; never empty, no duplicates, total power bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatorSet {
    validators: Vec<Validator>,
    total_power: u64,
}

impl ValidatorSet {
    /// The most members a set may have.
    pub const MAX_VALIDATORS: usize = 200;
    /// The largest total power: three times it still fits in 64 bits.
    pub const MAX_TOTAL_POWER: u64 = u64::MAX / 8;

    /// Checks and sorts a list of validators.
    ///
    /// # Errors
    /// See [`ValidatorSetError`].
    pub fn new(mut validators: Vec<Validator>) -> Result<Self, ValidatorSetError> {
        if validators.is_empty() {
            return Err(ValidatorSetError::Empty);
        }
        if validators.len() > Self::MAX_VALIDATORS {
            return Err(ValidatorSetError::TooMany(validators.len()));
        }
        validators.sort_by_key(|v| v.address);
        let mut seen = BTreeMap::new();
        let mut total_power = 0u64;
        for validator in &validators {
            if seen.insert(validator.address, ()).is_some() {
                return Err(ValidatorSetError::Duplicate(validator.address));
            }
            if validator.power == 0 {
                return Err(ValidatorSetError::NoPower(validator.address));
            }
            if validator.public_key.is_weak() {
                return Err(ValidatorSetError::WeakKey(validator.address));
            }
            total_power = total_power
                .checked_add(validator.power)
                .filter(|total| *total <= Self::MAX_TOTAL_POWER)
                .ok_or(ValidatorSetError::PowerOverflow)?;
        }
        Ok(Self { validators, total_power })
    }

    /// The members, sorted by address.
    pub fn validators(&self) -> &[Validator] {
        &self.validators
    }

    /// The sum of all voting power.
    pub fn total_power(&self) -> u64 {
        self.total_power
    }

    /// Whether `power` is a quorum: strictly more than two thirds of the total.
    pub fn is_quorum(&self, power: u64) -> bool {
        if planted(Bug::QuorumOffByOne) {
            return u128::from(power) * 2 >= u128::from(self.total_power);
        }
        u128::from(power) * 3 > u128::from(self.total_power) * 2
    }

    /// The member with this address.
    pub fn get(&self, address: &ValidatorAddress) -> Option<&Validator> {
        self.position(address).and_then(|position| self.validators.get(position))
    }

    /// The place of the member with this address, from 0.
    pub fn position(&self, address: &ValidatorAddress) -> Option<usize> {
        self.validators.binary_search_by_key(address, |v| v.address).ok()
    }

    /// The proposer of a height and round: the sets' members in order of address, each in turn, one step a height
    /// and one a round. Every node computes the same one from the header chain alone.
    #[expect(clippy::indexing_slicing, reason = "the index is taken modulo the length of a set that is never empty")]
    pub fn proposer(&self, height: Height, round: u32) -> &Validator {
        let turn = u128::from(height.as_u64()) + u128::from(round);
        &self.validators[(turn % self.validators.len() as u128) as usize]
    }
}

/// A member as it is encoded: its address follows from its key.
#[derive(RlpEncodable, RlpDecodable)]
struct EncodedValidator {
    public_key: B256,
    power: u64,
    fee_recipient: Address,
}

/// A list of members, in the order of the set.
impl Encodable for ValidatorSet {
    fn encode(&self, out: &mut dyn BufMut) {
        alloy_rlp::encode_list(&self.encoded(), out);
    }

    fn length(&self) -> usize {
        alloy_rlp::list_length(&self.encoded())
    }
}

impl Decodable for ValidatorSet {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut members = Vec::new();
        for member in Vec::<EncodedValidator>::decode(buf)? {
            let key = VerifyingKey::from_bytes(&member.public_key.0);
            let key = key.map_err(|_| alloy_rlp::Error::Custom("a public key is no point of the curve"))?;
            members.push(Validator::new(key, member.power, member.fee_recipient));
        }
        if !members.is_sorted_by_key(|member| member.address) {
            return Err(alloy_rlp::Error::Custom("validators are not sorted by address"));
        }
        Self::new(members).map_err(|_| alloy_rlp::Error::Custom("not a validator set"))
    }
}

impl ValidatorSet {
    fn encoded(&self) -> Vec<EncodedValidator> {
        let encoded = |member: &Validator| EncodedValidator {
            public_key: member.public_key.to_bytes().into(),
            power: member.power,
            fee_recipient: member.fee_recipient,
        };
        self.validators.iter().map(encoded).collect()
    }
}
