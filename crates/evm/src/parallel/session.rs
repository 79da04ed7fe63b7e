//! A block that grows: rows of transactions side by side, and single ones where it has to be known why one fails.

use super::chunks;
use super::committer::Committer;
use super::executor::{Block, Executor};
use super::hints::{self, HintRecorder};
use super::memory::Memory;
use super::outcome::Places;
use super::pool;
use super::record::Record;
use super::scheduler::Scheduler;
use super::serial::SerialView;
use super::sync::Mutex;
use super::worker::{Shared, Worker};
use crate::database::FirstFailure;
use crate::observer::Observer;
use crate::run::{self, BlockRun, Ended};
use crate::{BlockContext, ChainRules, ExecutionError, ExecutionOutcome, StateReader};
use alloy_evm::block::BlockExecutionError;
use heddle_primitives::{DependencyHints, Header, RecoveredTransaction};
use std::num::NonZeroUsize;

/// A block under execution on a versioned memory: begun, given transactions, finished.
pub(crate) struct Session<'b> {
    rules: &'b ChainRules,
    header: &'b Header,
    memory: &'b Memory<'b>,
    run: BlockRun<'b, SerialView<'b>>,
    failure: FirstFailure,
    is_listed: bool,
    hints: Option<HintRecorder>,
}

impl<'b> Session<'b> {
    /// Applies what comes before the first transaction.
    pub(crate) fn begin(
        rules: &'b ChainRules,
        reader: &'b dyn StateReader,
        context: &BlockContext<'b>,
        memory: &'b Memory<'b>,
    ) -> Result<Self, ExecutionError> {
        let failure = FirstFailure::default();
        let state = SerialView::new(memory, failure.clone());
        let run = BlockRun::over(rules, reader, context, 0, state, failure.clone());
        let is_listed = rules.has_access_lists(context.header);
        let mut session = Self { rules, header: context.header, memory, run, failure, is_listed, hints: None };
        session.run.begin()?;
        session.settle(0)?;
        Ok(session)
    }

    /// Learns hints from now on, which is before the first transaction.
    pub(crate) fn learn_hints(&mut self) {
        self.hints = Some(HintRecorder::default());
    }

    /// Executes transactions side by side. Answers how many of them, from the first, are part of the block now: all,
    /// unless the one after them cannot come next.
    pub(crate) fn advance(
        &mut self,
        transactions: &[RecoveredTransaction],
        threads: NonZeroUsize,
        hints: Option<&DependencyHints>,
        observer: &dyn Observer,
    ) -> usize {
        let first_index = self.run.transactions() as u32 + 1;
        let block = Block::new(self.rules, self.header, transactions, self.memory, &self.failure, observer);
        let mut committer = Committer::new(self.header.beneficiary, self.run.gas(), self.is_listed, transactions.len());
        committer.hints = self.hints.take();
        let scheduler = Scheduler::new(chunks(transactions, threads), threads.get());
        if hints.is_some_and(|hints| hints::are_in_a_row(hints, transactions.len())) {
            committer.expect_conflicts();
            scheduler.set_paused(true);
        }
        let shared = Shared {
            block: Block { first_index, ..block },
            hints,
            scheduler,
            records: transactions.iter().map(|_| Mutex::new(None)).collect(),
            committer: Mutex::new(committer),
        };
        pool::run(threads, |number| Worker::new(&shared, Executor::new(number, &shared.block)).work());
        let committer = shared.finish();
        let executed = committer.results.receipts.len();
        self.hints = committer.hints;
        self.run.adopt(committer.results);
        executed
    }

    /// Executes one more transaction. A failing one leaves no trace and the session may go on.
    pub(crate) fn transact(&mut self, transaction: &RecoveredTransaction) -> Result<(), BlockExecutionError> {
        self.run.transact(transaction)?;
        let index = self.run.transactions() as u32;
        // If this fails the reader has, which the end of the session does not forget.
        if let Ok(record) = self.settle(index)
            && let Some(hints) = &mut self.hints
        {
            hints.record(self.memory, &record);
        }
        Ok(())
    }

    /// Gas that further transactions may use.
    pub(crate) fn gas_left(&self) -> u64 {
        self.run.gas_left()
    }

    /// Says whose fault it is that `transaction` was not executed.
    pub(crate) fn blame(&self, transaction: &RecoveredTransaction, error: BlockExecutionError) -> ExecutionError {
        self.run.blame(transaction, error)
    }

    /// The hints that were learned.
    pub(crate) fn take_hints(&mut self) -> DependencyHints {
        self.hints.take().map(HintRecorder::finish).unwrap_or_default()
    }

    /// Applies what comes after the last transaction, and collects on `threads` threads what the block did.
    pub(crate) fn finish(self, threads: NonZeroUsize) -> Result<ExecutionOutcome, ExecutionError> {
        let Self { memory, run, failure, is_listed, .. } = self;
        let after = run.transactions() as u32 + 1;
        let Ended { result, has_call_failed, mut state } = run.end()?;
        settle(&mut state, memory, &failure, after)?;
        if let Some(failure) = failure.get() {
            return Err(failure.clone().into());
        }
        Ok(pool::enter(threads, || {
            let places = Places::of(memory);
            let (access_list, changes) =
                rayon::join(|| is_listed.then(|| places.access_list(memory)), || places.changes(memory));
            run::outcome(result, has_call_failed, changes, access_list)
        }))
    }

    fn settle(&mut self, index: u32) -> Result<Record, ExecutionError> {
        settle(self.run.state_mut(), self.memory, &self.failure, index)
    }
}

/// Makes final what was committed at `index`.
fn settle(
    state: &mut SerialView<'_>,
    memory: &Memory<'_>,
    failure: &FirstFailure,
    index: u32,
) -> Result<Record, ExecutionError> {
    let broken = || match failure.get() {
        Some(failure) => failure.clone().into(),
        None => ExecutionError::Internal("what was committed does not fit the memory".to_owned()),
    };
    let record = state.take().ok_or_else(broken)?;
    record.write_slots(memory, index);
    record.settle(memory, index).map_err(|_| broken())?;
    record.mark_accessed(memory);
    Ok(record)
}
