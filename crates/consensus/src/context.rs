//! Malachite's `Context` over our primitives: which types stand for heights, values, votes and validators.
//!
//! The value that is agreed on is the block hash alone; block bodies travel beside it (see [`crate::blocks`]).

use alloy_primitives::B256;
use ed25519_dalek::VerifyingKey;
use heddle_primitives::{ConsensusSignature, ValidatorAddress, ValidatorSet};
use malachitebft_core_types as bft;
use malachitebft_core_types::{NilOrVal, VoteType};
use std::fmt;

/// Names our types to Malachite. Its methods are pure: proposers rotate as [`ValidatorSet::proposer`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeddleContext;

/// [`heddle_primitives::Height`] under Malachite's trait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Height(pub heddle_primitives::Height);

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl bft::Height for Height {
    const ZERO: Self = Self(heddle_primitives::Height::GENESIS);
    const INITIAL: Self = Self(heddle_primitives::Height::new(1));

    fn increment_by(&self, n: u64) -> Self {
        Self(heddle_primitives::Height::new(self.0.as_u64().saturating_add(n)))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.as_u64().checked_sub(n).map(|height| Self(heddle_primitives::Height::new(height)))
    }

    fn as_u64(&self) -> u64 {
        self.0.as_u64()
    }
}

/// [`ValidatorAddress`] under Malachite's trait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub ValidatorAddress);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl bft::Address for Address {}

/// A block hash: both the value and its identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockHash(pub B256);

impl fmt::Display for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl bft::Value for BlockHash {
    type Id = Self;

    fn id(&self) -> Self {
        *self
    }
}

/// A validator as Malachite sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    address: Address,
    public_key: VerifyingKey,
    power: u64,
}

impl bft::Validator<HeddleContext> for Validator {
    fn address(&self) -> &Address {
        &self.address
    }

    fn public_key(&self) -> &VerifyingKey {
        &self.public_key
    }

    fn voting_power(&self) -> u64 {
        self.power
    }
}

/// The validators of a height, in the order of our set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validators {
    set: ValidatorSet,
    members: Vec<Validator>,
}

impl From<ValidatorSet> for Validators {
    fn from(set: ValidatorSet) -> Self {
        let member = |v: &heddle_primitives::Validator| Validator {
            address: Address(v.address),
            public_key: v.public_key,
            power: v.power,
        };
        let members = set.validators().iter().map(member).collect();
        Self { set, members }
    }
}

impl bft::ValidatorSet<HeddleContext> for Validators {
    fn count(&self) -> usize {
        self.members.len()
    }

    fn total_voting_power(&self) -> u64 {
        self.set.total_power()
    }

    fn get_by_address(&self, address: &Address) -> Option<&Validator> {
        let index = self.members.binary_search_by_key(address, |v| v.address).ok()?;
        self.members.get(index)
    }

    fn get_by_index(&self, index: usize) -> Option<&Validator> {
        self.members.get(index)
    }
}

/// A vote as Malachite sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Height voted at.
    pub height: Height,
    /// Round voted in; never nil.
    pub round: bft::Round,
    /// Prevote or precommit.
    pub kind: VoteType,
    /// What is voted for.
    pub value: NilOrVal<BlockHash>,
    /// Who votes.
    pub validator: Address,
}

impl bft::Vote<HeddleContext> for Vote {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> bft::Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<BlockHash> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<BlockHash> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &Address {
        &self.validator
    }

    fn extension(&self) -> Option<&bft::SignedExtension<HeddleContext>> {
        None
    }

    fn take_extension(&mut self) -> Option<bft::SignedExtension<HeddleContext>> {
        None
    }

    fn extend(self, _: bft::SignedExtension<HeddleContext>) -> Self {
        self
    }
}

/// A proposal as Malachite sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Height proposed at.
    pub height: Height,
    /// Round proposed in; never nil.
    pub round: bft::Round,
    /// The proposed block.
    pub value: BlockHash,
    /// `validRound`, nil for a new value.
    pub pol_round: bft::Round,
    /// The proposer.
    pub validator: Address,
}

impl bft::Proposal<HeddleContext> for Proposal {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> bft::Round {
        self.round
    }

    fn value(&self) -> &BlockHash {
        &self.value
    }

    fn take_value(self) -> BlockHash {
        self.value
    }

    fn pol_round(&self) -> bft::Round {
        self.pol_round
    }

    fn validator_address(&self) -> &Address {
        &self.validator
    }
}

/// Proposals are not split: a block travels whole with the proposal that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPart {}

impl bft::ProposalPart<HeddleContext> for NoPart {
    fn is_first(&self) -> bool {
        match *self {}
    }

    fn is_last(&self) -> bool {
        match *self {}
    }
}

/// Ed25519 as Malachite names it. Keys stay with the core; Malachite only carries signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ed25519;

impl bft::SigningScheme for Ed25519 {
    type DecodingError = &'static str;
    type Signature = ConsensusSignature;
    type PublicKey = VerifyingKey;
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<ConsensusSignature, &'static str> {
        bytes.try_into().map(ConsensusSignature::from_bytes).map_err(|_| "a signature has 64 bytes")
    }

    fn encode_signature(signature: &ConsensusSignature) -> Vec<u8> {
        signature.as_bytes().to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<VerifyingKey, &'static str> {
        VerifyingKey::try_from(bytes).map_err(|_| "not an ed25519 public key")
    }

    fn encode_public_key(public_key: &VerifyingKey) -> Vec<u8> {
        public_key.as_bytes().to_vec()
    }
}

impl bft::Context for HeddleContext {
    type Address = Address;
    type Height = Height;
    type ProposalPart = NoPart;
    type Proposal = Proposal;
    type Validator = Validator;
    type ValidatorSet = Validators;
    type Timeouts = bft::LinearTimeouts;
    type Value = BlockHash;
    type Vote = Vote;
    type Extension = ();
    type SigningScheme = Ed25519;

    #[expect(clippy::expect_used, reason = "the proposer comes from the same set, whose members are all listed")]
    fn select_proposer<'a>(&self, validators: &'a Validators, height: Height, round: bft::Round) -> &'a Validator {
        let proposer = validators.set.proposer(height.0, round.as_u32().unwrap_or_default()).address;
        bft::ValidatorSet::get_by_address(validators, &Address(proposer)).expect("the proposer is a member")
    }

    fn new_proposal(
        &self,
        height: Height,
        round: bft::Round,
        value: BlockHash,
        pol_round: bft::Round,
        validator: Address,
    ) -> Proposal {
        Proposal { height, round, value, pol_round, validator }
    }

    fn new_prevote(&self, height: Height, round: bft::Round, value: NilOrVal<BlockHash>, validator: Address) -> Vote {
        Vote { height, round, kind: VoteType::Prevote, value, validator }
    }

    fn new_precommit(&self, height: Height, round: bft::Round, value: NilOrVal<BlockHash>, validator: Address) -> Vote {
        Vote { height, round, kind: VoteType::Precommit, value, validator }
    }
}
