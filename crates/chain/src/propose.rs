//! Building a block on the head.

use crate::execution::Execution;
use crate::{Chain, ChainError, Head, Timings};
use alloy_consensus::BlockBody;
use alloy_primitives::{Address, B256, Sealable, TxHash};
use heddle_evm::{BlockContext, BuildLimits, NextBlock, complete_header, next_header};
use heddle_primitives::{
    Block, Evidence, MAX_BLOCK_BYTES, ProposedBlock, RecoveredTransaction, StateChanges, consensus_root,
};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

/// Bytes of transactions in a block. A block adds a header of less than 1 KiB and, for each transaction of a hundred
/// bytes or more, at most four bytes of length: a sixteenth covers both.
const TRANSACTION_BYTES_MAX: usize = MAX_BLOCK_BYTES - MAX_BLOCK_BYTES / 16;

/// What a proposer wants in its block.
pub struct BuildRequest<'a> {
    /// Local time, in seconds since 1970; the block is dated no earlier than its parent.
    pub timestamp: u64,
    /// Who earns the fees: the proposer's fee recipient.
    pub fee_recipient: Address,
    /// Transactions in order of preference, those of one sender in order of nonce.
    pub candidates: Box<dyn Iterator<Item = RecoveredTransaction> + Send + 'a>,
    /// Asked before each candidate; `true` ends the building with what is chosen so far.
    pub deadline: &'a (dyn Fn() -> bool + Sync),
}

/// A block ready to be proposed.
pub struct BuiltBlock {
    /// The block with the certificate of its parent.
    pub proposed: ProposedBlock,
    /// The block's hash.
    pub hash: B256,
    /// Candidates that cannot be valid any more, and why: for the mempool to drop.
    pub invalid: Vec<(TxHash, String)>,
}

impl Chain {
    /// Builds a block on the head from the candidates that fit, and remembers its execution for the commit.
    ///
    /// # Errors
    /// [`ChainError::ReadOnly`], or a failure of ours; a candidate never causes one.
    pub fn build(&self, request: BuildRequest<'_>) -> Result<BuiltBlock, ChainError> {
        let head = self.head();
        let evidence = self.evidence_for_next(&head)?;
        let Next { execution, invalid, .. } = self.next(&head, evidence, request, self.inner.config.build_threads())?;
        let (proposed, hash) = (execution.proposed.clone(), execution.header.seal());
        self.inner.executions.insert(execution);
        Ok(BuiltBlock { proposed, hash, invalid })
    }

    /// The block after `head` with this evidence and the candidates that fit.
    pub(crate) fn next(
        &self,
        head: &Head,
        evidence: Vec<Evidence>,
        request: BuildRequest<'_>,
        threads: NonZeroUsize,
    ) -> Result<Next, ChainError> {
        let inner = &self.inner;
        let is_heddle = inner.rules.is_heddle();
        // Only a Heddle chain may date a block as its parent.
        let earliest = head.header.timestamp.saturating_add(u64::from(!is_heddle));
        let next = NextBlock {
            timestamp: request.timestamp.max(earliest),
            fee_recipient: request.fee_recipient,
            parent_beacon_block_root: consensus_root(head.certificate.as_ref(), &evidence),
            gas_limit_target: inner.config.gas_limit_target.unwrap_or(inner.genesis.header().gas_limit),
        };
        let header = next_header(&inner.rules, &head.header, &next);
        let limits = BuildLimits { transaction_bytes_max: TRANSACTION_BYTES_MAX, threads, deadline: request.deadline };
        let equivocators = self.convicted_keys(head, &evidence)?;
        let call = match is_heddle {
            true => self.registry_call_on(head, head.certificate.as_ref(), equivocators)?,
            false => None,
        };
        let context = BlockContext::new(&header).with_call(call.as_ref());
        let mut candidates = request.candidates;
        let started = Instant::now();
        let mut built = heddle_evm::build(&inner.rules, &self.reader(head.state()), &context, &mut candidates, &limits)
            .map_err(ChainError::Execution)?;
        let mut timings = Timings { execution: started.elapsed(), ..Timings::default() };
        let started = Instant::now();
        let update = inner.states.compute(&head.state(), &built.outcome.changes)?;
        timings.state_root = started.elapsed();
        let changes = std::mem::take(&mut built.outcome.changes);
        let next_set = match is_heddle {
            true => self.next_set(&head.state(), header.number, &changes)?,
            false => None,
        };

        let (transactions, senders): (Vec<_>, Vec<_>) =
            built.transactions.into_iter().map(RecoveredTransaction::into_parts).unzip();
        let header = complete_header(&inner.rules, header, &transactions, &built.outcome, update.state_root);
        let withdrawals = header.withdrawals_root.map(|_| Default::default());
        let header = header.seal_slow();
        let body = BlockBody { transactions, ommers: Vec::new(), withdrawals };
        let block = Arc::new(Block { header: header.inner().clone(), body });
        let mut proposed = ProposedBlock::new(block, head.certificate.clone());
        proposed.evidence = evidence;
        proposed.hints = built.hints;
        let execution = Execution {
            header,
            proposed,
            senders,
            receipts: built.outcome.receipts,
            changed_accounts: changes.accounts.keys().copied().collect(),
            access_list: built.outcome.access_list,
            next_set,
            has_call_failed: built.outcome.has_call_failed,
            update,
            timings,
        };
        Ok(Next { execution, changes, invalid: built.invalid })
    }
}

/// A block that may come next.
pub(crate) struct Next {
    pub(crate) execution: Execution,
    /// What it changes.
    pub(crate) changes: StateChanges,
    invalid: Vec<(TxHash, String)>,
}
