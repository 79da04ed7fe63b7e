//! Making a block of a plain Ethereum chain, where no consensus asks for one: for tests, benchmarks and tools.

use crate::execution::Execution;
use crate::verify::{blame, recover, timed};
use crate::{Chain, ChainError, Head, Timings};
use alloy_consensus::{BlockBody, proofs::calculate_withdrawals_root};
use alloy_eips::eip4895::Withdrawals;
use alloy_eips::eip7685::Requests;
use alloy_primitives::{Address, B256, Bytes, Sealable};
use heddle_evm::{BlockContext, BuildLimits, ExecutionOutcome, NextBlock, complete_header, execute, next_header};
use heddle_primitives::{
    Block, Header, MAX_BLOCK_BYTES, ProposedBlock, Receipt, RecoveredTransaction, SealedHeader, Transaction,
};
use heddle_state::StateUpdate;
use std::sync::Arc;
use std::time::Duration;

/// What somebody has to decide about a block; the rest follows from the head and from execution.
#[derive(Clone, Debug, Default)]
pub struct BlockTemplate {
    /// Seconds since 1970, after the head's.
    pub timestamp: u64,
    /// Who earns the fees.
    pub fee_recipient: Address,
    /// The block's `prevRandao`.
    pub prev_randao: B256,
    /// Root of the parent beacon block, which contracts read through EIP-4788.
    pub parent_beacon_block_root: B256,
    /// The gas limit to move towards; the head's by default.
    pub gas_limit_target: Option<u64>,
    /// The block's extra data.
    pub extra_data: Bytes,
    /// Its transactions, in order; each must be valid where it stands.
    pub transactions: Vec<Transaction>,
    /// Its withdrawals.
    pub withdrawals: Withdrawals,
}

/// A block that was made to be looked at, and what executing it gave.
#[derive(Clone, Debug)]
pub struct DraftedBlock {
    /// The header with its hash.
    pub header: SealedHeader,
    /// The whole block.
    pub block: Block,
    /// Receipts of the block's transactions, in order.
    pub receipts: Vec<Receipt>,
    /// What the block asks of the beacon chain (EIP-7685).
    pub requests: Requests,
}

/// A block whose transactions have been executed.
struct Executed {
    header: SealedHeader,
    block: Block,
    senders: Vec<Address>,
    outcome: ExecutionOutcome,
    update: StateUpdate,
    timings: Timings,
}

impl Chain {
    /// The block after the head that [`Self::import`] accepts, on a plain Ethereum chain at Prague or later. Its
    /// execution is remembered for the import, as [`Self::build`] does for the commit.
    ///
    /// # Errors
    /// [`ChainError::Uncertified`] on a Heddle chain, [`ChainError::InvalidBlock`] for a transaction that is invalid
    /// where it stands; others are ours.
    pub fn assemble(&self, template: BlockTemplate) -> Result<Arc<Block>, ChainError> {
        let Executed { header, block, senders, outcome, update, timings } = self.execute_template(template, None)?;
        let block = Arc::new(block);
        self.inner.executions.insert(Execution {
            header,
            proposed: ProposedBlock::new(block.clone(), None),
            senders,
            receipts: outcome.receipts,
            changed_accounts: outcome.changes.accounts.into_keys().collect(),
            access_list: outcome.access_list,
            next_set: None,
            has_call_failed: false,
            update,
            timings,
        });
        Ok(block)
    }

    /// As [`Self::assemble`], but nothing is remembered. With `candidates`, those of them that fit stand where the
    /// template's transactions would.
    ///
    /// # Errors
    /// As [`Self::assemble`]; a candidate never causes one.
    pub fn draft(
        &self,
        template: BlockTemplate,
        candidates: Option<&mut dyn Iterator<Item = RecoveredTransaction>>,
    ) -> Result<DraftedBlock, ChainError> {
        let Executed { header, block, outcome, .. } = self.execute_template(template, candidates)?;
        Ok(DraftedBlock { header, block, receipts: outcome.receipts, requests: outcome.requests })
    }

    fn execute_template(
        &self,
        template: BlockTemplate,
        candidates: Option<&mut dyn Iterator<Item = RecoveredTransaction>>,
    ) -> Result<Executed, ChainError> {
        let inner = &self.inner;
        if inner.rules.is_heddle() {
            return Err(ChainError::Uncertified);
        }
        let head = self.head();
        let next = NextBlock {
            timestamp: template.timestamp,
            fee_recipient: template.fee_recipient,
            parent_beacon_block_root: template.parent_beacon_block_root,
            gas_limit_target: template.gas_limit_target.unwrap_or(head.header.gas_limit),
        };
        let header = Header {
            mix_hash: template.prev_randao,
            extra_data: template.extra_data,
            withdrawals_root: Some(calculate_withdrawals_root(&template.withdrawals)),
            ..next_header(&inner.rules, &head.header, &next)
        };
        let withdrawals = Some(template.withdrawals);
        let body = BlockBody { transactions: template.transactions, ommers: Vec::new(), withdrawals };
        let block = Block { header, body };
        let (transactions, outcome, execution) = self.run_template(&head, &block, candidates)?;
        let (update, state_root) = timed(|| inner.states.compute(&head.state(), &outcome.changes));
        let (update, timings) = (update?, Timings { execution, state_root, ..Timings::default() });

        let Block { header, mut body } = block;
        let (transactions, senders) = transactions.into_iter().map(RecoveredTransaction::into_parts).unzip();
        body.transactions = transactions;
        let header = complete_header(&inner.rules, header, &body.transactions, &outcome, update.state_root).seal_slow();
        let block = Block { header: header.inner().clone(), body };
        Ok(Executed { header, block, senders, outcome, update, timings })
    }
    /// Executes the block's own transactions, or those of the candidates that fit.
    fn run_template(
        &self,
        head: &Head,
        block: &Block,
        candidates: Option<&mut dyn Iterator<Item = RecoveredTransaction>>,
    ) -> Result<(Vec<RecoveredTransaction>, ExecutionOutcome, Duration), ChainError> {
        let inner = &self.inner;
        let (reader, context) = (self.reader(head.state()), BlockContext::of(block));
        let Some(candidates) = candidates else {
            let transactions = recover(&inner.rules, block, &|_| None)?;
            let (outcome, time) =
                timed(|| execute(&inner.rules, &reader, &context, &transactions, inner.config.mode()));
            return Ok((transactions, outcome.map_err(blame)?, time));
        };
        let limits = BuildLimits {
            transaction_bytes_max: MAX_BLOCK_BYTES,
            threads: inner.config.build_threads(),
            deadline: &|| false,
        };
        let (built, time) = timed(|| heddle_evm::build(&inner.rules, &reader, &context, candidates, &limits));
        let built = built.map_err(ChainError::Execution)?;
        Ok((built.transactions, built.outcome, time))
    }
}
