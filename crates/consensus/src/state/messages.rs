//! What the core makes of peers' messages.

use super::Core;
use crate::signer::last_signature_of;
use crate::{CheckedMessage, CoreError, Output, convert};
use heddle_primitives::{
    Bug, CommitCertificate, ConsensusMessage, Proposal, ProposalMessage, ProposedBlock, Validator, ValidatorSet, Vote,
    VoteKind, planted,
};
use malachitebft_core_consensus::{Input as BftInput, PeerId};
use malachitebft_core_types::ValueResponse;

impl Core {
    pub(super) fn on_message(&mut self, message: CheckedMessage) -> Result<(), CoreError> {
        self.meet_own_signature(&message);
        let height = message.height();
        if height > self.host.height {
            self.future.insert(self.host.height.max(self.committed), message);
            return Ok(());
        }
        if height < self.host.height {
            self.help(&message);
            return Ok(());
        }
        if self.is_over() {
            return Ok(());
        }
        match message.into_inner() {
            ConsensusMessage::Vote(signed) => self.process(BftInput::Vote(convert::vote(signed))),
            ConsensusMessage::Proposal(message) => self.on_proposal(*message),
            ConsensusMessage::PolkaCertificate(certificate) => {
                self.process(BftInput::PolkaCertificate(convert::polka_certificate(certificate)))
            }
            ConsensusMessage::RoundCertificate(certificate) => {
                self.process(BftInput::RoundCertificate(convert::round_certificate(certificate)))
            }
            ConsensusMessage::CommitCertificate(certificate) => self.on_commit_certificate(certificate),
            // Not for this height to deal with: the service gives it to the application.
            ConsensusMessage::Evidence(_) => Ok(()),
        }
    }

    /// Our own messages come back from peers all the time; one that was never permitted here did not come from here.
    fn meet_own_signature(&mut self, message: &CheckedMessage) {
        let Some(signer) = &mut self.host.signer else { return };
        let shown = last_signature_of(signer.address(), message.get(), &self.host.context);
        if let Some(shown) = shown.filter(|shown| signer.guard.meet(*shown)) {
            self.host.outputs.push(Output::SignState(signer.guard.encoded()));
            self.host.outputs.push(Output::ForeignSignature(shown));
        }
    }

    /// A peer still works on the height before this one: tell it how that was decided, once. A late precommit for the
    /// decided block comes from a peer that is about to see it by itself.
    fn help(&mut self, message: &CheckedMessage) {
        let Some(previous) = self.previous.take_if(|previous| previous.height == message.height()) else { return };
        let on_its_way = matches!(
            message.get(),
            ConsensusMessage::Vote(signed) if matches!(
                &signed.vote,
                Vote { kind: VoteKind::Precommit, block_hash: Some(hash), .. } if *hash == previous.block_hash
            )
        );
        if on_its_way || !self.host.is_validator() {
            self.previous = Some(previous);
        } else {
            self.host.outputs.push(Output::Publish(ConsensusMessage::CommitCertificate(previous)));
        }
    }

    fn on_proposal(&mut self, mut message: ProposalMessage) -> Result<(), CoreError> {
        if planted(Bug::AnyProposer) {
            let proposal = &mut message.proposal.proposal;
            let round = proposal.round.as_u32();
            proposal.validator = self.host.validators.proposer(proposal.height, round).address;
        }
        let proposal = message.proposal.proposal.clone();
        let hash = proposal.block_hash;
        self.host.blocks.offer(hash, proposal.round, message.body);
        self.process(BftInput::Proposal(convert::proposal(message.proposal)))?;
        self.settle(hash);
        self.ask_for_verdict(&proposal);
        Ok(())
    }

    /// Asks the application about the block of an accepted proposal, unless it is known to be valid.
    pub(super) fn ask_for_verdict(&mut self, proposal: &Proposal) {
        if self.is_over() {
            return;
        }
        let hash = proposal.block_hash;
        let Some(block) = self.host.blocks.get(&hash).cloned() else { return };
        let proposer = builder(proposal, &block, &self.host.validators).clone();
        if self.host.blocks.must_ask(&hash, proposer.address) {
            let height = self.host.height;
            self.host.outputs.push(Output::Validate { height, block_hash: hash, block, proposer: Box::new(proposer) });
        }
    }

    fn on_commit_certificate(&mut self, certificate: CommitCertificate) -> Result<(), CoreError> {
        if certificate.verify(&self.host.validators, &self.host.context).is_err() {
            return Ok(());
        }
        let known = self.host.blocks.is_valid(&certificate.block_hash);
        self.certificate = Some(certificate);
        if !known {
            self.host.outputs.push(Output::Behind(self.host.height));
        }
        self.decide_by_certificate()
    }

    /// Decides by a peer's certificate once its block is validated here. Malachite is told no earlier: it would change
    /// rounds on the certificate alone, which the log does not record and a replay could not repeat.
    pub(super) fn decide_by_certificate(&mut self) -> Result<(), CoreError> {
        let valid = |certificate: &mut CommitCertificate| self.host.blocks.is_valid(&certificate.block_hash);
        let Some(certificate) = self.certificate.take_if(valid) else { return Ok(()) };
        // Malachite reports failures under a peer's name; this one stands for nobody.
        let nobody = PeerId::from_bytes(&[0, 0]).map_err(|error| CoreError::Internal(error.to_string()))?;
        let response = ValueResponse::new(nobody, Default::default(), convert::commit_certificate(&certificate));
        self.process(BftInput::SyncValueResponse(response))
    }
}

/// Whose block a proposal offers: the proposer's own, or, when it claims a polka of an earlier round, that of the
/// proposer of a round up to then whose fee recipient the block names.
fn builder<'a>(proposal: &Proposal, block: &ProposedBlock, validators: &'a ValidatorSet) -> &'a Validator {
    let proposer = |round: u32| validators.proposer(proposal.height, round);
    let Some(pol_round) = proposal.pol_round else { return proposer(proposal.round.as_u32()) };
    let beneficiary = block.block.header.beneficiary;
    // One turn of the rotation visits everybody.
    (0..=pol_round.as_u32())
        .take(validators.validators().len())
        .map(proposer)
        .find(|validator| validator.fee_recipient == beneficiary)
        .unwrap_or_else(|| proposer(pol_round.as_u32()))
}
