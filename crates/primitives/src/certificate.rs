//! Certificates: sets of votes that together prove something.

use crate::vote::{decode_option, encode_option, option_length};
use crate::wire::decode_list;
use crate::{
    Bug, ConsensusSignature, Height, Round, SigningContext, Validator, ValidatorAddress, ValidatorSet, Vote, VoteKind,
    planted,
};
use alloy_primitives::B256;
use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};
use sha2::{Digest, Sha256};

/// Why a certificate proves nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CertificateError {
    /// Signatures out of order or repeated: one set of votes has one encoding.
    #[error("signatures must be sorted by validator address without repetition; {0} is out of place")]
    NotCanonical(ValidatorAddress),
    /// Signed by somebody outside the set.
    #[error("{0} is not a validator of height {1}")]
    UnknownValidator(ValidatorAddress, Height),
    /// A signature does not verify.
    #[error("the signature of validator {0} does not verify")]
    BadSignature(ValidatorAddress),
    /// Too few votes.
    #[error("signed power {signed} of {total} is not more than two thirds")]
    NoQuorum {
        /// Power of those who signed.
        signed: u64,
        /// Power of all.
        total: u64,
    },
}

/// One validator's signature inside a certificate.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct CommitSignature {
    /// Who signed.
    pub validator: ValidatorAddress,
    /// Over the digest of the vote that the certificate implies.
    pub signature: ConsensusSignature,
}

/// Proof that more than two thirds precommitted a block: it is final.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct CommitCertificate {
    /// Height of the block.
    pub height: Height,
    /// Round in which it was decided.
    pub round: Round,
    /// The decided block.
    pub block_hash: B256,
    /// The precommits, sorted by validator address.
    pub signatures: Vec<CommitSignature>,
}

impl CommitCertificate {
    /// Brings signatures into the one canonical order; keeps the first of each validator.
    pub fn new(height: Height, round: Round, block_hash: B256, mut signatures: Vec<CommitSignature>) -> Self {
        signatures.sort_by_key(|s| s.validator);
        signatures.dedup_by_key(|s| s.validator);
        Self { height, round, block_hash, signatures }
    }

    /// SHA-256 of the RLP: what the child's header carries as `parentBeaconBlockRoot`.
    pub fn digest(&self) -> B256 {
        B256::from_slice(&Sha256::digest(alloy_rlp::encode(self)))
    }

    /// Checks order, membership, the quorum and every signature.
    ///
    /// # Errors
    /// The first rule broken, in that order.
    pub fn verify(&self, validators: &ValidatorSet, context: &SigningContext) -> Result<(), CertificateError> {
        verify_quorum(
            self.height,
            self.round,
            VoteKind::Precommit,
            self.block_hash,
            &self.signatures,
            validators,
            context,
        )
    }
}

/// Proof that more than two thirds prevoted a block in a round.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct PolkaCertificate {
    /// Height of the votes.
    pub height: Height,
    /// Round of the votes.
    pub round: Round,
    /// The block voted for.
    pub block_hash: B256,
    /// The prevotes, sorted by validator address.
    pub signatures: Vec<CommitSignature>,
}

impl PolkaCertificate {
    /// Brings signatures into the one canonical order; keeps the first of each validator.
    pub fn new(height: Height, round: Round, block_hash: B256, mut signatures: Vec<CommitSignature>) -> Self {
        signatures.sort_by_key(|s| s.validator);
        signatures.dedup_by_key(|s| s.validator);
        Self { height, round, block_hash, signatures }
    }

    /// As [`CommitCertificate::verify`], for prevotes.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn verify(&self, validators: &ValidatorSet, context: &SigningContext) -> Result<(), CertificateError> {
        verify_quorum(
            self.height,
            self.round,
            VoteKind::Prevote,
            self.block_hash,
            &self.signatures,
            validators,
            context,
        )
    }
}

fn verify_quorum(
    height: Height,
    round: Round,
    kind: VoteKind,
    block_hash: B256,
    signatures: &[CommitSignature],
    validators: &ValidatorSet,
    context: &SigningContext,
) -> Result<(), CertificateError> {
    let votes = votes_of_quorum(height, round, kind, block_hash, signatures, validators, context)?;
    votes.iter().try_for_each(SignedDigest::verify)
}

/// What a member of the set is said to have signed.
struct SignedDigest<'a> {
    validator: &'a Validator,
    digest: B256,
    signature: &'a ConsensusSignature,
}

impl SignedDigest<'_> {
    fn verify(&self) -> Result<(), CertificateError> {
        match self.signature.verify(&self.validator.public_key, self.digest) {
            true => Ok(()),
            false => Err(CertificateError::BadSignature(self.validator.address)),
        }
    }
}

