//! Making a block of a plain Ethereum chain, where no consensus asks for one: for tests, benchmarks and tools.

use crate::execution::Execution;
use crate::verify::{blame, recover};
use crate::{Chain, ChainError, Timings};
use alloy_consensus::{BlockBody, proofs::calculate_withdrawals_root};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, Sealable};
use heddle_evm::{BlockContext, NextBlock, complete_header, execute, next_header};
use heddle_primitives::{Block, Header, ProposedBlock, RecoveredTransaction, Transaction};
use std::sync::Arc;
use std::time::Instant;

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
    /// Its transactions, in order; each must be valid where it stands.
    pub transactions: Vec<Transaction>,
    /// Its withdrawals.
    pub withdrawals: Withdrawals,
}

impl Chain {
    /// The block after the head that [`Self::import`] accepts, on a plain Ethereum chain at Prague or later. It keeps
    /// the head's gas limit. Its execution is remembered for the import, as [`Self::build`] does for the commit.
    ///
    /// # Errors
    /// [`ChainError::Uncertified`] on a Heddle chain, [`ChainError::InvalidBlock`] for a transaction that is invalid
    /// where it stands; others are ours.
    pub fn assemble(&self, template: BlockTemplate) -> Result<Arc<Block>, ChainError> {
        let inner = &self.inner;
        if inner.rules.is_heddle() {
            return Err(ChainError::Uncertified);
        }
        let head = self.head();
        let next = NextBlock {
            timestamp: template.timestamp,
            fee_recipient: template.fee_recipient,
            parent_beacon_block_root: template.parent_beacon_block_root,
            gas_limit_target: head.header.gas_limit,
        };
        let header = Header {
            mix_hash: template.prev_randao,
            withdrawals_root: Some(calculate_withdrawals_root(&template.withdrawals)),
            ..next_header(&inner.rules, &head.header, &next)
        };
        let withdrawals = Some(template.withdrawals);
        let body = BlockBody { transactions: template.transactions, ommers: Vec::new(), withdrawals };
        let block = Block { header, body };
        let transactions = recover(&inner.rules, &block, &|_| None)?;
        let context = BlockContext::of(&block);
        let mut timings = Timings::default();
        let started = Instant::now();
        let outcome = execute(&inner.rules, &self.reader(head.state()), &context, &transactions, inner.config.mode())
            .map_err(blame)?;
        timings.execution = started.elapsed();
        let started = Instant::now();
        let update = inner.states.compute(&head.state(), &outcome.changes)?;
        timings.state_root = started.elapsed();

        let Block { header, body } = block;
        let header = complete_header(&inner.rules, header, &body.transactions, &outcome, update.state_root).seal_slow();
        let block = Arc::new(Block { header: header.inner().clone(), body });
        inner.executions.insert(Execution {
            header,
            proposed: ProposedBlock::new(block.clone(), None),
            senders: transactions.iter().map(RecoveredTransaction::signer).collect(),
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
}
