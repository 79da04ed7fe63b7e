//! The pure core: Malachite's state machine with our messages, blocks, log records and sign guard around it.
//!
//! Blocks are agreed on by hash. A proposal enters Malachite as soon as it arrives; the verdict on its block enters
//! when the application has executed it (`ValuePayload::ProposalAndParts`), so an invalid block gets a nil prevote at
//! once, without waiting for the timeout.

mod replay;

use crate::blocks::Blocks;
use crate::context::{BlockHash, HeddleContext, Height as BftHeight};
use crate::future::FutureMessages;
use crate::host::{Host, address_of};
use crate::record::Verdict;
use crate::{CheckedMessage, CoreError, Input, Output, SignGuard, Timeout, TimeoutKind, convert};
use alloy_primitives::B256;
use heddle_primitives::{
    CertifiedBlock, CommitCertificate, ConsensusKey, ConsensusMessage, FinalizedBlock, Height, Proposal,
    ProposalMessage, ProposedBlock, Round, SigningContext, Validator, ValidatorSet, Vote, VoteKind,
};
use malachitebft_core_consensus::{
    Error as BftError, Input as BftInput, LocallyProposedValue, Params, PeerId, ProposedValue, State, ValuePayload,
};
use malachitebft_core_types as bft;
use malachitebft_core_types::{Validity, ValueOrigin, ValueResponse, VoteExtensionPolicy};
use std::collections::BTreeSet;
use std::convert::Infallible;

/// Who signs, and what was signed before.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What signatures are bound to.
    pub context: SigningContext,
    /// The key of a validator; `None` follows without signing.
    pub key: Option<ConsensusKey>,
    /// Content of the sign-state file; `None` when there is none yet.
    pub sign_state: Option<Vec<u8>>,
}

/// Decides one height after another. Deterministic: the same inputs give the same outputs.
pub struct Core {
    bft: State<HeddleContext>,
    host: Host,
    future: FutureMessages,
    /// The last block committed without the core: later heights are counted from it.
    committed: Height,
    /// Decided, or committed by sync: nothing more is to be done at this height.
    closed: bool,
    /// A peer's proof that the height is decided, while its block is not here or not validated.
    certificate: Option<CommitCertificate>,
    /// How the previous height was decided: told once to a peer that is stuck there.
    previous: Option<CommitCertificate>,
}

impl Core {
    /// Starts at a height, replaying the records of the log that belong to it; others are left from an earlier height
    /// and are ignored.
    ///
    /// # Errors
    /// The sign state or a record is unreadable, or the records contradict what the core derives from them.
    pub fn start(
        identity: Identity,
        height: Height,
        validators: ValidatorSet,
        records: &[Vec<u8>],
    ) -> Result<(Self, Vec<Output>), CoreError> {
        let guard = SignGuard::open(identity.sign_state.as_deref()).map_err(CoreError::SignState)?;
        let params = Params {
            address: address_of(identity.key.as_ref()),
            threshold_params: bft::ThresholdParams::default(),
            value_payload: ValuePayload::ProposalAndParts,
            enabled: identity.key.is_some(),
        };
        let bft_validators = validators.clone().into();
        let mut core = Self {
            // Malachite's own queue for later heights stays empty: ours knows about blocks and bounds them.
            bft: State::new(HeddleContext, BftHeight(height), bft_validators, params, 1, 1),
            host: Host {
                context: identity.context,
                key: identity.key,
                guard,
                height,
                validators: validators.clone(),
                blocks: Blocks::default(),
                replayed: BTreeSet::new(),
                build: None,
                own_proposal: None,
                decision: None,
                outputs: Vec::new(),
            },
            future: FutureMessages::default(),
            committed: Height::GENESIS,
            closed: false,
            certificate: None,
            previous: None,
        };
        core.start_height(height, validators)?;
        core.replay(records)?;
        let outputs = core.conclude()?;
        Ok((core, outputs))
    }

    /// Applies one input.
    ///
    /// # Errors
    /// The core cannot go on; no input of a peer leads here.
    pub fn handle(&mut self, input: Input) -> Result<Vec<Output>, CoreError> {
        match input {
            Input::StartHeight { height, validators } => self.on_start_height(height, validators)?,
            Input::Superseded { head } => self.on_superseded(head),
            Input::Message(message) => self.on_message(message)?,
            Input::Built { height, round, block } => self.on_built(height, round, block)?,
            Input::Validated { height, block_hash, valid } => self.on_validated(height, block_hash, valid)?,
            Input::Timeout(timeout) => self.on_timeout(timeout)?,
        }
        self.conclude()
    }

