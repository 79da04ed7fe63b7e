//! Between Malachite's messages and ours. Each direction is total: neither side can hold what the other cannot say.

use crate::context::{Address, BlockHash, HeddleContext, Height, Proposal, Vote};
use heddle_primitives as ours;
use malachitebft_core_types as bft;
use malachitebft_core_types::{NilOrVal, VoteType};

/// A round of ours as Malachite writes it.
pub(crate) fn round(round: ours::Round) -> bft::Round {
    bft::Round::new(round.as_u32())
}

/// A round of a message. Malachite's nil round stands before the first one and never in a message, so it reads as 0.
pub(crate) fn our_round(round: bft::Round) -> ours::Round {
    ours::Round::new(round.as_u32().unwrap_or_default())
}

fn value(hash: Option<alloy_primitives::B256>) -> NilOrVal<BlockHash> {
    hash.map_or(NilOrVal::Nil, |hash| NilOrVal::Val(BlockHash(hash)))
}

fn our_value(value: &NilOrVal<BlockHash>) -> Option<alloy_primitives::B256> {
    match value {
        NilOrVal::Nil => None,
        NilOrVal::Val(hash) => Some(hash.0),
    }
}

fn kind(kind: ours::VoteKind) -> VoteType {
    match kind {
        ours::VoteKind::Prevote => VoteType::Prevote,
        ours::VoteKind::Precommit => VoteType::Precommit,
    }
}

fn our_kind(kind: VoteType) -> ours::VoteKind {
    match kind {
        VoteType::Prevote => ours::VoteKind::Prevote,
        VoteType::Precommit => ours::VoteKind::Precommit,
    }
}

pub(crate) fn vote(signed: ours::SignedVote) -> bft::SignedVote<HeddleContext> {
    let ours::Vote { height, round: r, kind: k, block_hash, validator } = signed.vote;
    let vote = Vote {
        height: Height(height),
        round: round(r),
        kind: kind(k),
        value: value(block_hash),
        validator: Address(validator),
    };
    bft::SignedVote::new(vote, signed.signature)
}

pub(crate) fn our_vote(vote: &Vote) -> ours::Vote {
    ours::Vote {
        height: vote.height.0,
        round: our_round(vote.round),
        kind: our_kind(vote.kind),
        block_hash: our_value(&vote.value),
        validator: vote.validator.0,
    }
}

pub(crate) fn our_signed_vote(signed: &bft::SignedVote<HeddleContext>) -> ours::SignedVote {
    ours::SignedVote { vote: our_vote(&signed.message), signature: signed.signature }
}

pub(crate) fn proposal(signed: ours::SignedProposal) -> bft::SignedProposal<HeddleContext> {
    let ours::Proposal { height, round: r, block_hash, pol_round, validator } = signed.proposal;
    let proposal = Proposal {
        height: Height(height),
        round: round(r),
        value: BlockHash(block_hash),
        pol_round: pol_round.map_or(bft::Round::Nil, round),
        validator: Address(validator),
    };
    bft::SignedProposal::new(proposal, signed.signature)
}

pub(crate) fn our_proposal(proposal: &Proposal) -> ours::Proposal {
    ours::Proposal {
        height: proposal.height.0,
        round: our_round(proposal.round),
        block_hash: proposal.value.0,
        pol_round: proposal.pol_round.as_u32().map(ours::Round::new),
        validator: proposal.validator.0,
    }
}

pub(crate) fn our_signed_proposal(signed: &bft::SignedProposal<HeddleContext>) -> ours::SignedProposal {
    ours::SignedProposal { proposal: our_proposal(&signed.message), signature: signed.signature }
}

pub(crate) fn polka_certificate(certificate: ours::PolkaCertificate) -> bft::PolkaCertificate<HeddleContext> {
    let signature = |s: ours::CommitSignature| bft::PolkaSignature::new(Address(s.validator), s.signature);
    bft::PolkaCertificate {
        height: Height(certificate.height),
        round: round(certificate.round),
        value_id: BlockHash(certificate.block_hash),
        polka_signatures: certificate.signatures.into_iter().map(signature).collect(),
    }
}

pub(crate) fn our_polka_certificate(certificate: &bft::PolkaCertificate<HeddleContext>) -> ours::PolkaCertificate {
    let signature = |s: &bft::PolkaSignature<HeddleContext>| ours::CommitSignature {
        validator: s.address.0,
        signature: s.signature,
    };
    ours::PolkaCertificate::new(
        certificate.height.0,
        our_round(certificate.round),
        certificate.value_id.0,
        certificate.polka_signatures.iter().map(signature).collect(),
    )
}

pub(crate) fn commit_certificate(
    certificate: &ours::CommitCertificate,
) -> bft::ExtendedCommitCertificate<HeddleContext> {
    let signature =
        |s: &ours::CommitSignature| bft::ExtendedCommitSignature::new(Address(s.validator), s.signature, None);
    bft::ExtendedCommitCertificate {
        height: Height(certificate.height),
        round: round(certificate.round),
        value_id: BlockHash(certificate.block_hash),
        commit_signatures: certificate.signatures.iter().map(signature).collect(),
    }
}

pub(crate) fn our_commit_certificate(certificate: &bft::CommitCertificate<HeddleContext>) -> ours::CommitCertificate {
    let signature = |s: &bft::CommitSignature<HeddleContext>| ours::CommitSignature {
        validator: s.address.0,
        signature: s.signature,
    };
    ours::CommitCertificate::new(
        certificate.height.0,
        our_round(certificate.round),
        certificate.value_id.0,
        certificate.commit_signatures.iter().map(signature).collect(),
    )
}

pub(crate) fn round_certificate(certificate: ours::RoundCertificate) -> bft::RoundCertificate<HeddleContext> {
    let signature = |s: ours::RoundSignature| {
        bft::RoundSignature::new(kind(s.kind), value(s.block_hash), Address(s.validator), s.signature)
    };
    bft::RoundCertificate {
        height: Height(certificate.height),
        round: round(certificate.round),
        cert_type: match certificate.kind {
            ours::RoundCertificateKind::Skip => bft::RoundCertificateType::Skip,
            ours::RoundCertificateKind::Precommit => bft::RoundCertificateType::Precommit,
        },
        round_signatures: certificate.signatures.into_iter().map(signature).collect(),
    }
}

pub(crate) fn our_round_certificate(certificate: &bft::RoundCertificate<HeddleContext>) -> ours::RoundCertificate {
    let signature = |s: &bft::RoundSignature<HeddleContext>| ours::RoundSignature {
        kind: our_kind(s.vote_type),
        block_hash: our_value(&s.value_id),
        validator: s.address.0,
        signature: s.signature,
    };
    ours::RoundCertificate {
        height: certificate.height.0,
        round: our_round(certificate.round),
        kind: match certificate.cert_type {
            bft::RoundCertificateType::Skip => ours::RoundCertificateKind::Skip,
            bft::RoundCertificateType::Precommit => ours::RoundCertificateKind::Precommit,
        },
        signatures: certificate.round_signatures.iter().map(signature).collect(),
    }
}
