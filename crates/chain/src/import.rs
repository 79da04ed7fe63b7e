//! Importing blocks of a plain Ethereum chain, which no certificate makes final.

use crate::block_store::{BlockStore, missing};
use crate::execution::Execution;
use crate::verify::{blame, recover, require_next};
use crate::{BlockError, Chain, ChainError, ChainRules, Head};
use alloy_primitives::B256;
use heddle_evm::{
    Ancestors, BlockContext, Mode, StateError, execute, record_access_list, validate_body, validate_header,
    validate_merge, validate_ommers,
};
use heddle_primitives::{Block, Header, ProposedBlock, RecoveredTransaction, SealedHeader};
use std::sync::Arc;

/// A block whose body is what its header binds, and whose senders have been recovered from its signatures: all that
/// needs neither ancestors nor state, so that it can run ahead of the import.
#[derive(Clone, Debug)]
pub struct RecoveredBlock {
    hash: B256,
    block: Arc<Block>,
    transactions: Vec<RecoveredTransaction>,
}

impl RecoveredBlock {
    /// Checks the body, and recovers the sender of every transaction on all cores.
    ///
    /// # Errors
    /// [`BlockError::Rule`] for a body that is not the header's, or that its fork does not allow;
    /// [`BlockError::Signature`] for a transaction that nobody signed.
    pub fn recover(rules: &ChainRules, block: impl Into<Arc<Block>>) -> Result<Self, BlockError> {
        let block = block.into();
        let (validated, transactions) =
            rayon::join(|| validate_body(rules, &block), || recover(rules, &block, &|_| None));
        validated?;
        Ok(Self { hash: block.header.hash_slow(), block, transactions: transactions? })
    }

    /// The block's hash.
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// The block.
    pub fn block(&self) -> &Block {
        &self.block
    }
}

impl Chain {
    /// Makes a block of a plain Ethereum chain the head: checks every rule of its header and ommers, executes it,
    /// and commits it as [`Self::commit`] does. Importing again what is committed, at any height, changes nothing.
    ///
    /// Difficulty is taken as given: there is no proof-of-work check.
    ///
    /// # Errors
    /// [`ChainError::InvalidBlock`] names the rule that the block breaks, [`ChainError::Conflict`] and
    /// [`ChainError::NotNext`] say that it has another place than after the head, [`ChainError::Uncertified`] that the
    /// chain is a Heddle chain; others are ours.
    pub fn import(&self, block: &RecoveredBlock) -> Result<Arc<Head>, ChainError> {
        let _door = self.inner.commit_door.lock();
        let head = self.head();
        match self.execute_recovered(&head, block)? {
            Some(execution) => self.write(&head, execution, None),
            None => Ok(head),
        }
    }

    /// Executes a block on `head`, unless that was done; `None` when it is committed already.
    pub(crate) fn execute_recovered(
        &self,
        head: &Head,
        block: &RecoveredBlock,
    ) -> Result<Option<Execution>, ChainError> {
        if self.inner.rules.is_heddle() {
            return Err(ChainError::Uncertified);
        }
        let header = &block.block.header;
        if header.parent_hash != head.hash() {
            if self.is_committed(head, block)? {
                return Ok(None);
            }
            require_next(head, header.number)?;
        }
        match self.inner.executions.take(block.hash) {
            Some(execution) => Ok(Some(execution)),
            None => self.verify_import(head, block).map(Some),
        }
    }

    /// Whether executing a valid block on its parent by the access list that it turns out to have gives what executing
    /// it in order gives. For testing the executor: nothing is committed or remembered.
    ///
    /// # Errors
    /// Those of the execution.
    pub fn executes_by_access_list(&self, parent: &Head, block: &RecoveredBlock) -> Result<bool, ChainError> {
        let (rules, reader) = (&self.inner.rules, self.reader(parent.state()));
        let context = BlockContext::of(&block.block);
        let recorded = record_access_list(rules, &reader, &context, &block.transactions).map_err(blame)?;
        let in_order = execute(rules, &reader, &context, &block.transactions, Mode::Sequential).map_err(blame)?;
        let list = recorded.access_list.unwrap_or_default();
        let mode = Mode::AccessList { list: &list, threads: self.inner.config.threads() };
        Ok(execute(rules, &reader, &context, &block.transactions, mode).map_err(blame)? == in_order)
    }

    fn verify_import(&self, head: &Head, recovered: &RecoveredBlock) -> Result<Execution, ChainError> {
        let rules = &self.inner.rules;
        let block = &recovered.block;
        validate_header(rules, &head.header, &block.header).map_err(BlockError::from)?;
        validate_merge(rules, head.total_difficulty, &block.header).map_err(BlockError::from)?;
        validate_ommers(rules, &BlockStore::below(&head.state()), block).map_err(blame)?;
        let proposed = ProposedBlock::new(block.clone(), None);
        self.execute(head, proposed, recovered.hash, &recovered.transactions, None)
    }

    /// Whether this very block is committed; another one at its height is an error.
    fn is_committed(&self, head: &Head, block: &RecoveredBlock) -> Result<bool, ChainError> {
        let number = block.block.header.number;
        if number > head.header.number {
            return Ok(false);
        }
        let committed = self.inner.blocks.hash(number)?.ok_or_else(|| missing("header", number))?;
        if committed != block.hash {
            return Err(ChainError::Conflict { number, hash: block.hash, committed });
        }
        Ok(true)
    }
}

/// The committed blocks, which are the ancestors of the one after the head.
impl Ancestors for BlockStore {
    fn header(&self, number: u64) -> Result<Option<SealedHeader>, StateError> {
        Self::header(self, number).map_err(StateError::new)
    }

    fn ommers(&self, number: u64) -> Result<Vec<Header>, StateError> {
        let block = self.block(number).and_then(|block| block.ok_or_else(|| missing("header", number)));
        Ok(block.map_err(StateError::new)?.block.body.ommers)
    }
}
