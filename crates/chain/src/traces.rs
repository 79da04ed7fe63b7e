//! Executing committed blocks again, to see what they did inside.

use crate::{CallLimits, CallRequest, Chain, ChainError, Overrides, TracedCall};
use alloy_primitives::Address;
use heddle_evm::{BlockContext, Parallelism, TraceError, TracedBlock, analyze};
use heddle_primitives::{RecoveredTransaction, Transaction};

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

    /// What `trace` makes of a message on the state after block `number`.
    ///
    /// # Errors
    /// As [`Self::call`], and [`ChainError::Trace`] with what `trace` says.
    pub fn trace_call<T>(
        &self,
        number: u64,
        request: &CallRequest,
        overrides: &Overrides,
        limits: &CallLimits<'_>,
        trace: impl FnOnce(&TracedCall<'_>) -> Result<T, TraceError>,
    ) -> Result<T, ChainError> {
        let (header, state) = self.after(number)?;
        let (rules, reader) = (&self.inner.rules, &self.reader(state));
        Ok(trace(&TracedCall { rules, reader, header: &header, request, overrides, limits: *limits })?)
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
