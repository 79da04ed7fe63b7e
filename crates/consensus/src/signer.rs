//! The key of a validator behind its guard, and what of a message it signed.

use crate::{CoreError, Refusal, SignGuard, SignState, SignStateRecord};
use heddle_primitives::{
    ConsensusKey, ConsensusMessage, ConsensusSignature, Height, Round, SigningContext, ValidatorAddress, Vote, VoteKind,
};

/// Signs what the guard permits.
#[derive(Debug)]
pub(crate) struct Signer {
    key: ConsensusKey,
    address: ValidatorAddress,
    pub(crate) guard: SignGuard,
}

impl Signer {
    /// Takes up a key with the content of its sign-state file; `None` is a key that never signed.
    ///
    /// # Errors
    /// The content is no sign state, or that of another key or chain.
    pub(crate) fn open(
        key: ConsensusKey,
        sign_state: Option<&[u8]>,
        context: &SigningContext,
    ) -> Result<Self, CoreError> {
        let public_key = key.public_key().to_bytes();
        let mut record = match sign_state {
            Some(bytes) => SignStateRecord::decode(bytes).map_err(CoreError::SignState)?,
            None => SignStateRecord::fresh(public_key),
        };
        record.bind(public_key, context.genesis_hash).map_err(CoreError::ForeignSignState)?;
        Ok(Self { address: key.address(), key, guard: SignGuard::open(record) })
    }

    /// The validator that signs.
    pub(crate) fn address(&self) -> ValidatorAddress {
        self.address
    }

    /// Signs, unless the guard refuses.
    pub(crate) fn sign(&mut self, wanted: SignState) -> Result<ConsensusSignature, Refusal> {
        self.guard.permit(wanted)?;
        Ok(self.key.sign(wanted.digest))
    }
}

/// The last of the signatures of one validator in a message, if there is one. All signatures of a checked message
/// verify, so this validator gave it.
pub(crate) fn last_signature_of(
    validator: ValidatorAddress,
    message: &ConsensusMessage,
    context: &SigningContext,
) -> Option<SignState> {
    let vote = |height: Height, round: Round, kind, block_hash| {
        SignState::of_vote(&Vote { height, round, kind, block_hash, validator }, context)
    };
    match message {
        ConsensusMessage::Vote(signed) if signed.vote.validator == validator => {
            Some(SignState::of_vote(&signed.vote, context))
        }
        ConsensusMessage::Proposal(message) if message.proposal.proposal.validator == validator => {
            Some(SignState::of_proposal(&message.proposal.proposal, context))
        }
        ConsensusMessage::PolkaCertificate(certificate) => certificate
            .signatures
            .iter()
            .any(|s| s.validator == validator)
            .then(|| vote(certificate.height, certificate.round, VoteKind::Prevote, Some(certificate.block_hash))),
        ConsensusMessage::CommitCertificate(certificate) => certificate
            .signatures
            .iter()
            .any(|s| s.validator == validator)
            .then(|| vote(certificate.height, certificate.round, VoteKind::Precommit, Some(certificate.block_hash))),
        ConsensusMessage::RoundCertificate(certificate) => certificate
            .signatures
            .iter()
            .find(|s| s.validator == validator)
            .map(|s| vote(certificate.height, certificate.round, s.kind, s.block_hash)),
        ConsensusMessage::Vote(_) | ConsensusMessage::Proposal(_) | ConsensusMessage::Evidence(_) => None,
    }
}
