//! Executing committed blocks again, to see what they did inside.

use crate::reads::too_old;
use crate::verify::{blame, recover};
use crate::{BlockError, CallLimits, Chain, ChainError, TraceBounds, TracedCalls};
use alloy_primitives::{Address, B256};
use heddle_evm::{
    BlockContext, ExecutionError, Parallelism, TraceError, TracedBlock, analyze, intermediate_roots, validate_body,
    validate_header,
};
use heddle_primitives::{Block, RecoveredTransaction, Transaction};

impl Chain {
    /// What `trace` makes of block `number`, which it is given with all that it takes to execute it again.
    ///
    /// # Errors
    /// [`ChainError::UnknownBlock`] beyond the head, [`ChainError::UntraceableGenesis`], [`ChainError::State`] when history
    /// no longer has the state before the block, [`ChainError::Trace`] with what `trace` says, or the database's.
    pub fn trace<T>(
        &self,
        number: u64,
        trace: impl FnOnce(&TracedBlock<'_>) -> Result<T, TraceError>,
    ) -> Result<T, ChainError> {
        let head = self.head().header.number;
        self.require_block(number)?;
        let stored = self.block(number)?.ok_or(ChainError::UnknownBlock { number, head })?;
        let parent = number.checked_sub(1).ok_or(ChainError::UntraceableGenesis)?;
        let state = self.state_at(parent)?;
        let call = self.stored_call(number, parent, &state)?;
        let recovered = |(transaction, sender): (&Transaction, &Address)| {
            RecoveredTransaction::new_unchecked(transaction.clone(), *sender)
        };
        let transactions: Vec<_> = stored.block.body.transactions.iter().zip(&stored.senders).map(recovered).collect();
        let block = TracedBlock {
            rules: &self.inner.rules,
            reader: &self.reader(state),
            context: BlockContext::of(&stored.block).with_call(call.as_ref()),
            hash: stored.header.seal(),
            transactions: &transactions,
        };
        Ok(trace(&block)?)
    }

    /// As [`Self::trace`], of a block that is not committed and keeps the rules that need no execution, on the committed
    /// block `parent`. Evidence is no part of a block as Ethereum encodes it: it is executed as if it came with none.
    ///
    /// # Errors
    /// As [`Self::trace`], and [`ChainError::InvalidBlock`] with the rule that it breaks.
    pub fn trace_uncommitted<T>(
        &self,
        parent: u64,
        block: &Block,
        trace: impl FnOnce(&TracedBlock<'_>) -> Result<T, TraceError>,
    ) -> Result<T, ChainError> {
        let rules = &self.inner.rules;
        let (header, state) = self.after(parent)?;
        validate_header(rules, &header, &block.header).map_err(BlockError::from)?;
        validate_body(rules, block).map_err(BlockError::from)?;
        let transactions = recover(rules, block, &|_| None)?;
        let call = self.call_without_evidence(parent, &state)?;
        let traced = trace(&TracedBlock {
            rules,
            reader: &self.reader(state),
            context: BlockContext::of(block).with_call(call.as_ref()),
            hash: block.header.hash_slow(),
            transactions: &transactions,
        });
        traced.map_err(|error| match error {
            TraceError::Execution(error) => blame(error),
            error => error.into(),
        })
    }

    /// The root of the state after each transaction of block `number`.
    ///
    /// # Errors
    /// As [`Self::trace`], and [`ChainError::State`] when the block is too far back.
    pub fn intermediate_roots(&self, number: u64, bounds: TraceBounds<'_>) -> Result<Vec<B256>, ChainError> {
        let roots = self.trace(number, |block| intermediate_roots(block, bounds));
        roots.map_err(|error| match &error {
            ChainError::Trace(TraceError::Execution(ExecutionError::State(cause))) => too_old(cause).unwrap_or(error),
            _ => error,
        })
    }

    /// What `trace` makes of messages on the state after block `number`.
    ///
    /// # Errors
    /// As [`Self::call`], and [`ChainError::Trace`] with what `trace` says.
    pub fn trace_calls<T>(
        &self,
        number: u64,
        limits: &CallLimits<'_>,
        trace: impl FnOnce(&TracedCalls<'_>) -> Result<T, TraceError>,
    ) -> Result<T, ChainError> {
        let (header, state) = self.after(number)?;
        let (rules, reader) = (&self.inner.rules, &self.reader(state));
        Ok(trace(&TracedCalls { rules, reader, header: &header, limits: *limits })?)
    }

    /// How far the transactions of block `number` could have run side by side, found by executing them again.
    ///
    /// # Errors
    /// As [`Self::trace`]; nothing is to be found in genesis.
    pub fn parallelism(&self, number: u64) -> Result<Parallelism, ChainError> {
        if number == 0 {
            return Ok(Parallelism::default());
        }
        self.trace(number, |block| Ok(analyze(block.rules, block.reader, &block.context, block.transactions)?))
    }
}
