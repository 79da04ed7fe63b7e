//! From the records of the log back to the state they left.

use super::Core;
use super::healing::bft_timeout;
use crate::context::HeddleContext;
use crate::record::{Entry, Record};
use crate::{CoreError, Output, SignState, convert};
use heddle_primitives::{ProposedBlock, Round, SigningContext, ValidatorAddress};
use malachitebft_core_consensus::Input as BftInput;

/// Reads the records of a log.
///
/// # Errors
/// Something there is not a record.
pub(super) fn decode(records: &[Vec<u8>]) -> Result<Vec<Record>, CoreError> {
    let read =
        |(index, bytes): (usize, &Vec<u8>)| Record::decode(bytes).map_err(|reason| CoreError::Record { index, reason });
    records.iter().enumerate().map(read).collect()
}

/// The signature of a validator that an entry records, if it is one of its messages.
fn signed_by(validator: ValidatorAddress, entry: &Entry, context: &SigningContext) -> Option<SignState> {
    match entry {
        Entry::Proposal(signed) if signed.proposal.validator == validator => {
            Some(SignState::of_proposal(&signed.proposal, context))
        }
        Entry::Vote(signed) if signed.vote.validator == validator => Some(SignState::of_vote(&signed.vote, context)),
        _ => None,
    }
}

/// The last signature of a validator that the records of a log show, for tools that compare it with a sign state.
///
/// # Errors
/// Something there is not a record.
pub fn last_logged(
    records: &[Vec<u8>],
    validator: ValidatorAddress,
    context: &SigningContext,
) -> Result<Option<SignState>, CoreError> {
    let records = decode(records)?;
    let signed = records.iter().filter_map(|record| signed_by(validator, &record.entry, context));
    Ok(signed.max_by_key(|signed| (signed.height, signed.round, signed.step)))
}

impl Core {
    /// Takes up what we signed according to the log, before any peer can show it: what the log explains is not foreign.
    pub(super) fn recollect(&mut self, records: &[Record]) {
        let (own, context) = (self.host.address().0, self.host.context);
        for record in records {
            if let Some(signed) = signed_by(own, &record.entry, &context) {
                self.observe(signed);
            }
        }
    }

    /// Takes out the recovered records of the height that starts, and forgets those before it.
    pub(super) fn take_recovered(&mut self) -> Vec<Record> {
        let height = self.host.height;
        let recovered = std::mem::take(&mut self.recovered).into_iter().filter(|record| record.height >= height);
        let (present, later) = recovered.partition(|record| record.height == height);
        self.recovered = later;
        present
    }

    /// Re-derives the state that the records of this height left. Malachite reuses the recorded signatures, and stops when
    /// it derives another message than the recorded one.
    pub(super) fn replay(&mut self, records: Vec<Record>) -> Result<(), CoreError> {
        let mut inputs = Vec::new();
        let mut block = None;
        for record in records {
            let bytes = record.encoded();
            if let Some(input) = self.recall(record.entry, &mut block) {
                inputs.push(input);
                self.host.replayed.insert(bytes);
            }
        }
        let proposal = |input: &BftInput<HeddleContext>| match input {
            BftInput::Proposal(signed) => Some(convert::our_signed_proposal(signed)),
            _ => None,
        };
        let proposals = Vec::from_iter(inputs.iter().filter_map(proposal));
        self.bft.index_wal_entries(&inputs);
        for input in inputs {
            self.process(input)?;
        }
        self.bft.reset_entries_index();
        if let Some(signer) = &mut self.host.signer {
            signer.guard.end_replay();
        }
        self.host.replayed.clear();
        for signed in proposals {
            self.ask_for_verdict(&signed.proposal);
            if signed.proposal.validator == self.host.address().0 && signed.proposal.round == self.round() {
                self.host.own_proposal = Some(signed);
            }
        }
        Ok(())
    }

    /// Takes up what a record says about blocks, and gives Malachite's part of it. `block` is the one that the next record
    /// names.
    fn recall(&mut self, entry: Entry, block: &mut Option<ProposedBlock>) -> Option<BftInput<HeddleContext>> {
        Some(match entry {
            Entry::Block(body) => {
                *block = Some(body);
                return None;
            }
            Entry::Proposal(signed) => {
                self.recall_block(block.take(), signed.proposal.round);
                BftInput::Proposal(convert::proposal(signed))
            }
            Entry::Verdict(verdict) => {
                self.recall_block(block.take(), verdict.round);
                if verdict.valid {
                    self.host.blocks.set_valid(&verdict.block_hash);
                }
                self.proposed_value(&verdict)
            }
            Entry::Vote(signed) => BftInput::Vote(convert::vote(signed)),
            Entry::PolkaCertificate(certificate) => BftInput::PolkaCertificate(convert::polka_certificate(certificate)),
            Entry::Timeout(timeout) => BftInput::TimeoutElapsed(bft_timeout(timeout.round, timeout.kind)),
        })
    }

    fn recall_block(&mut self, block: Option<ProposedBlock>, round: Round) {
        if let Some(block) = block {
            let hash = block.hash();
            self.host.blocks.offer(hash, round, block);
            self.host.blocks.log_once(hash);
        }
    }

    /// The log may be ahead of the sign-state file by the one message of the crash.
    fn observe(&mut self, signed: SignState) {
        let Some(signer) = &mut self.host.signer else { return };
        if signer.guard.observe(signed) {
            self.host.outputs.push(Output::SignState(signer.guard.encoded()));
        }
    }
}
