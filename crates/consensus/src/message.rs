//! Messages of peers, checked before the core sees them.

use alloy_consensus::proofs::{calculate_ommers_root, calculate_transaction_root, calculate_withdrawals_root};
use alloy_primitives::B256;
use alloy_rlp::Encodable;
use heddle_primitives::{
    AccessListMismatch, Bug, CertificateError, ConsensusMessage, EvidenceError, Header, Height, MAX_BLOCK_BYTES,
    PolkaCertificate, ProposalMessage, ProposedBlock, Round, RoundCertificate, RoundCertificateKind, SignedProposal,
    SignedVote, SigningContext, ValidatorAddress, ValidatorSet, Vote, VoteKind, consensus_root, planted,
};

/// No honest node reaches this round: with the shortest timeouts it takes weeks at one height.
const ROUND_MAX: Round = Round::new(1_000_000);

/// What is wrong with a message. Always the fault of whoever made it, unless the height has other validators than
/// those it was checked against.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageFault {
    /// Signed by somebody outside the validator set.
    #[error("{0} is not a validator")]
    UnknownValidator(ValidatorAddress),
    /// A signature does not verify.
    #[error("the signature of validator {0} does not verify")]
    BadSignature(ValidatorAddress),
    /// Somebody proposed out of turn.
    #[error("{claimed} proposed in round {round}, whose proposer is {expected}")]
    NotProposer {
        /// Who signed the proposal.
        claimed: ValidatorAddress,
        /// Whose turn it is.
        expected: ValidatorAddress,
        /// Round of the proposal.
        round: Round,
    },
    /// A proposal that claims a polka of its own round or a later one.
    #[error("proposal of round {round} claims a polka in round {pol_round}")]
    PolRound {
        /// Round of the proposal.
        round: Round,
        /// Round of the claimed polka.
        pol_round: Round,
    },
    /// The block is not the one that the proposal's hash names, or larger than a block may be.
    #[error("{part} of the block is {found}, the proposal binds {bound}")]
    Body {
        /// Which part differs.
        part: &'static str,
        /// What the block holds.
        found: String,
        /// What the hash or its header says.
        bound: String,
    },
    /// The access list beside the block is not the block's, which says nothing about the block.
    #[error(transparent)]
    AccessList(#[from] AccessListMismatch),
    /// A certificate that proves nothing.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Evidence that convicts nobody.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// A precommit certificate that holds a prevote.
    #[error("prevote of {0} in a certificate of precommits")]
    PrevoteInCertificate(ValidatorAddress),
    /// A round nobody honest can be in.
    #[error("round {0} is above {ROUND_MAX}")]
    RoundTooHigh(Round),
}

/// A message whose signatures verify under a validator set, and whose block, if it has one, is wholly bound by the
/// hash that was signed: whoever relayed it cannot have changed a byte that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedMessage(ConsensusMessage);

impl CheckedMessage {
    /// Checks a message against the validators of its height.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn check(
        message: ConsensusMessage,
        validators: &ValidatorSet,
        context: &SigningContext,
    ) -> Result<Self, MessageFault> {
        let round = round_of(&message);
        if round > ROUND_MAX {
            return Err(MessageFault::RoundTooHigh(round));
        }
        match &message {
            ConsensusMessage::Vote(vote) => check_vote(vote, validators, context)?,
            ConsensusMessage::Proposal(proposal) => check_proposal(proposal, validators, context)?,
            ConsensusMessage::PolkaCertificate(certificate) => certificate.verify(validators, context)?,
            ConsensusMessage::RoundCertificate(certificate) => {
                check_round_certificate(certificate, validators, context)?;
            }
            ConsensusMessage::CommitCertificate(certificate) => certificate.verify(validators, context)?,
            ConsensusMessage::Evidence(evidence) => evidence.verify(validators, context).map(drop)?,
        }
        Ok(Self(message))
    }

    /// The height that the message is about.
    pub fn height(&self) -> Height {
        self.0.height()
    }

    /// The message.
    pub fn get(&self) -> &ConsensusMessage {
        &self.0
    }

    /// The message, no longer known to be checked.
    pub fn into_inner(self) -> ConsensusMessage {
        self.0
    }
}

fn round_of(message: &ConsensusMessage) -> Round {
    match message {
        ConsensusMessage::Vote(signed) => signed.vote.round,
        ConsensusMessage::Proposal(message) => message.proposal.proposal.round,
        ConsensusMessage::PolkaCertificate(PolkaCertificate { round, .. }) => *round,
        ConsensusMessage::RoundCertificate(certificate) => certificate.round,
        ConsensusMessage::CommitCertificate(certificate) => certificate.round,
        ConsensusMessage::Evidence(evidence) => evidence.round(),
    }
}

/// Whether a validator of the set signed this vote.
pub(crate) fn check_vote(
    signed: &SignedVote,
    validators: &ValidatorSet,
    context: &SigningContext,
) -> Result<(), MessageFault> {
    let address = signed.vote.validator;
    let validator = validators.get(&address).ok_or(MessageFault::UnknownValidator(address))?;
    if signed.verify(&validator.public_key, context) { Ok(()) } else { Err(MessageFault::BadSignature(address)) }
}

