//! Answers Malachite's effects: signs, verifies, and turns everything else into outputs.

use crate::blocks::Blocks;
use crate::context::{Address, HeddleContext, Proposal, Vote};
use crate::record::{ElapsedTimeout, Entry, Record, Verdict};
use crate::{Output, SignGuard, SignState, Timeout, TimeoutKind, convert, message};
use alloy_primitives::B256;
use heddle_primitives::{
    CommitCertificate, ConsensusKey, ConsensusMessage, ConsensusSignature, Height, ProposalMessage, Round,
    SignedProposal, SigningContext, ValidatorSet,
};
use malachitebft_core_consensus::{
    ConsensusMsg, Effect, Input, LivenessMsg, MisbehaviorEvidence, Resumable, Resume, SignedConsensusMsg,
};
use malachitebft_core_types as bft;
use malachitebft_core_types::CertificateError;
use std::collections::BTreeSet;

/// In place of a signature that the guard refused. It never verifies, so Malachite drops its own message and goes on
/// with the protocol as if it had been lost; [`Host::publish`] drops it too.
const WITHHELD: ConsensusSignature = ConsensusSignature::from_bytes([0; 64]);

/// The side of the core that Malachite calls.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) context: SigningContext,
    pub(crate) key: Option<ConsensusKey>,
    pub(crate) guard: SignGuard,
    pub(crate) height: Height,
    pub(crate) validators: ValidatorSet,
    pub(crate) blocks: Blocks,
    /// Records that are in the log already, while it is replayed.
    pub(crate) replayed: BTreeSet<Vec<u8>>,
    /// The round that a block was asked for.
    pub(crate) build: Option<Round>,
    /// Our proposal of the current round.
    pub(crate) own_proposal: Option<SignedProposal>,
    /// The certificate of the decision, once.
    pub(crate) decision: Option<CommitCertificate>,
    pub(crate) outputs: Vec<Output>,
}

impl Host {
    /// Forgets the last height.
    pub(crate) fn start_height(&mut self, height: Height, validators: ValidatorSet) {
        self.height = height;
        self.validators = validators;
        self.blocks = Blocks::default();
        self.build = None;
        self.own_proposal = None;
        self.decision = None;
    }

    /// Carries out or notes one effect.
    pub(crate) fn on_effect(&mut self, effect: Effect<HeddleContext>) -> Resume<HeddleContext> {
        match effect {
            Effect::SignVote(vote, r) => r.resume_with(self.sign_vote(vote)),
            Effect::SignProposal(proposal, r) => r.resume_with(self.sign_proposal(proposal)),
            Effect::VerifySignature(signed, key, r) => {
                let digest = match &signed.message {
                    ConsensusMsg::Vote(vote) => convert::our_vote(vote).digest(&self.context),
                    ConsensusMsg::Proposal(proposal) => convert::our_proposal(proposal).digest(&self.context),
                };
                r.resume_with(signed.signature.verify(&key, digest))
            }
            // Emitted only for the certificate of a decision, which the core verifies itself before it commits:
            // a failure there is an error, where Malachite would panic.
            Effect::VerifyCommitCertificate(_, _, _, r) => r.resume_with(Ok(())),
            // The core verifies a peer's commit certificate before it feeds it.
            Effect::VerifyExtendedCommitCertificate(_, _, _, _, r) => r.resume_with(Ok(())),
            Effect::VerifyPolkaCertificate(certificate, _, _, r) => {
                let certificate = convert::our_polka_certificate(&certificate);
                r.resume_with(validity(certificate.verify(&self.validators, &self.context)))
            }
            Effect::VerifyRoundCertificate(certificate, _, _, r) => {
                let certificate = convert::our_round_certificate(&certificate);
                r.resume_with(validity(message::check_round_certificate(&certificate, &self.validators, &self.context)))
            }
            // Vote extensions are disabled, so these two are never asked.
            Effect::ExtendVote(_, _, _, _, r) => r.resume_with(None),
            Effect::VerifyVoteExtension(_, _, _, _, _, _, r) => r.resume_with(Ok(())),
            effect => {
                self.note(effect);
                Resume::Continue
            }
        }
    }

