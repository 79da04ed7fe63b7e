//! Making a block of a plain Ethereum chain, where no consensus asks for one: for tests, benchmarks and tools.

use crate::verify::{blame, recover};
use crate::{Chain, ChainError};
use alloy_consensus::{BlockBody, proofs::calculate_withdrawals_root};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, Bytes};
use heddle_evm::{BlockContext, Mode, NextBlock, complete_header, execute, next_header};
use heddle_primitives::{Block, Header, Transaction};

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
    /// the head's gas limit, and nothing is remembered of it.
    ///
    /// # Errors
    /// [`ChainError::Uncertified`] on a Heddle chain, [`ChainError::InvalidBlock`] for a transaction that is invalid
    /// where it stands; others are ours.
    pub fn assemble(&self, template: BlockTemplate) -> Result<Block, ChainError> {
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
        let reader = self.reader(head.state());
        let outcome = execute(&inner.rules, &reader, &BlockContext::of(&block), &transactions, Mode::Sequential)
            .map_err(blame)?;
        let state_root = inner.states.compute(&head.state(), &outcome.changes)?.state_root;
        let Block { header, body } = block;
        let header = complete_header(&inner.rules, header, &body.transactions, &outcome, state_root);
        Ok(Block { header: Header { extra_data: Bytes::new(), ..header }, body })
    }
}
