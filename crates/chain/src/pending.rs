//! The block that may come next, made of what waits: nobody proposed it, and nothing of it is kept.

use crate::propose::Next;
use crate::state_reader::ChainStateReader;
use crate::{BuildRequest, Chain, ChainError, Head, StoredBlock};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use alloy_rlp::Encodable;
use heddle_evm::{Code, StateError, StateReader};
use heddle_primitives::{Account, Block, Receipt, SealedHeader, StateChanges};
use heddle_state::StateView;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// A block on the head with what it does.
pub struct PendingBlock {
    /// The block; without consensus its hash means nothing.
    pub block: Arc<StoredBlock>,
    /// One receipt a transaction.
    pub receipts: Vec<Receipt>,
    changes: StateChanges,
    parent: StateView,
}

impl Chain {
    /// Executes on the head the candidates that fit, as [`Self::build`] does for a proposal, and forgets it. `None` on a
    /// chain that is not at Prague yet: nobody builds its blocks any more.
    ///
    /// # Errors
    /// Failures of ours; a candidate never causes one.
    pub fn pending(&self, head: &Arc<Head>, request: BuildRequest<'_>) -> Result<Option<PendingBlock>, ChainError> {
        if !self.inner.rules.is_prague_active_at_timestamp(head.header.timestamp) {
            return Ok(None);
        }
        let evidence = if self.inner.rules.is_heddle() { self.evidence_for_next(head)? } else { Vec::new() };
        // On one thread: a proposal may be built or checked at the same time, and goes first.
        let Next { execution, changes, .. } = self.next(head, evidence, request, NonZeroUsize::MIN)?;
        let block = Block::clone(&execution.proposed.block);
        let stored = StoredBlock { header: execution.header, size: block.length(), block, senders: execution.senders };
        let parent = head.state();
        Ok(Some(PendingBlock { block: Arc::new(stored), receipts: execution.receipts, changes, parent }))
    }

    pub(crate) fn pending_reader<'a>(&'a self, pending: &'a PendingBlock) -> PendingReader<'a> {
        PendingReader { pending, parent: self.reader(pending.parent.clone()) }
    }
}

impl PendingBlock {
    /// Its header.
    pub fn header(&self) -> &SealedHeader {
        &self.block.header
    }

    /// An account after it.
    ///
    /// # Errors
    /// The database's.
    pub fn account(&self, address: Address) -> Result<Option<Account>, ChainError> {
        match self.changes.accounts.get(&address) {
            Some(change) => Ok(change.account),
            None => Ok(self.parent.account(address)?),
        }
    }

    /// A slot after it.
    ///
    /// # Errors
    /// The database's.
    pub fn storage(&self, address: Address, slot: U256) -> Result<U256, ChainError> {
        match self.changed_slot(address, slot) {
            Some(value) => Ok(value),
            None => Ok(self.parent.storage(address, slot)?),
        }
    }

    /// Code by its hash.
    ///
    /// # Errors
    /// The database's.
    pub fn code(&self, hash: B256) -> Result<Bytes, ChainError> {
        match self.changes.code.get(&hash) {
            Some(code) => Ok(code.clone()),
            None if hash == KECCAK256_EMPTY => Ok(Bytes::new()),
            None => Ok(self.parent.code(hash)?),
        }
    }

    fn changed_slot(&self, address: Address, slot: U256) -> Option<U256> {
        let change = self.changes.accounts.get(&address)?;
        let is_gone = change.storage_wiped || change.account.is_none();
        change.storage.get(&slot).copied().or(is_gone.then_some(U256::ZERO))
    }
}

/// The executor's view of the state after a pending block.
pub(crate) struct PendingReader<'a> {
    pub(crate) pending: &'a PendingBlock,
    pub(crate) parent: ChainStateReader<'a>,
}

impl StateReader for PendingReader<'_> {
    fn account(&self, address: Address) -> Result<Option<Account>, StateError> {
        match self.pending.changes.accounts.get(&address) {
            Some(change) => Ok(change.account),
            None => self.parent.account(address),
        }
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        match self.pending.changed_slot(address, slot) {
            Some(value) => Ok(value),
            None => self.parent.storage(address, slot),
        }
    }

    fn code(&self, hash: B256) -> Result<Code, StateError> {
        match self.pending.changes.code.get(&hash) {
            Some(code) => Ok(Code::new(code.clone())),
            None => self.parent.code(hash),
        }
    }

    fn has_storage(&self, address: Address) -> Result<bool, StateError> {
        match self.pending.changes.accounts.get(&address) {
            Some(change) if change.storage.values().any(|value| !value.is_zero()) => Ok(true),
            Some(change) if change.storage_wiped || change.account.is_none() => Ok(false),
            _ => self.parent.has_storage(address),
        }
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.parent.block_hash(number)
    }

    fn root_with(&self, _changes: &StateChanges) -> Result<B256, StateError> {
        Err(StateError::new("the state after a pending block has no root to change"))
    }
}