    /// The effects that ask for no answer.
    fn note(&mut self, effect: Effect<HeddleContext>) {
        match effect {
            Effect::CancelAllTimeouts(_) => self.outputs.push(Output::CancelAllTimeouts),
            Effect::CancelTimeout(timeout, _) => {
                self.outputs.extend(self.timeout(timeout).map(Output::CancelTimeout));
            }
            Effect::ScheduleTimeout(timeout, _) => {
                self.outputs.extend(self.timeout(timeout).map(Output::ScheduleTimeout));
            }
            Effect::StartRound(height, round, proposer, _, _) => {
                self.own_proposal = None;
                let round = convert::our_round(round);
                self.outputs.push(Output::RoundStarted { height: height.0, round, proposer: proposer.0 });
            }
            Effect::PublishConsensusMsg(SignedConsensusMsg::Vote(vote), _)
            | Effect::PublishLivenessMsg(LivenessMsg::Vote(vote), _)
            | Effect::RepublishVote(vote, _) => {
                self.publish(vote.signature, ConsensusMessage::Vote(convert::our_signed_vote(&vote)));
            }
            Effect::PublishConsensusMsg(SignedConsensusMsg::Proposal(proposal), _) => {
                self.publish_proposal(&convert::our_signed_proposal(&proposal));
            }
            Effect::PublishLivenessMsg(LivenessMsg::PolkaCertificate(certificate), _) => {
                let certificate = convert::our_polka_certificate(&certificate);
                self.outputs.push(Output::Publish(ConsensusMessage::PolkaCertificate(certificate)));
            }
            Effect::PublishLivenessMsg(LivenessMsg::SkipRoundCertificate(certificate), _)
            | Effect::RepublishRoundCertificate(certificate, _) => {
                let certificate = convert::our_round_certificate(&certificate);
                self.outputs.push(Output::Publish(ConsensusMessage::RoundCertificate(certificate)));
            }
            Effect::GetValue(_, round, _, _) => self.build = Some(convert::our_round(round)),
            Effect::WalAppend(_, input, _) => self.log_input(input),
            Effect::Decide(certificate, _, _) => self.decision = Some(convert::our_commit_certificate(&certificate)),
            Effect::Finalize(_, _, evidence, _) => self.report(&evidence),
            // A proposal is always published with its block right after: nothing else to send again.
            _ => {}
        }
    }

    fn sign_vote(&mut self, vote: Vote) -> bft::SignedVote<HeddleContext> {
        let signature = self.sign(SignState::of_vote(&convert::our_vote(&vote), &self.context));
        bft::SignedVote::new(vote, signature)
    }

    fn sign_proposal(&mut self, proposal: Proposal) -> bft::SignedProposal<HeddleContext> {
        let signature = self.sign(SignState::of_proposal(&convert::our_proposal(&proposal), &self.context));
        bft::SignedProposal::new(proposal, signature)
    }

    fn sign(&mut self, wanted: SignState) -> ConsensusSignature {
        let Some(key) = &self.key else { return WITHHELD };
        match self.guard.permit(wanted) {
            Ok(()) => {
                self.outputs.extend(self.guard.encoded().map(Output::SignState));
                key.sign(wanted.digest)
            }
            Err(refusal) => {
                self.outputs.push(Output::SignatureRefused(refusal));
                WITHHELD
            }
        }
    }

    fn publish(&mut self, signature: ConsensusSignature, message: ConsensusMessage) {
        if signature != WITHHELD {
            self.outputs.push(Output::Publish(message));
        }
    }

    /// Publishes a proposal with its block, and remembers our own for rebroadcast.
    pub(crate) fn publish_proposal(&mut self, proposal: &SignedProposal) {
        let Some(body) = self.blocks.get(&proposal.proposal.block_hash).cloned() else { return };
        if proposal.proposal.validator == self.address().0 && proposal.signature != WITHHELD {
            self.own_proposal = Some(proposal.clone());
        }
        let message = ProposalMessage { proposal: proposal.clone(), body };
        self.publish(proposal.signature, ConsensusMessage::Proposal(Box::new(message)));
    }

