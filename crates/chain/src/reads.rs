//! Reading what was committed, and asking what-if on it.

use crate::block_store::missing;
use crate::{
    AccountProof, CallOutcome, CallRequest, Chain, ChainError, LogEntry, LogFilter, LogLimits, LogMatcher, ProofLimits,
    StateView, StoredBlock, TransactionLocation,
};
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{Address, B256, U256};
use heddle_evm::{BlockContext, ChainCall, Parallelism, analyze};
use heddle_primitives::{
    CommitCertificate, EncodedAccessList, FinalizedBlock, Height, MAX_ACCESS_LIST_BYTES, ProposedBlock, Receipt,
    RecoveredTransaction, SealedHeader, Transaction,
};
use std::sync::Arc;

/// Each of these fails only when the database does, unless it says otherwise; what was never committed is `None`, and so is
/// what lies before the state that the chain began with ([`Chain::blocks_from`]).
impl Chain {
    /// A header by number.
    ///
    /// # Errors
    /// The database's.
    pub fn header(&self, number: u64) -> Result<Option<SealedHeader>, ChainError> {
        let head = self.head();
        if number == head.header.number {
            return Ok(Some(head.header.clone()));
        }
        self.inner.blocks.header(number)
    }

    /// The number of the block with this hash.
    ///
    /// # Errors
    /// The database's.
    pub fn number_of(&self, hash: B256) -> Result<Option<u64>, ChainError> {
        self.inner.blocks.number_of(hash)
    }

    /// A block by number, with its senders.
    ///
    /// # Errors
    /// The database's.
    pub fn block(&self, number: u64) -> Result<Option<StoredBlock>, ChainError> {
        self.inner.blocks.block(number)
    }

    /// A block's receipts, one a transaction.
    ///
    /// # Errors
    /// The database's.
    pub fn receipts(&self, number: u64) -> Result<Option<Vec<Receipt>>, ChainError> {
        self.inner.blocks.receipts(number)
    }

    /// Why a block is final: the certificate that its child binds, or for the head this node's own. Genesis has none.
    ///
    /// # Errors
    /// The database's.
    pub fn certificate(&self, number: u64) -> Result<Option<CommitCertificate>, ChainError> {
        self.inner.blocks.certificate(number)
    }

    /// A block's access list (EIP-7928): of the last [`ChainConfig::access_lists_kept`](crate::ChainConfig) blocks that
    /// have one.
    ///
    /// # Errors
    /// The database's.
    pub fn access_list(&self, number: u64) -> Result<Option<BlockAccessList>, ChainError> {
        self.inner.blocks.access_list(number)
    }

    /// What [`Self::access_list`] gives, as its header binds it: RLP.
    ///
    /// # Errors
    /// The database's.
    pub fn access_list_rlp(&self, number: u64) -> Result<Option<Vec<u8>>, ChainError> {
        self.inner.blocks.access_list_rlp(number)
    }

    /// Where a transaction stands.
    ///
    /// # Errors
    /// The database's.
    pub fn transaction(&self, hash: B256) -> Result<Option<TransactionLocation>, ChainError> {
        self.inner.blocks.transaction(hash)
    }

    /// A block with all that a late node needs to commit it, and with its access list where that is kept and short
    /// enough to travel. Genesis is not served: every node has it.
    ///
    /// # Errors
    /// The database's.
    pub fn finalized_block(&self, number: u64) -> Result<Option<FinalizedBlock>, ChainError> {
        let Some(certificate) = self.certificate(number)? else { return Ok(None) };
        let Some(stored) = self.block(number)? else { return Ok(None) };
        let parent_certificate = match number.checked_sub(1) {
            Some(parent) => self.certificate(parent)?,
            None => None,
        };
        let mut proposed = ProposedBlock::new(Arc::new(stored.block), parent_certificate);
        let travels = |list: &Vec<u8>| list.len() <= MAX_ACCESS_LIST_BYTES;
        proposed.evidence = self.inner.blocks.evidence(number)?;
        proposed.access_list = self.access_list_rlp(number)?.filter(travels).map(EncodedAccessList::from_rlp);
        Ok(Some(FinalizedBlock { proposed, certificate }))
    }