    /// The height being decided, or just decided.
    pub fn height(&self) -> Height {
        self.host.height
    }

    /// The round of the height.
    pub fn round(&self) -> Round {
        convert::our_round(self.bft.round())
    }

    /// Whether nothing more is to be done at this height, also between Malachite's decision and the end of the step.
    fn is_over(&self) -> bool {
        self.closed || self.host.decision.is_some()
    }

    /// Messages of the height after the new head may come before that height starts here.
    fn on_superseded(&mut self, head: Height) {
        self.committed = self.committed.max(head);
        self.future.forget(self.committed);
        self.close();
    }

    fn on_start_height(&mut self, height: Height, validators: ValidatorSet) -> Result<(), CoreError> {
        self.previous = self.previous.take().filter(|certificate| certificate.height.next() == height);
        self.start_height(height, validators)?;
        for message in self.future.take(height) {
            self.on_message(message)?;
        }
        Ok(())
    }

    fn start_height(&mut self, height: Height, validators: ValidatorSet) -> Result<(), CoreError> {
        self.closed = false;
        self.certificate = None;
        self.host.start_height(height, validators.clone());
        let policy = VoteExtensionPolicy::Disabled;
        self.process(BftInput::StartHeight(BftHeight(height), validators.into(), false, None, policy))
    }

    fn on_message(&mut self, message: CheckedMessage) -> Result<(), CoreError> {
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
            ConsensusMessage::Evidence(_) => Ok(()),
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
        if on_its_way || self.host.key.is_none() {
            self.previous = Some(previous);
        } else {
            self.host.outputs.push(Output::Publish(ConsensusMessage::CommitCertificate(previous)));
        }
    }

    fn on_proposal(&mut self, message: ProposalMessage) -> Result<(), CoreError> {
        let proposal = message.proposal.proposal.clone();
        let hash = proposal.block_hash;
        self.host.blocks.offer(hash, proposal.round, message.body);
        self.process(BftInput::Proposal(convert::proposal(message.proposal)))?;
        self.settle(hash);
        self.ask_for_verdict(&proposal);
        Ok(())
    }

