//! The pure core: Malachite's state machine with our messages, blocks, log records and sign guard around it.
//!
//! Blocks are agreed on by hash. A proposal enters Malachite as soon as it arrives; the verdict on its block enters
//! when the application has executed it (`ValuePayload::ProposalAndParts`), so an invalid block gets a nil prevote at
//! once, without waiting for the timeout.

mod healing;
mod messages;
mod replay;
mod view;

pub use replay::last_logged;

use crate::context::{BlockHash, HeddleContext, Height as BftHeight};
use crate::future::FutureMessages;
use crate::host::Host;
use crate::record::{Record, Verdict};
use crate::signer::Signer;
use crate::{CoreError, Input, Output, convert};
use alloy_primitives::B256;
use heddle_primitives::{
    Bug, CertifiedBlock, CommitCertificate, ConsensusKey, FinalizedBlock, Height, ProposedBlock, Round, SigningContext,
    ValidatorSet, planted,
};
use malachitebft_core_consensus::{
    Error as BftError, Input as BftInput, LocallyProposedValue, Params, ProposedValue, State, ValuePayload,
};
use malachitebft_core_types as bft;
use malachitebft_core_types::{Validity, ValueOrigin, VoteExtensionPolicy};
use std::convert::Infallible;

/// Who signs, and what was signed before.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What signatures are bound to.
    pub context: SigningContext,
    /// The key of a validator, which signs at the heights whose validators it belongs to; `None` follows without signing.
    pub key: Option<ConsensusKey>,
    /// Content of the sign-state file; `None` takes the key for one that never signed.
    pub sign_state: Option<Vec<u8>>,
}

/// Decides one height after another. Deterministic: the same inputs give the same outputs.
pub struct Core {
    bft: State<HeddleContext>,
    host: Host,
    future: FutureMessages,
    /// What the log held of the heights that have not started yet.
    recovered: Vec<Record>,
    /// The last block committed without the core: later heights are counted from it.
    committed: Height,
    /// Decided, or committed by sync, or not started yet: nothing more is to be done at this height.
    closed: bool,
    /// The last round in which a proposal or a quorum of prevotes was waited for in vain.
    waited: Option<Round>,
    /// A peer's proof that the height is decided, while its block is not here or not validated.
    certificate: Option<CommitCertificate>,
    /// How the previous height was decided: told once to a peer that is stuck there.
    previous: Option<CommitCertificate>,
}

impl Core {
    /// Listens only: until the first [`Input::StartHeight`] it signs nothing and keeps what comes for the next heights.
    /// `validators` are those of the height after `head`.
    ///
    /// # Errors
    /// The sign state or a record is unreadable, or the sign state is of another key or chain.
    pub fn listen(
        identity: Identity,
        head: Height,
        validators: ValidatorSet,
        records: &[Vec<u8>],
    ) -> Result<Self, CoreError> {
        let Identity { context, key, sign_state } = identity;
        let address = key.as_ref().map(ConsensusKey::address).unwrap_or_default();
        let signer = key.map(|key| Signer::open(key, sign_state.as_deref(), &context)).transpose()?;
        let params = Params {
            address: crate::context::Address(address),
            threshold_params: thresholds(),
            value_payload: ValuePayload::ProposalAndParts,
            // Malachite signs only while the address is one of the height's validators.
            enabled: signer.is_some(),
        };
        let bft_validators = validators.clone().into();
        let records = replay::decode(records)?;
        let mut core = Self {
            // Malachite's own queue for later heights stays empty: ours knows about blocks and bounds them.
            bft: State::new(HeddleContext, BftHeight(head), bft_validators, params, 1, 1),
            host: Host::new(context, signer, head, validators),
            future: FutureMessages::default(),
            recovered: Vec::new(),
            committed: head,
            closed: true,
            waited: None,
            certificate: None,
            previous: None,
        };
        core.recollect(&records);
        core.recovered = records;
        Ok(core)
    }

    /// Starts at a height at once, replaying the records of the log that belong to it; those of later heights wait for
    /// these, and earlier ones are ignored.
    ///
    /// # Errors
    /// As [`Self::listen`]; or the records contradict what the core derives from them.
    pub fn start(
        identity: Identity,
        height: Height,
        validators: ValidatorSet,
        records: &[Vec<u8>],
    ) -> Result<(Self, Vec<Output>), CoreError> {
        let head = Height::new(height.as_u64().saturating_sub(1));
        let mut core = Self::listen(identity, head, validators.clone(), records)?;
        let outputs = core.handle(Input::StartHeight { height, validators })?;
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

    /// Height of the last signature known; `None` before the first, or without a key.
    pub fn last_signed(&self) -> Option<Height> {
        self.host.signer.as_ref().and_then(|signer| signer.guard.last_height())
    }

    /// Whether the log holds records above `head` that are still to be replayed, so that it must not be emptied: blocks
    /// that were lost, and with them the head, take no lock along.
    pub fn needs_log(&self, head: Height) -> bool {
        self.recovered.iter().any(|record| record.height > head)
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
        if validators != self.host.validators {
            // Nobody knew these validators when the messages came.
            self.future.check_again(&validators, &self.host.context);
        }
        self.start_height(height, validators)?;
        let records = self.take_recovered();
        if !planted(Bug::ReplaySkipped) {
            self.replay(records)?;
        }
        for message in self.future.take(height) {
            self.on_message(message)?;
        }
        Ok(())
    }

    fn start_height(&mut self, height: Height, validators: ValidatorSet) -> Result<(), CoreError> {
        self.closed = false;
        self.certificate = None;
        self.waited = None;
        self.host.start_height(height, validators.clone());
        let policy = VoteExtensionPolicy::Disabled;
        self.process(BftInput::StartHeight(BftHeight(height), validators.into(), false, None, policy))
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

    /// Ends a step: evidence, a decision, or a block to build if it is still wanted.
    fn conclude(&mut self) -> Result<Vec<Output>, CoreError> {
        self.leave_lost_round()?;
        self.accuse();
        if let Some(certificate) = self.host.decision.take() {
            self.decide(certificate)?;
        }
        let proposing = self.bft.driver.step_is_propose() && !self.closed;
        if let Some(round) = self.host.build.take().filter(|round| proposing && *round == self.round()) {
            self.host.outputs.push(Output::Build { height: self.host.height, round });
        }
        Ok(std::mem::take(&mut self.host.outputs))
    }

    /// Hands out evidence as soon as there is some: Malachite reports it when it decides, but sync may end the height.
    fn accuse(&mut self) {
        let Self { bft, host, .. } = self;
        host.accuse(bft.driver.votes().evidence().iter(), bft.driver.proposals().evidence().iter());
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

/// More than two thirds of the power decide, and more than one third is worth following.
fn thresholds() -> bft::ThresholdParams {
    let mut thresholds = bft::ThresholdParams::default();
    if planted(Bug::QuorumOffByOne) {
        thresholds.quorum = bft::ThresholdParam::new(49, 100);
    }
    if planted(Bug::RoundUnjustified) {
        thresholds.honest = bft::ThresholdParam::new(1, 100);
    }
    thresholds
}
