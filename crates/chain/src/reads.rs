//! Reading what was committed, and asking what-if on it.

use crate::block_store::missing;
use crate::chain::Inner;
use crate::state_reader::MemoryReader;
use crate::{
    AccountProof, CallError, CallLimits, CallOutcome, CallRequest, Chain, ChainError, ChainRules, Head, Overrides,
    PendingBlock, ProofLimits, SimulatedBlock, SimulationError, SimulationRequest, StateView, StoredBlock,
    TransactionLocation,
};
use alloy_eips::{eip2930::AccessList, eip7928::BlockAccessList};
use alloy_primitives::{Address, B256, U256};
use heddle_evm::{ChainCall, StateReader};
use heddle_primitives::{
    CommitCertificate, EncodedAccessList, FinalizedBlock, Height, MAX_ACCESS_LIST_BYTES, ProposedBlock, Receipt,
    SealedHeader,
};
use std::sync::Arc;

/// Where a question to the EVM is asked.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    /// After the committed block of this number.
    After(u64),
    /// After this one.
    Pending(&'a PendingBlock),
}

impl From<u64> for Place<'_> {
    fn from(number: u64) -> Self {
        Self::After(number)
    }
}

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
        Ok(self.inner.blocks.number_of(hash)?.filter(|number| self.is_reached(*number)))
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
        Ok(self.inner.blocks.transaction(hash)?.filter(|location| self.is_reached(location.number)))
    }

    /// Whether a block is the head or before it. Its rows are there a moment earlier: who found a transaction in them would
    /// not find its logs, nor its effects on the state.
    fn is_reached(&self, number: u64) -> bool {
        number <= self.head().header.number
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

    /// The oldest block whose state [`Self::state_at`] can give.
    ///
    /// # Errors
    /// The database's.
    pub fn states_from(&self) -> Result<u64, ChainError> {
        Ok(self.inner.states.oldest()?)
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

    /// Runs a call in the environment of a block, on the state after it, as `eth_call` does.
    ///
    /// # Errors
    /// As [`Self::state_at`], and [`ChainError::Call`]; a revert is an outcome, not an error.
    pub fn call<'a>(
        &self,
        place: impl Into<Place<'a>>,
        request: &CallRequest,
        overrides: &Overrides,
        limits: &CallLimits<'_>,
    ) -> Result<CallOutcome, ChainError> {
        self.ask(place.into(), |rules, reader, header| {
            heddle_evm::call(rules, reader, header, request, overrides, limits)
        })
    }

    /// As [`Self::call`] after this head and without overrides, if that takes only a moment and nothing from the disk. `None`
    /// says nothing about the call.
    pub fn short_call(&self, head: &Head, request: &CallRequest, limits: &CallLimits<'_>) -> Option<CallOutcome> {
        let Inner { rules, codes, .. } = &*self.inner;
        heddle_evm::short_call(rules, &MemoryReader { state: head.state(), codes }, &head.header, request, limits)
    }

    /// The least gas limit with which a transaction succeeds in the environment of a block, as `eth_estimateGas` finds
    /// it.
    ///
    /// # Errors
    /// As [`Self::call`]; here a revert is an error, with its data.
    pub fn estimate_gas<'a>(
        &self,
        place: impl Into<Place<'a>>,
        request: &CallRequest,
        overrides: &Overrides,
        limits: &CallLimits<'_>,
    ) -> Result<u64, ChainError> {
        self.ask(place.into(), |rules, reader, header| {
            heddle_evm::estimate_gas(rules, reader, header, request, overrides, limits)
        })
    }

    /// The access list with which a message touches nothing cold in the environment of a block, and how it ends with
    /// that list, as `eth_createAccessList` finds them.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn create_access_list<'a>(
        &self,
        place: impl Into<Place<'a>>,
        request: &CallRequest,
        overrides: &Overrides,
        limits: &CallLimits<'_>,
    ) -> Result<(AccessList, CallOutcome), ChainError> {
        self.ask(place.into(), |rules, reader, header| {
            heddle_evm::create_access_list(rules, reader, header, request, overrides, limits)
        })
    }

    /// Runs blocks that nobody proposed on top of block `number`, as `eth_simulateV1` does.
    ///
    /// # Errors
    /// As [`Self::state_at`], and [`ChainError::Simulation`]; a call that reverts or halts is no error.
    pub fn simulate(
        &self,
        number: u64,
        request: &SimulationRequest,
        limits: &CallLimits<'_>,
    ) -> Result<Vec<SimulatedBlock>, ChainError> {
        let (header, state) = self.after(number)?;
        let done = heddle_evm::simulate(&self.inner.rules, &self.reader(state), &header, request, limits);
        if let Err(SimulationError::Call(CallError::State(error))) = &done
            && let Some(too_old) = too_old(error)
        {
            return Err(too_old);
        }
        Ok(done?)
    }

    /// What a committed block told the registry.
    pub(crate) fn stored_call(
        &self,
        number: u64,
        parent: u64,
        state: &StateView,
    ) -> Result<Option<ChainCall>, ChainError> {
        if !self.inner.rules.is_heddle() {
            return Ok(None);
        }
        let (height, certificate) = (Height::new(number), self.certificate(parent)?);
        let equivocators = self.convicted_keys(&self.head(), &self.inner.blocks.evidence(number)?)?;
        self.registry_call(height, state, &*self.validators(height)?, certificate.as_ref(), equivocators)
    }

    /// What a block without evidence on block `parent` would tell the registry. `state` is the parent's.
    pub(crate) fn call_without_evidence(
        &self,
        parent: u64,
        state: &StateView,
    ) -> Result<Option<ChainCall>, ChainError> {
        if !self.inner.rules.is_heddle() {
            return Ok(None);
        }
        let height = Height::new(parent).next();
        self.registry_call(height, state, &*self.validators(height)?, self.certificate(parent)?.as_ref(), Vec::new())
    }

    /// Puts a question to the EVM.
    fn ask<T>(
        &self,
        place: Place<'_>,
        question: impl FnOnce(&ChainRules, &dyn StateReader, &SealedHeader) -> Result<T, CallError>,
    ) -> Result<T, ChainError> {
        let rules = &self.inner.rules;
        Ok(match place {
            Place::After(number) => {
                let (header, state) = self.after(number)?;
                question(rules, &self.reader(state), &header)?
            }
            Place::Pending(pending) => question(rules, &self.pending_reader(pending), pending.header())?,
        })
    }

    pub(crate) fn after(&self, number: u64) -> Result<(SealedHeader, StateView), ChainError> {
        let state = self.state_at(number)?;
        let header = self.header(number)?.ok_or_else(|| missing("header", number))?;
        Ok((header, state))
    }
}

/// What the caller is told of a root that could not be had: those of states that are not committed are proofs of the state
/// that they stand on, which may be too far back.
pub(crate) fn too_old(error: &heddle_evm::StateError) -> Option<ChainError> {
    match error.cause() {
        Some(&heddle_state::StateError::ProofTooOld { number, oldest }) => {
            Some(heddle_state::StateError::ProofTooOld { number, oldest }.into())
        }
        _ => None,
    }
}
