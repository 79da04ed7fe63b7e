//! Checking a block that somebody else built on the head.

use crate::execution::Execution;
use crate::steps::Watcher;
use crate::{BlockError, Chain, ChainError, ChainRules, ExecutionMode, Head, Timings};
use alloy_consensus::transaction::Recovered;
use alloy_primitives::{Address, B256, Sealed, TxHash};
use heddle_evm::{
    BlockContext, ChainCall, ExecutionError, execute_observed, recover_sender, validate_body, validate_header,
    validate_outcome,
};
use heddle_primitives::{
    Block, Bug, Header, ProposedBlock, RecoveredTransaction, Transaction, Validator, consensus_root, planted,
};
use rayon::prelude::*;
use std::time::{Duration, Instant};

/// A block's transactions with their senders, or the first that nobody signed.
pub(crate) type RecoveredTransactions = Result<Vec<RecoveredTransaction>, BlockError>;

/// Senders recovered before, such as the mempool's. A transaction's hash covers its signature, so it has one sender.
pub type KnownSenders<'a> = &'a (dyn Fn(&TxHash) -> Option<Address> + Sync);

impl Chain {
    /// Whether this node may vote for a proposal: checks every field of the header, the parent's certificate, the body,
    /// and by execution everything that follows from it; remembers the execution for the commit.
    ///
    /// `proposer` is the proposer of the round, `now` is local time in seconds since 1970, `known` gives the senders
    /// that were recovered before, by transaction hash.
    ///
    /// # Errors
    /// [`ChainError::InvalidBlock`] names the rule that the block breaks, [`ChainError::NotNext`] says that the head
    /// has moved; others are ours, and say nothing about the block.
    pub fn validate(
        &self,
        proposed: &ProposedBlock,
        proposer: &Validator,
        now: u64,
        known: KnownSenders<'_>,
    ) -> Result<(), ChainError> {
        let head = self.head();
        let header = &proposed.block.header;
        require_next(&head, header.number)?;
        check_clock(header.timestamp, now, self.inner.config.clock_drift_secs)?;
        if header.beneficiary != proposer.fee_recipient && !planted(Bug::BeneficiaryIgnored) {
            let (found, expected) = (header.beneficiary, proposer.fee_recipient);
            return Err(BlockError::Beneficiary { found, expected }.into());
        }
        let hash = proposed.hash();
        if self.inner.executions.contains(hash) {
            return Ok(self.check_contents(&head, proposed)?);
        }
        // Whoever gossiped the proposal was held to its body already: the work is hardly ever in vain.
        let (contents, (recovered, recovery)) = rayon::join(
            || self.check_contents(&head, proposed),
            || timed(|| recover(&self.inner.rules, &proposed.block, known)),
        );
        contents?;
        if planted(Bug::Unexecuted) {
            return Ok(());
        }
        let mut execution = self.verify(&head, proposed, hash, recovered)?;
        execution.timings.recovery = recovery;
        self.inner.executions.insert(execution);
        Ok(())
    }

    /// Whether what came with the header is what the header binds: the body, the parent's certificate, the evidence. A sender
    /// can get these wrong for any header, even a certified one.
    pub(crate) fn check_contents(&self, head: &Head, proposed: &ProposedBlock) -> Result<(), BlockError> {
        check_presence(head, proposed)?;
        check_bound(&self.inner.rules, proposed)
    }

    /// All rules that depend on nothing but the head: whatever two thirds certify obeys them.
    pub(crate) fn verify(
        &self,
        head: &Head,
        proposed: &ProposedBlock,
        hash: B256,
        recovered: RecoveredTransactions,
    ) -> Result<Execution, ChainError> {
        let inner = &self.inner;
        let block = &proposed.block;
        if !(planted(Bug::StaleParent) && block.header.parent_hash != head.hash()) {
            validate_header(&inner.rules, &head.header, &block.header).map_err(BlockError::from)?;
        }
        self.check_beneficiary(head, &block.header)?;
        self.check_parent_certificate(head, proposed)?;
        let equivocators = self.check_evidence(head, proposed)?;
        let call = self.registry_call_on(head, proposed.parent_certificate.as_ref(), equivocators)?;
        self.execute(head, proposed.clone(), hash, &recovered?, call.as_ref())
    }

