//! Evidence: two messages that no honest validator signs both.

use crate::wire::{decode_tagged, encode_by_tag};
use crate::{Height, Round, SignedProposal, SignedVote, SigningContext, Validator, ValidatorAddress, ValidatorSet};
use alloy_primitives::B256;
use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};
use sha2::{Digest, Sha256};

/// Most pieces of evidence in a block.
pub const EVIDENCE_PER_BLOCK_MAX: usize = 4;
/// How many heights below a block its evidence may lie; a validator's deposit stays locked for longer.
pub const EVIDENCE_AGE_MAX: u64 = 100_000;

/// Why two messages prove nothing. Always the fault of whoever presents them.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EvidenceError {
    /// The messages belong to different steps, or to different validators.
    #[error("the two messages are not of one validator at one height, round and step")]
    Unrelated,
    /// The messages are equal, or not in the one order that evidence is encoded in.
    #[error("the digests of the two messages must differ, the lower one first")]
    Order,
    /// Signed by somebody outside the set.
    #[error("{0} is not a validator of height {1}")]
    UnknownValidator(ValidatorAddress, Height),
    /// A signature does not verify.
    #[error("a signature of validator {0} does not verify")]
    BadSignature(ValidatorAddress),
}

/// Two signed messages of one kind, the one with the lower digest first.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct ConflictingPair<T> {
    /// The message with the lower digest.
    pub first: T,
    /// The other one.
    pub second: T,
}

/// Proof that a validator signed two messages for one height, round and step. Whether it proves that is
/// [`Evidence::verify`]'s question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Two prevotes, or two precommits.
    Votes(ConflictingPair<SignedVote>),
    /// Two proposals.
    Proposals(ConflictingPair<SignedProposal>),
}

impl Evidence {
    /// Evidence of two votes, brought into the one order.
    pub fn of_votes(one: SignedVote, other: SignedVote, context: &SigningContext) -> Self {
        let swap = one.vote.digest(context) > other.vote.digest(context);
        let (first, second) = if swap { (other, one) } else { (one, other) };
        Self::Votes(ConflictingPair { first, second })
    }

    /// Evidence of two proposals, brought into the one order.
    pub fn of_proposals(one: SignedProposal, other: SignedProposal, context: &SigningContext) -> Self {
        let swap = one.proposal.digest(context) > other.proposal.digest(context);
        let (first, second) = if swap { (other, one) } else { (one, other) };
        Self::Proposals(ConflictingPair { first, second })
    }

    /// The height of both messages.
    pub fn height(&self) -> Height {
        match self {
            Self::Votes(pair) => pair.first.vote.height,
            Self::Proposals(pair) => pair.first.proposal.height,
        }
    }

    /// The round of both messages.
    pub fn round(&self) -> Round {
        match self {
            Self::Votes(pair) => pair.first.vote.round,
            Self::Proposals(pair) => pair.first.proposal.round,
        }
    }

    /// Who signed both.
    pub fn validator(&self) -> ValidatorAddress {
        match self {
            Self::Votes(pair) => pair.first.vote.validator,
            Self::Proposals(pair) => pair.first.proposal.validator,
        }
    }

    /// Checks that both messages conflict and that one member of `validators`, the set of [`Self::height`], signed both;
    /// gives that member.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn verify<'a>(
        &self,
        validators: &'a ValidatorSet,
        context: &SigningContext,
    ) -> Result<&'a Validator, EvidenceError> {
        let (related, digests) = match self {
            Self::Votes(ConflictingPair { first, second }) => {
                let step = |vote: &crate::Vote| (vote.height, vote.round, vote.kind, vote.validator);
                let related = step(&first.vote) == step(&second.vote);
                (related, [first.vote.digest(context), second.vote.digest(context)])
            }
            Self::Proposals(ConflictingPair { first, second }) => {
                let step = |proposal: &crate::Proposal| (proposal.height, proposal.round, proposal.validator);
                let related = step(&first.proposal) == step(&second.proposal);
                (related, [first.proposal.digest(context), second.proposal.digest(context)])
            }
        };
        if !related {
            return Err(EvidenceError::Unrelated);
        }
        if digests[0] >= digests[1] {
            return Err(EvidenceError::Order);
        }
        let address = self.validator();
        let validator = validators.get(&address).ok_or(EvidenceError::UnknownValidator(address, self.height()))?;
        let signatures = match self {
            Self::Votes(pair) => [pair.first.signature, pair.second.signature],
            Self::Proposals(pair) => [pair.first.signature, pair.second.signature],
        };
        let verifies = signatures.iter().zip(digests).all(|(s, digest)| s.verify(&validator.public_key, digest));
        if verifies { Ok(validator) } else { Err(EvidenceError::BadSignature(address)) }
    }

    /// SHA-256 of the RLP: its name.
    pub fn digest(&self) -> B256 {
        B256::from_slice(&Sha256::digest(alloy_rlp::encode(self)))
    }

    fn tagged(&self) -> (u8, &dyn Encodable) {
        match self {
            Self::Votes(pair) => (1, pair),
            Self::Proposals(pair) => (2, pair),
        }
    }
}

