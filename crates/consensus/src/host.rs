//! Answers Malachite's effects: signs, verifies, and turns everything else into outputs.

use crate::blocks::Blocks;
use crate::context::{Address, BlockHash, HeddleContext, Proposal, Vote};
use crate::record::{ElapsedTimeout, Entry, Record, Verdict};
use crate::signer::Signer;
use crate::{Output, SignState, Timeout, TimeoutKind, convert, message};
use alloy_primitives::B256;
use heddle_primitives::{
    Bug, CommitCertificate, ConsensusMessage, ConsensusSignature, Evidence, Height, ProposalMessage, Round,
    SignedProposal, SigningContext, ValidatorAddress, ValidatorSet, planted,
};
use malachitebft_core_consensus::{ConsensusMsg, Effect, Input, LivenessMsg, Resumable, Resume, SignedConsensusMsg};
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
    /// Absent on a node without a key. Whether it signs follows from the validators of the height.
    pub(crate) signer: Option<Signer>,
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
    /// Whom evidence of this height was given against: one piece is enough.
    pub(crate) accused: BTreeSet<ValidatorAddress>,
    pub(crate) outputs: Vec<Output>,
}

impl Host {
    /// The state before the first height.
    pub(crate) fn new(context: SigningContext, signer: Option<Signer>, head: Height, validators: ValidatorSet) -> Self {
        Self {
            context,
            signer,
            height: head,
            validators,
            blocks: Blocks::default(),
            replayed: BTreeSet::new(),
            build: None,
            own_proposal: None,
            decision: None,
            accused: BTreeSet::new(),
            outputs: Vec::new(),
        }
    }

    /// Forgets the last height.
    pub(crate) fn start_height(&mut self, height: Height, validators: ValidatorSet) {
        self.height = height;
        self.validators = validators;
        self.blocks = Blocks::default();
        self.build = None;
        self.own_proposal = None;
        self.decision = None;
        self.accused.clear();
    }

    /// Whether our key is one of the height's validators.
    pub(crate) fn is_validator(&self) -> bool {
        self.signer.as_ref().is_some_and(|signer| self.validators.get(&signer.address()).is_some())
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
                r.resume_with(planted(Bug::AnyProposer) || signed.signature.verify(&key, digest))
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
            Effect::Finalize(_, _, evidence, _) => self.accuse(evidence.votes.iter(), evidence.proposals.iter()),
            // A proposal is always published with its block right after: nothing else to send again.
            _ => {}
        }
    }

    fn sign_vote(&mut self, mut vote: Vote) -> bft::SignedVote<HeddleContext> {
        if planted(Bug::LockIgnored) && vote.kind == bft::VoteType::Prevote {
            let newest = self.blocks.newest_valid();
            vote.value = newest.map_or(vote.value, |hash| bft::NilOrVal::Val(BlockHash(hash)));
        }
        let signature = self.sign(SignState::of_vote(&convert::our_vote(&vote), &self.context));
        bft::SignedVote::new(vote, signature)
    }

    fn sign_proposal(&mut self, proposal: Proposal) -> bft::SignedProposal<HeddleContext> {
        let signature = self.sign(SignState::of_proposal(&convert::our_proposal(&proposal), &self.context));
        bft::SignedProposal::new(proposal, signature)
    }

    fn sign(&mut self, wanted: SignState) -> ConsensusSignature {
        let Some(signer) = &mut self.signer else { return WITHHELD };
        match signer.sign(wanted) {
            Ok(signature) => {
                self.outputs.push(Output::SignState(signer.guard.encoded()));
                signature
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

    /// Our address; the zero address, which no validator has, without a key.
    pub(crate) fn address(&self) -> Address {
        Address(self.signer.as_ref().map(Signer::address).unwrap_or_default())
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

    /// A node that signs nothing has nothing to contradict: it keeps no log. Where its own signatures are not all known
    /// it would record some that come from peers, which no replay could derive again.
    fn log(&mut self, entry: Entry) {
        let is_barred = self.signer.as_ref().is_some_and(|signer| signer.guard.bars(self.height));
        if !self.is_validator() || is_barred {
            return;
        }
        let bytes = Record { height: self.height, entry }.encoded();
        if !self.replayed.contains(&bytes) {
            self.outputs.push(Output::Log(bytes));
        }
    }

    /// Hands out evidence, one piece a validator and height. Whoever else runs with our own key is for others to accuse.
    pub(crate) fn accuse<'a>(
        &mut self,
        votes: impl IntoIterator<Item = (&'a Address, &'a Vec<bft::DoubleVote<HeddleContext>>)>,
        proposals: impl IntoIterator<Item = (&'a Address, &'a Vec<bft::DoubleProposal<HeddleContext>>)>,
    ) {
        let own = self.address();
        let Self { accused, context, outputs, .. } = self;
        let mut is_new = |culprit: &Address| *culprit != own && accused.insert(culprit.0);
        for (culprit, pairs) in votes {
            if let Some((one, other)) = pairs.first().filter(|_| is_new(culprit)) {
                let (one, other) = (convert::our_signed_vote(one), convert::our_signed_vote(other));
                outputs.push(Output::Evidence(Evidence::of_votes(one, other, context)));
            }
        }
        for (culprit, pairs) in proposals {
            if let Some((one, other)) = pairs.first().filter(|_| is_new(culprit)) {
                let (one, other) = (convert::our_signed_proposal(one), convert::our_signed_proposal(other));
                outputs.push(Output::Evidence(Evidence::of_proposals(one, other, context)));
            }
        }
    }
}

/// Malachite only asks whether a certificate is good; the reason is ours to log.
fn validity<E: std::fmt::Display>(result: Result<(), E>) -> Result<(), CertificateError<HeddleContext>> {
    result.map_err(|reason| {
        tracing::debug!(%reason, "certificate refused");
        CertificateError::VerificationError(None)
    })
}