    /// Our address; nobody's without a key.
    pub(crate) fn address(&self) -> Address {
        address_of(self.key.as_ref())
    }

    /// Our form of a timeout; `None` for the kind that we do not use (Malachite's pause after a decision).
    fn timeout(&self, timeout: bft::Timeout) -> Option<Timeout> {
        let kind = match timeout.kind {
            bft::TimeoutKind::Propose => TimeoutKind::Propose,
            bft::TimeoutKind::Prevote => TimeoutKind::Prevote,
            bft::TimeoutKind::Precommit => TimeoutKind::Precommit,
            bft::TimeoutKind::Rebroadcast => TimeoutKind::Rebroadcast,
            bft::TimeoutKind::FinalizeHeight(_) => return None,
        };
        Some(Timeout { height: self.height, round: convert::our_round(timeout.round), kind })
    }

    fn log_input(&mut self, input: Input<HeddleContext>) {
        let entry = match input {
            Input::Vote(vote) => Entry::Vote(convert::our_signed_vote(&vote)),
            Input::Proposal(proposal) => {
                self.log_block(proposal.message.value.0);
                Entry::Proposal(convert::our_signed_proposal(&proposal))
            }
            Input::ProposedValue(value, _) => {
                self.log_block(value.value.0);
                Entry::Verdict(Verdict {
                    round: convert::our_round(value.round),
                    block_hash: value.value.0,
                    proposer: value.proposer.0,
                    valid: value.validity.is_valid(),
                })
            }
            Input::PolkaCertificate(certificate) => {
                Entry::PolkaCertificate(convert::our_polka_certificate(&certificate))
            }
            Input::TimeoutElapsed(timeout) => match self.timeout(timeout) {
                Some(Timeout { round, kind, .. }) => Entry::Timeout(ElapsedTimeout { round, kind }),
                None => return,
            },
            // The other inputs leave nothing behind that replay could not derive.
            _ => return,
        };
        self.log(entry);
    }

    fn log_block(&mut self, hash: B256) {
        if let Some(block) = self.blocks.log_once(hash) {
            self.log(Entry::Block(block));
        }
    }

    /// A node that signs nothing has nothing to contradict: it keeps no log. With a log that was lost, that would
    /// record our own old votes from peers, which no replay could derive again.
    fn log(&mut self, entry: Entry) {
        if self.key.is_none() || self.guard.sits_out(self.height) {
            return;
        }
        let bytes = Record { height: self.height, entry }.encoded();
        if !self.replayed.contains(&bytes) {
            self.outputs.push(Output::Log(bytes));
        }
    }

    fn report(&mut self, evidence: &MisbehaviorEvidence<HeddleContext>) {
        let voters = evidence.votes.iter().map(|(address, _)| address.0);
        let proposers = evidence.proposals.iter().map(|(address, _)| address.0);
        let height = self.height;
        for validator in BTreeSet::from_iter(voters.chain(proposers)) {
            self.outputs.push(Output::Misbehaviour { height, validator });
        }
    }
}

/// The address of a key; the zero address, which no validator has, without one.
pub(crate) fn address_of(key: Option<&ConsensusKey>) -> Address {
    let validator = |key: &ConsensusKey| {
        heddle_primitives::Validator::new(key.public_key(), 1, alloy_primitives::Address::ZERO).address
    };
    Address(key.map(validator).unwrap_or_default())
}

/// Malachite only asks whether a certificate is good; the reason is ours to log.
fn validity<E: std::fmt::Display>(result: Result<(), E>) -> Result<(), CertificateError<HeddleContext>> {
    result.map_err(|reason| {
        tracing::debug!(%reason, "certificate refused");
        CertificateError::VerificationError(None)
    })
}