encode_by_tag!(Evidence);

impl Decodable for Evidence {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_tagged(buf, |tag, body| match tag {
            1 => Ok(Self::Votes(Decodable::decode(body)?)),
            2 => Ok(Self::Proposals(Decodable::decode(body)?)),
            _ => Err(alloy_rlp::Error::Custom("evidence is of votes (1) or proposals (2)")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConsensusKey, Proposal, Vote, VoteKind, decode_exact};
    use alloy_primitives::Address;

    const CONTEXT: SigningContext = SigningContext { genesis_hash: B256::repeat_byte(7) };

    fn key(n: u8) -> ConsensusKey {
        ConsensusKey::from_bytes(&[n; 32])
    }

    fn validator(n: u8) -> Validator {
        Validator::new(key(n).public_key(), 1, Address::ZERO)
    }

    fn set() -> ValidatorSet {
        ValidatorSet::new(vec![validator(1), validator(2)]).unwrap()
    }

    fn vote(n: u8, alter: impl FnOnce(&mut Vote)) -> SignedVote {
        let mut vote = Vote {
            height: Height::new(5),
            round: Round::new(1),
            kind: VoteKind::Precommit,
            block_hash: None,
            validator: validator(n).address,
        };
        alter(&mut vote);
        SignedVote::sign(vote, &key(n), &CONTEXT)
    }

    fn for_block(vote: &mut Vote) {
        vote.block_hash = Some(B256::repeat_byte(1));
    }

    #[test]
    fn two_votes_in_one_step_convict_their_signer_in_one_encoding() {
        let (nil, block) = (vote(1, |_| ()), vote(1, for_block));
        let evidence = Evidence::of_votes(nil.clone(), block.clone(), &CONTEXT);
        assert_eq!(evidence, Evidence::of_votes(block, nil, &CONTEXT));
        assert_eq!(evidence.verify(&set(), &CONTEXT), Ok(&validator(1)));
        let bytes = alloy_rlp::encode(&evidence);
        assert_eq!(decode_exact::<Evidence>(&bytes, 1_024), Ok(evidence));
        assert!(decode_exact::<Evidence>(&bytes[..bytes.len() - 1], 1_024).is_err());
    }

    #[test]
    fn two_proposals_of_one_round_convict_their_signer() {
        let proposal = |hash| {
            let (height, round) = (Height::new(5), Round::ZERO);
            let proposal =
                Proposal { height, round, block_hash: hash, pol_round: None, validator: validator(2).address };
            SignedProposal::sign(proposal, &key(2), &CONTEXT)
        };
        let evidence = Evidence::of_proposals(proposal(B256::repeat_byte(1)), proposal(B256::repeat_byte(2)), &CONTEXT);
        assert_eq!(evidence.verify(&set(), &CONTEXT), Ok(&validator(2)));
        assert_eq!((evidence.height(), evidence.round()), (Height::new(5), Round::ZERO));
    }

    #[test]
    fn what_an_honest_validator_signs_convicts_nobody() {
        let first = vote(1, |_| ());
        let table = [
            ("the same vote twice", first.clone(), EvidenceError::Order),
            ("another round", vote(1, |v| v.round = Round::new(2)), EvidenceError::Unrelated),
            ("another height", vote(1, |v| v.height = Height::new(6)), EvidenceError::Unrelated),
            ("the other step", vote(1, |v| v.kind = VoteKind::Prevote), EvidenceError::Unrelated),
            ("another validator", vote(2, for_block), EvidenceError::Unrelated),
        ];
        for (name, second, error) in table {
            let evidence = Evidence::of_votes(first.clone(), second, &CONTEXT);
            assert_eq!(evidence.verify(&set(), &CONTEXT), Err(error), "{name}");
        }
    }

    #[test]
    fn forged_reordered_and_foreign_evidence_is_refused() {
        let mut forged = vote(1, for_block);
        forged.signature = vote(2, for_block).signature;
        let evidence = Evidence::of_votes(vote(1, |_| ()), forged, &CONTEXT);
        let address = validator(1).address;
        assert_eq!(evidence.verify(&set(), &CONTEXT), Err(EvidenceError::BadSignature(address)));

        let good = Evidence::of_votes(vote(1, |_| ()), vote(1, for_block), &CONTEXT);
        let Evidence::Votes(ConflictingPair { first, second }) = good.clone() else { unreachable!() };
        let reordered = Evidence::Votes(ConflictingPair { first: second, second: first });
        assert_eq!(reordered.verify(&set(), &CONTEXT), Err(EvidenceError::Order));

        let others = ValidatorSet::new(vec![validator(2)]).unwrap();
        assert_eq!(good.verify(&others, &CONTEXT), Err(EvidenceError::UnknownValidator(address, Height::new(5))));
        let elsewhere = SigningContext { genesis_hash: B256::ZERO };
        assert!(good.verify(&set(), &elsewhere).is_err());
    }
}