    /// Runs a block on the head, and compares all that follows from it with what its header says.
    pub(crate) fn execute(
        &self,
        head: &Head,
        proposed: ProposedBlock,
        hash: B256,
        transactions: &[RecoveredTransaction],
        call: Option<&ChainCall>,
    ) -> Result<Execution, ChainError> {
        let inner = &self.inner;
        let block = &proposed.block;
        let mut timings = Timings::default();
        let started = Instant::now();
        let context = BlockContext::of(block).with_call(call);
        let takes_list = inner.config.execution == ExecutionMode::Parallel;
        let list = takes_list.then(|| proposed.bound_access_list()).flatten();
        let mode = inner.config.mode_for(&proposed, list.as_ref());
        let (state, reader) = (head.state(), self.reader(head.state()));
        let watcher = Watcher::new(&inner.states, &state);
        let outcome = execute_observed(&inner.rules, &reader, &context, transactions, mode, &watcher).map_err(blame)?;
        timings.execution = started.elapsed();
        (timings.executions, timings.aborts) = (watcher.executions(), watcher.aborts());
        timings.fallbacks = watcher.has_fallen_back().into();
        let started = Instant::now();
        // Two independent halves: hashing receipts, and hashing state.
        let (validated, update) = rayon::join(
            || validate_outcome(&inner.rules, &block.header, &outcome),
            || match watcher.foreseen(block.header.state_root) {
                Some(update) => Ok(update),
                None => inner.states.compute(&state, &outcome.changes),
            },
        );
        if !planted(Bug::OutcomeIgnored) {
            validated.map_err(BlockError::from)?;
        }
        let update = update?;
        let (found, expected) = (block.header.state_root, update.state_root);
        if found != expected && !planted(Bug::StateRootIgnored) {
            return Err(BlockError::StateRoot { found, expected }.into());
        }
        timings.state_root = started.elapsed();
        let next_set = self.next_set(&state, block.header.number, &outcome.changes)?;
        Ok(Execution {
            header: Sealed::new_unchecked(block.header.clone(), hash),
            proposed,
            senders: transactions.iter().map(RecoveredTransaction::signer).collect(),
            receipts: outcome.receipts,
            changed_accounts: outcome.changes.accounts.into_keys().collect(),
            access_list: outcome.access_list,
            next_set,
            has_call_failed: outcome.has_call_failed,
            update,
            timings,
        })
    }

    /// The round's proposer is not in the header, so that a committed block may pay any validator; only a voter knows
    /// which one it must be.
    fn check_beneficiary(&self, head: &Head, header: &Header) -> Result<(), ChainError> {
        let validators = self.validators_on(head, head.height().next())?;
        let pays = |validator: &Validator| validator.fee_recipient == header.beneficiary;
        if validators.validators().iter().any(pays) || planted(Bug::BeneficiaryIgnored) {
            return Ok(());
        }
        Err(BlockError::UnknownBeneficiary(header.beneficiary).into())
    }

    fn check_parent_certificate(&self, head: &Head, proposed: &ProposedBlock) -> Result<(), ChainError> {
        let Some(certificate) = &proposed.parent_certificate else { return Ok(()) };
        if head.certificate.as_ref() == Some(certificate) || planted(Bug::ParentCertificateUnverified) {
            return Ok(());
        }
        if certificate.block_hash != head.hash() || certificate.height != head.height() {
            return Err(ChainError::InvalidBlock(BlockError::ParentCertificateBlock {
                found: certificate.block_hash,
                found_height: certificate.height.as_u64(),
                parent: head.hash(),
                height: head.header.number,
            }));
        }
        let validators = self.validators_on(head, head.height())?;
        Ok(certificate.verify(&validators, &self.signing_context()).map_err(BlockError::from)?)
    }
}

/// All blocks but the first come with their parent's certificate.
pub(crate) fn check_presence(head: &Head, proposed: &ProposedBlock) -> Result<(), BlockError> {
    let (found, expected) = (proposed.parent_certificate.is_some(), head.certificate.is_some());
    if found == expected {
        return Ok(());
    }
    let word = |present| if present { "present" } else { "absent" };
    let (found, expected) = (word(found), word(expected));
    Err(BlockError::ParentCertificatePresence { parent: head.header.number, found, expected })
}

/// The part of what a header binds that needs no parent.
pub(crate) fn check_bound(rules: &ChainRules, proposed: &ProposedBlock) -> Result<(), BlockError> {
    let found = proposed.block.header.parent_beacon_block_root.unwrap_or_default();
    let expected = consensus_root(proposed.parent_certificate.as_ref(), &proposed.evidence);
    if found != expected {
        return Err(BlockError::ParentCertificateDigest { found, expected });
    }
    Ok(validate_body(rules, &proposed.block)?)
}

/// Only the block after the head can be judged.
pub(crate) fn require_next(head: &Head, number: u64) -> Result<(), ChainError> {
    if number == head.height().next().as_u64() {
        return Ok(());
    }
    Err(ChainError::NotNext { number, head: head.header.number })
}

fn check_clock(timestamp: u64, now: u64, drift: u64) -> Result<(), BlockError> {
    if timestamp > now.saturating_add(drift) && !planted(Bug::TimestampIgnored) {
        return Err(BlockError::FutureTimestamp { timestamp, now, drift });
    }
    Ok(())
}

/// Does something, and says how long it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    (work(), started.elapsed())
}

/// Recovers the senders that are not known, on all cores: this costs more than executing a transfer.
pub(crate) fn recover(rules: &ChainRules, block: &Block, known: KnownSenders<'_>) -> RecoveredTransactions {
    let recover_one = |(index, transaction): (usize, &Transaction)| {
        let sender = match known(transaction.tx_hash()) {
            Some(sender) => Ok(sender),
            None => recover_sender(rules, block.header.number, transaction),
        };
        let sender = sender.map_err(|error| BlockError::Signature { index, error })?;
        Ok(Recovered::new_unchecked(transaction.clone(), sender))
    };
    block.body.transactions.par_iter().enumerate().map(recover_one).collect()
}

/// Executing somebody else's block failed: because of the block, or because of us.
pub(crate) fn blame(error: ExecutionError) -> ChainError {
    if error.is_invalid_block() { BlockError::Execution(error).into() } else { ChainError::Execution(error) }
}