/// Checks order, membership and the quorum; what is left to check is the signatures.
fn votes_of_quorum<'a>(
    height: Height,
    round: Round,
    kind: VoteKind,
    block_hash: B256,
    signatures: &'a [CommitSignature],
    validators: &'a ValidatorSet,
    context: &SigningContext,
) -> Result<Vec<SignedDigest<'a>>, CertificateError> {
    let mut signed = 0u64;
    let mut previous: Option<ValidatorAddress> = None;
    let mut votes = Vec::with_capacity(signatures.len().min(ValidatorSet::MAX_VALIDATORS));
    for CommitSignature { validator: address, signature } in signatures {
        if previous.is_some_and(|p| p >= *address) && !planted(Bug::RepeatedSigners) {
            return Err(CertificateError::NotCanonical(*address));
        }
        previous = Some(*address);
        let validator = validators.get(address).ok_or(CertificateError::UnknownValidator(*address, height))?;
        let vote = Vote { height, round, kind, block_hash: Some(block_hash), validator: *address };
        votes.push(SignedDigest { validator, digest: vote.digest(context), signature });
        signed = signed.saturating_add(validator.power);
    }
    if !validators.is_quorum(signed) {
        return Err(CertificateError::NoQuorum { signed, total: validators.total_power() });
    }
    Ok(votes)
}

/// Checks certificates of one set as [`CommitCertificate::verify`] does, except that the signatures of all but the last
/// are checked as one batch (ed25519 batch verification), which costs about half. A batch may let a signature pass that
/// is only equivalent to its signer's own; where that matters, the certificate must be the last one.
///
/// # Errors
/// The first certificate that fails, with the reason.
pub(crate) fn verify_certificates<'a>(
    certificates: &[&'a CommitCertificate],
    validators: &ValidatorSet,
    context: &SigningContext,
) -> Result<(), (&'a CommitCertificate, CertificateError)> {
    let Some((last, others)) = certificates.split_last() else { return Ok(()) };
    let mut votes = Vec::new();
    for certificate in others {
        let CommitCertificate { height, round, block_hash, signatures } = certificate;
        let quorum =
            votes_of_quorum(*height, *round, VoteKind::Precommit, *block_hash, signatures, validators, context);
        votes.extend(quorum.map_err(|error| (*certificate, error))?);
    }
    let batch = votes.iter().map(|vote| (&vote.validator.public_key, vote.digest, vote.signature));
    if !ConsensusSignature::verify_batch(batch) {
        // One of them is wrong: whose is worth the time.
        others.iter().try_for_each(|it| it.verify(validators, context).map_err(|error| (*it, error)))?;
    }
    last.verify(validators, context).map_err(|error| (*last, error))
}

/// What a round certificate justifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundCertificateKind {
    /// One third voted in a later round: skip to it.
    Skip,
    /// Two thirds precommitted something: the round may end.
    Precommit,
}

impl Encodable for RoundCertificateKind {
    fn encode(&self, out: &mut dyn BufMut) {
        match self {
            Self::Skip => 1u8.encode(out),
            Self::Precommit => 2u8.encode(out),
        }
    }

    fn length(&self) -> usize {
        1
    }
}

impl Decodable for RoundCertificateKind {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        match u8::decode(buf)? {
            1 => Ok(Self::Skip),
            2 => Ok(Self::Precommit),
            _ => Err(alloy_rlp::Error::Custom("a round certificate is for a skip (1) or precommits (2)")),
        }
    }
}

/// One vote inside a round certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundSignature {
    /// Prevote or precommit.
    pub kind: VoteKind,
    /// What was voted for; `None` is nil.
    pub block_hash: Option<B256>,
    /// Who voted.
    pub validator: ValidatorAddress,
    /// Over the vote's digest.
    pub signature: ConsensusSignature,
}

impl RoundSignature {
    fn payload_length(&self) -> usize {
        self.kind.length() + option_length(&self.block_hash) + self.validator.length() + self.signature.length()
    }
}

impl Encodable for RoundSignature {
    fn encode(&self, out: &mut dyn BufMut) {
        alloy_rlp::Header { list: true, payload_length: self.payload_length() }.encode(out);
        self.kind.encode(out);
        encode_option(&self.block_hash, out);
        self.validator.encode(out);
        self.signature.encode(out);
    }

    fn length(&self) -> usize {
        let payload = self.payload_length();
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for RoundSignature {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_list(buf, |payload| {
            Ok(Self {
                kind: Decodable::decode(payload)?,
                block_hash: decode_option(payload)?,
                validator: Decodable::decode(payload)?,
                signature: Decodable::decode(payload)?,
            })
        })
    }
}

/// Votes that justify entering a round. Verified by the consensus core, which knows the thresholds of each kind.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct RoundCertificate {
    /// Height of the votes.
    pub height: Height,
    /// Round of the votes.
    pub round: Round,
    /// What the votes justify.
    pub kind: RoundCertificateKind,
    /// The votes.
    pub signatures: Vec<RoundSignature>,
}