/// Whether the proposer of its round signed this proposal.
pub(crate) fn check_signed_proposal(
    signed: &SignedProposal,
    validators: &ValidatorSet,
    context: &SigningContext,
) -> Result<(), MessageFault> {
    let proposal = &signed.proposal;
    let (claimed, round) = (proposal.validator, proposal.round);
    let validator = validators.get(&claimed).ok_or(MessageFault::UnknownValidator(claimed))?;
    let expected = validators.proposer(proposal.height, round.as_u32()).address;
    if claimed != expected && !planted(Bug::AnyProposer) {
        return Err(MessageFault::NotProposer { claimed, expected, round });
    }
    if !signed.verify(&validator.public_key, context) {
        return Err(MessageFault::BadSignature(claimed));
    }
    match proposal.pol_round {
        Some(pol_round) if pol_round >= round => Err(MessageFault::PolRound { round, pol_round }),
        _ => Ok(()),
    }
}

fn check_proposal(
    message: &ProposalMessage,
    validators: &ValidatorSet,
    context: &SigningContext,
) -> Result<(), MessageFault> {
    check_header(&message.proposal, &message.body.block.header, validators, context)?;
    check_body(&message.body)
}

/// Whether the proposer of its round signed this header's hash, for its height.
pub(crate) fn check_header(
    signed: &SignedProposal,
    header: &Header,
    validators: &ValidatorSet,
    context: &SigningContext,
) -> Result<(), MessageFault> {
    let proposal = &signed.proposal;
    if proposal.round > ROUND_MAX {
        return Err(MessageFault::RoundTooHigh(proposal.round));
    }
    check_signed_proposal(signed, validators, context)?;
    bound("hash", header.hash_slow(), proposal.block_hash)?;
    bound("number", Height::new(header.number), proposal.height)
}

/// The proposer signs a hash only. Without this check anybody could relay a proposal with another body, and make
/// its receivers reject, for good, a block that others accept. Bounds come first: what breaks them is not hashed.
fn check_body(body: &ProposedBlock) -> Result<(), MessageFault> {
    let (header, content) = (&body.block.header, &body.block.body);
    at_most("size", body.block.length(), MAX_BLOCK_BYTES)?;
    at_most("number of hints", body.hints.len(), content.transactions.len())?;
    bound("transactions root", calculate_transaction_root(&content.transactions), header.transactions_root)?;
    bound("ommers hash", calculate_ommers_root(&content.ommers), header.ommers_hash)?;
    let withdrawals_root = content.withdrawals.as_ref().map(|withdrawals| calculate_withdrawals_root(withdrawals));
    bound("withdrawals root", some(withdrawals_root), some(header.withdrawals_root))?;
    let root = consensus_root(body.parent_certificate.as_ref(), &body.evidence);
    bound("digest of parent certificate and evidence", root, header.parent_beacon_block_root.unwrap_or_default())?;
    body.check_access_list().map_err(MessageFault::from)
}

fn at_most(part: &'static str, found: usize, max: usize) -> Result<(), MessageFault> {
    if found <= max {
        return Ok(());
    }
    Err(MessageFault::Body { part, found: found.to_string(), bound: format!("at most {max}") })
}

/// A root that may be absent, for comparison and for the error's text.
fn some(root: Option<B256>) -> String {
    root.map_or_else(|| "absent".to_owned(), |root| root.to_string())
}

fn bound<T: PartialEq + ToString>(part: &'static str, found: T, bound: T) -> Result<(), MessageFault> {
    if found == bound {
        return Ok(());
    }
    Err(MessageFault::Body { part, found: found.to_string(), bound: bound.to_string() })
}

/// Whether a round certificate justifies entering a round: distinct validators, every signature good, and power above
/// one third (skip) or above two thirds of precommits only.
pub(crate) fn check_round_certificate(
    certificate: &RoundCertificate,
    validators: &ValidatorSet,
    context: &SigningContext,
) -> Result<(), MessageFault> {
    let mut seen = std::collections::BTreeSet::new();
    let mut signed_power = 0u64;
    // Signatures come last: what is wrong otherwise shall cost little.
    for signature in &certificate.signatures {
        let address = signature.validator;
        if !seen.insert(address) {
            return Err(CertificateError::NotCanonical(address).into());
        }
        if certificate.kind == RoundCertificateKind::Precommit && signature.kind == VoteKind::Prevote {
            return Err(MessageFault::PrevoteInCertificate(address));
        }
        let validator = validators.get(&address).ok_or(MessageFault::UnknownValidator(address))?;
        signed_power = signed_power.saturating_add(validator.power);
    }
    let total = validators.total_power();
    let enough = match certificate.kind {
        RoundCertificateKind::Skip => u128::from(signed_power) * 3 > u128::from(total),
        RoundCertificateKind::Precommit => validators.is_quorum(signed_power),
    };
    if !enough {
        return Err(CertificateError::NoQuorum { signed: signed_power, total }.into());
    }
    certificate.signatures.iter().try_for_each(|signature| {
        let vote = Vote {
            height: certificate.height,
            round: certificate.round,
            kind: signature.kind,
            block_hash: signature.block_hash,
            validator: signature.validator,
        };
        check_vote(&SignedVote { vote, signature: signature.signature }, validators, context)
    })
}