    /// The logs that `filter` wants, in order. Blocks beyond the head hold none.
    ///
    /// # Errors
    /// [`ChainError::LogRange`], [`ChainError::TooManyLogs`] and [`ChainError::TooManyLogBytes`] when `limits` are
    /// passed, [`ChainError::AbsentBlock`] for a range that begins before the oldest block, or the database's.
    pub fn logs(&self, filter: &LogFilter, limits: LogLimits) -> Result<Vec<LogEntry>, ChainError> {
        let (from, to) = (filter.from, filter.to);
        if to.checked_sub(from).is_none_or(|distance| distance >= limits.blocks_max) {
            return Err(ChainError::LogRange { from, to, blocks_max: limits.blocks_max });
        }
        self.require_blocks(from, to)?;
        let matcher = LogMatcher::from(filter.clone());
        let (mut logs, mut bytes) = (Vec::new(), 0);
        for number in from..=to.min(self.head().header.number) {
            let header = self.header(number)?.ok_or_else(|| missing("header", number))?;
            if !matcher.may_match(&header.logs_bloom) {
                continue;
            }
            let block = self.block(number)?.ok_or_else(|| missing("header", number))?;
            let receipts = self.receipts(number)?.ok_or_else(|| missing("receipts", number))?;
            let found = block.logs(&matcher, &receipts);
            bytes += found.iter().map(|entry| entry.log.data.data.len()).sum::<usize>();
            logs.extend(found);
            limits.check(logs.len(), bytes, number)?;
        }
        Ok(logs)
    }

    /// The state after the head, from memory: a snapshot that later blocks do not change.
    pub fn state(&self) -> StateView {
        self.head().state()
    }

    /// The state after block `number`.
    ///
    /// # Errors
    /// [`ChainError::UnknownBlock`] beyond the head, [`ChainError::State`] when history no longer reaches that far.
    pub fn state_at(&self, number: u64) -> Result<StateView, ChainError> {
        let head = self.head();
        if number > head.header.number {
            return Err(ChainError::UnknownBlock { number, head: head.header.number });
        }
        if number == head.header.number {
            return Ok(head.state());
        }
        Ok(self.inner.states.view_at(number)?)
    }

    /// Proves an account and some of its slots against the state root of block `number` (EIP-1186).
    ///
    /// # Errors
    /// As [`Self::state_at`], and [`ChainError::State`] when the block is too far back for `limits`.
    pub fn proof(
        &self,
        number: u64,
        address: Address,
        slots: &[U256],
        limits: &ProofLimits,
    ) -> Result<AccountProof, ChainError> {
        Ok(self.state_at(number)?.proof(address, slots, limits)?)
    }

    /// Runs a call in the environment of block `number`, on the state after it, as `eth_call` does.
    ///
    /// # Errors
    /// As [`Self::state_at`], and [`ChainError::Call`]; a revert is an outcome, not an error.
    pub fn call(&self, number: u64, request: &CallRequest, gas_cap: u64) -> Result<CallOutcome, ChainError> {
        let (header, state) = self.after(number)?;
        Ok(heddle_evm::call(&self.inner.rules, &self.reader(state), &header, request, gas_cap)?)
    }

    /// The least gas limit with which a transaction succeeds in the environment of block `number`, as
    /// `eth_estimateGas` finds it.
    ///
    /// # Errors
    /// As [`Self::call`]; here a revert is an error, with its data.
    pub fn estimate_gas(&self, number: u64, request: &CallRequest, gas_cap: u64) -> Result<u64, ChainError> {
        let (header, state) = self.after(number)?;
        Ok(heddle_evm::estimate_gas(&self.inner.rules, &self.reader(state), &header, request, gas_cap)?)
    }

    /// How far the transactions of block `number` could have run side by side, found by executing them again.
    ///
    /// # Errors
    /// As [`Self::state_at`], for the state before the block.
    pub fn parallelism(&self, number: u64) -> Result<Parallelism, ChainError> {
        let head = self.head().header.number;
        self.require_block(number)?;
        let stored = self.block(number)?.ok_or(ChainError::UnknownBlock { number, head })?;
        let Some(parent) = number.checked_sub(1) else { return Ok(Parallelism::default()) };
        let state = self.state_at(parent)?;
        let call = self.stored_call(number, parent, &state)?;
        let reader = self.reader(state);
        let context = BlockContext::of(&stored.block).with_call(call.as_ref());
        let recovered = |(transaction, sender): (&Transaction, &Address)| {
            RecoveredTransaction::new_unchecked(transaction.clone(), *sender)
        };
        let transactions: Vec<_> = stored.block.body.transactions.iter().zip(&stored.senders).map(recovered).collect();
        analyze(&self.inner.rules, &reader, &context, &transactions).map_err(ChainError::Execution)
    }

    /// What a committed block told the registry.
    fn stored_call(&self, number: u64, parent: u64, state: &StateView) -> Result<Option<ChainCall>, ChainError> {
        if !self.inner.rules.is_heddle() {
            return Ok(None);
        }
        let (height, certificate) = (Height::new(number), self.certificate(parent)?);
        let equivocators = self.convicted_keys(&self.head(), &self.inner.blocks.evidence(number)?)?;
        self.registry_call(height, state, &*self.validators(height)?, certificate.as_ref(), equivocators)
    }

    fn after(&self, number: u64) -> Result<(SealedHeader, StateView), ChainError> {
        let state = self.state_at(number)?;
        let header = self.header(number)?.ok_or_else(|| missing("header", number))?;
        Ok((header, state))
    }
}
