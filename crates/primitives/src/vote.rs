//! Proposals and votes, and their signatures.

use crate::wire::decode_list;
use crate::{ConsensusKey, ConsensusSignature, Height, Round, SigningContext, ValidatorAddress};
use alloy_primitives::B256;
use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};
use ed25519_dalek::VerifyingKey;

/// The two kinds of vote of Tendermint (arXiv:1807.04938).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VoteKind {
    /// First step: "I saw a valid proposal".
    Prevote,
    /// Second step: "I saw two thirds prevote for it".
    Precommit,
}

impl Encodable for VoteKind {
    fn encode(&self, out: &mut dyn BufMut) {
        match self {
            Self::Prevote => 1u8.encode(out),
            Self::Precommit => 2u8.encode(out),
        }
    }

    fn length(&self) -> usize {
        1
    }
}

impl Decodable for VoteKind {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        match u8::decode(buf)? {
            1 => Ok(Self::Prevote),
            2 => Ok(Self::Precommit),
            _ => Err(alloy_rlp::Error::Custom("a vote is a prevote (1) or a precommit (2)")),
        }
    }
}

/// A value that may be nil, as a list of zero or one items.
pub(crate) fn encode_option<T: Encodable>(value: &Option<T>, out: &mut dyn BufMut) {
    alloy_rlp::encode_list::<T, T>(value.as_slice(), out);
}

pub(crate) fn option_length<T: Encodable>(value: &Option<T>) -> usize {
    alloy_rlp::list_length::<T, T>(value.as_slice())
}

pub(crate) fn decode_option<T: Decodable>(buf: &mut &[u8]) -> alloy_rlp::Result<Option<T>> {
    let mut items = Vec::<T>::decode(buf)?;
    if items.len() > 1 {
        return Err(alloy_rlp::Error::Custom("an optional value is a list of at most one item"));
    }
    Ok(items.pop())
}

/// A vote for a block hash, or for nil.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vote {
    /// Height voted at.
    pub height: Height,
    /// Round voted in.
    pub round: Round,
    /// Prevote or precommit.
    pub kind: VoteKind,
    /// The block hash; `None` votes nil.
    pub block_hash: Option<B256>,
    /// Who votes.
    pub validator: ValidatorAddress,
}

impl Vote {
    const DOMAIN: &'static str = "heddle/vote/1";

    /// What is signed.
    pub fn digest(&self, context: &SigningContext) -> B256 {
        context.digest(Self::DOMAIN, self)
    }

    fn payload_length(&self) -> usize {
        self.height.length()
            + self.round.length()
            + self.kind.length()
            + option_length(&self.block_hash)
            + self.validator.length()
    }
}

impl Encodable for Vote {
    fn encode(&self, out: &mut dyn BufMut) {
        alloy_rlp::Header { list: true, payload_length: self.payload_length() }.encode(out);
        self.height.encode(out);
        self.round.encode(out);
        self.kind.encode(out);
        encode_option(&self.block_hash, out);
        self.validator.encode(out);
    }

    fn length(&self) -> usize {
        let payload = self.payload_length();
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for Vote {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_list(buf, |payload| {
            Ok(Self {
                height: Decodable::decode(payload)?,
                round: Decodable::decode(payload)?,
                kind: Decodable::decode(payload)?,
                block_hash: decode_option(payload)?,
                validator: Decodable::decode(payload)?,
            })
        })
    }
}

/// A vote with its validator's signature; whether it verifies is [`SignedVote::verify`]'s question.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct SignedVote {
    /// The vote.
    pub vote: Vote,
    /// Signature over [`Vote::digest`].
    pub signature: ConsensusSignature,
}

impl SignedVote {
    /// Signs a vote.
    pub fn sign(vote: Vote, key: &ConsensusKey, context: &SigningContext) -> Self {
        let signature = key.sign(vote.digest(context));
        Self { vote, signature }
    }

    /// Whether `key` signed this vote on this chain.
    pub fn verify(&self, key: &VerifyingKey, context: &SigningContext) -> bool {
        self.signature.verify(key, self.vote.digest(context))
    }
}

/// A proposer's word that a block hash is its value for a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Height proposed at.
    pub height: Height,
    /// Round proposed in.
    pub round: Round,
    /// Hash of the proposed block's header.
    pub block_hash: B256,
    /// The round in which the proposer saw two thirds prevote for this value, if it did (`validRound`).
    pub pol_round: Option<Round>,
    /// The proposer.
    pub validator: ValidatorAddress,
}

impl Proposal {
    const DOMAIN: &'static str = "heddle/proposal/1";

    /// What is signed.
    pub fn digest(&self, context: &SigningContext) -> B256 {
        context.digest(Self::DOMAIN, self)
    }

    fn payload_length(&self) -> usize {
        self.height.length()
            + self.round.length()
            + self.block_hash.length()
            + option_length(&self.pol_round)
            + self.validator.length()
    }
}

impl Encodable for Proposal {
    fn encode(&self, out: &mut dyn BufMut) {
        alloy_rlp::Header { list: true, payload_length: self.payload_length() }.encode(out);
        self.height.encode(out);
        self.round.encode(out);
        self.block_hash.encode(out);
        encode_option(&self.pol_round, out);
        self.validator.encode(out);
    }

    fn length(&self) -> usize {
        let payload = self.payload_length();
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for Proposal {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_list(buf, |payload| {
            Ok(Self {
                height: Decodable::decode(payload)?,
                round: Decodable::decode(payload)?,
                block_hash: Decodable::decode(payload)?,
                pol_round: decode_option(payload)?,
                validator: Decodable::decode(payload)?,
            })
        })
    }
}

/// A proposal with its proposer's signature.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct SignedProposal {
    /// The proposal.
    pub proposal: Proposal,
    /// Signature over [`Proposal::digest`].
    pub signature: ConsensusSignature,
}

impl SignedProposal {
    /// Signs a proposal.
    pub fn sign(proposal: Proposal, key: &ConsensusKey, context: &SigningContext) -> Self {
        let signature = key.sign(proposal.digest(context));
        Self { proposal, signature }
    }

    /// Whether `key` signed this proposal on this chain.
    pub fn verify(&self, key: &VerifyingKey, context: &SigningContext) -> bool {
        self.signature.verify(key, self.proposal.digest(context))
    }
}