    /// Asks the application about the block of an accepted proposal, unless it is known to be valid.
    fn ask_for_verdict(&mut self, proposal: &Proposal) {
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

    fn on_built(&mut self, height: Height, round: Round, block: ProposedBlock) -> Result<(), CoreError> {
        if height != self.host.height || self.closed {
            return Ok(());
        }
        let hash = block.hash();
        self.host.blocks.offer(hash, round, block);
        self.host.blocks.set_valid(&hash);
        let value = LocallyProposedValue::new(BftHeight(height), convert::round(round), BlockHash(hash));
        self.process(BftInput::Propose(value))?;
        self.settle(hash);
        Ok(())
    }

    fn on_validated(&mut self, height: Height, block_hash: B256, valid: bool) -> Result<(), CoreError> {
        if height != self.host.height || self.closed {
            return Ok(());
        }
        // Absent when newer rounds have pushed it out.
        let Some(round) = self.host.blocks.round(&block_hash) else { return Ok(()) };
        if valid {
            self.host.blocks.set_valid(&block_hash);
        }
        let proposer = self.host.validators.proposer(height, round.as_u32()).address;
        let input = self.proposed_value(&Verdict { round, block_hash, proposer, valid });
        self.process(input)?;
        self.decide_by_certificate()
    }

    fn proposed_value(&self, verdict: &Verdict) -> BftInput<HeddleContext> {
        let value = ProposedValue {
            height: BftHeight(self.host.height),
            round: convert::round(verdict.round),
            valid_round: bft::Round::Nil,
            proposer: crate::context::Address(verdict.proposer),
            value: BlockHash(verdict.block_hash),
            validity: Validity::from_bool(verdict.valid),
        };
        BftInput::ProposedValue(value, ValueOrigin::Consensus)
    }

    fn on_timeout(&mut self, timeout: Timeout) -> Result<(), CoreError> {
        if timeout.height != self.host.height || self.closed {
            return Ok(());
        }
        self.process(BftInput::TimeoutElapsed(bft_timeout(timeout.round, timeout.kind)))?;
        // Malachite sends votes again, but not the proposal: peers that were not connected yet would wait in vain.
        if timeout.kind == TimeoutKind::Rebroadcast
            && timeout.round == self.round()
            && let Some(proposal) = self.host.own_proposal.clone()
        {
            self.host.publish_proposal(&proposal);
        }
        Ok(())
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
    fn decide_by_certificate(&mut self) -> Result<(), CoreError> {
        let valid = |certificate: &mut CommitCertificate| self.host.blocks.is_valid(&certificate.block_hash);
        let Some(certificate) = self.certificate.take_if(valid) else { return Ok(()) };
        // Malachite reports failures under a peer's name; this one stands for nobody.
        let nobody = PeerId::from_bytes(&[0, 0]).map_err(|error| CoreError::Internal(error.to_string()))?;
        let response = ValueResponse::new(nobody, Default::default(), convert::commit_certificate(&certificate));
        self.process(BftInput::SyncValueResponse(response))
    }

    /// Keeps an offered body only if Malachite took it, never dropping the locked or the valid value's.
    fn settle(&mut self, hash: B256) {
        let round_state = self.bft.driver.round_state();
        let keep = [&round_state.locked, &round_state.valid].map(|value| value.as_ref().map(|v| v.value.0));
        let decided = self.host.decision.as_ref().map(|certificate| certificate.block_hash);
        let keep = Vec::from_iter(keep.into_iter().chain([decided]).flatten());
        self.host.blocks.settle(hash, &keep);
    }

    /// Runs Malachite on one input. What it refuses of a peer's message is logged and changes nothing.
    fn process(&mut self, input: BftInput<HeddleContext>) -> Result<(), CoreError> {
        let Self { bft, host, .. } = self;
        let result: Result<(), BftError<HeddleContext>> = malachitebft_core_consensus::process!(
            input: input,
            state: bft,
            metrics: &(),
            with: effect => Ok::<_, Infallible>(host.on_effect(effect))
        );
        match result {
            Ok(()) => Ok(()),
            Err(
                error @ (BftError::DriverProcess(_)
                | BftError::InvalidCommitCertificate(..)
                | BftError::MissingPolkaCertificate(..)),
            ) => {
                tracing::warn!(%error, height = %self.host.height, "input refused");
                Ok(())
            }
            // What was tolerated when it happened is tolerated again, above.
            Err(error) if self.bft.is_replaying_wal() => Err(CoreError::Replay(error.to_string())),
            Err(error) => Err(CoreError::Internal(error.to_string())),
        }
    }

    /// Ends a step: a decision, or a block to build if it is still wanted.
    fn conclude(&mut self) -> Result<Vec<Output>, CoreError> {
        if let Some(certificate) = self.host.decision.take() {
            self.decide(certificate)?;
        }
        let proposing = self.bft.driver.step_is_propose() && !self.closed;
        if let Some(round) = self.host.build.take().filter(|round| proposing && *round == self.round()) {
            self.host.outputs.push(Output::Build { height: self.host.height, round });
        }
        Ok(std::mem::take(&mut self.host.outputs))
    }

    /// Ends the height. A peer that is stuck at it gets the block by sync, sooner than votes could help it.
    fn close(&mut self) {
        self.closed = true;
        self.host.outputs.push(Output::CancelAllTimeouts);
    }

    fn decide(&mut self, certificate: CommitCertificate) -> Result<(), CoreError> {
        let height = self.host.height;
        self.close();
        self.previous = Some(certificate.clone());
        let Some(proposed) = self.host.blocks.get(&certificate.block_hash).cloned() else {
            self.host.outputs.push(Output::Behind(height));
            return Ok(());
        };
        let finalized = FinalizedBlock { proposed, certificate };
        let certified = CertifiedBlock::verify(finalized, &self.host.validators, &self.host.context)
            .map_err(|reason| CoreError::Decision { height, reason })?;
        self.host.outputs.push(Output::Decide(Box::new(certified)));
        Ok(())
    }
}

fn bft_timeout(round: Round, kind: TimeoutKind) -> bft::Timeout {
    let kind = match kind {
        TimeoutKind::Propose => bft::TimeoutKind::Propose,
        TimeoutKind::Prevote => bft::TimeoutKind::Prevote,
        TimeoutKind::Precommit => bft::TimeoutKind::Precommit,
        TimeoutKind::Rebroadcast => bft::TimeoutKind::Rebroadcast,
    };
    bft::Timeout::new(convert::round(round), kind)
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
