//! A thread's part of a block: it executes what the scheduler gives it, and makes final what is next.

use super::account::WaitFor;
use super::committer::{Committer, Diverged};
use super::executor::{Block, Execute, Try};
use super::record::Record;
use super::scheduler::{Scheduler, Task};
use super::sync::{Mutex, spin_loop, yield_now};
use super::view::{Assumptions, Interruption};
use crate::observer::Step;
use heddle_primitives::DependencyHints;
use std::ops::Range;

/// How often in a row a thread without a task looks again at once. Then it lets others run between two looks: what it
/// looks at is what the working threads write.
const SPINS: u32 = 64;

/// What the threads of a block share.
pub(crate) struct Shared<'b> {
    pub(crate) block: Block<'b>,
    pub(crate) hints: Option<&'b DependencyHints>,
    pub(crate) scheduler: Scheduler,
    /// The last execution of each transaction.
    pub(crate) records: Vec<Mutex<Option<Record>>>,
    pub(crate) committer: Mutex<Committer>,
}

/// One thread.
pub(crate) struct Worker<'b, E> {
    shared: &'b Shared<'b>,
    executor: E,
}

impl Shared<'_> {
    /// Takes back what was published and did not become final; answers what did.
    pub(crate) fn finish(self) -> Committer {
        let Self { block, records, committer, .. } = self;
        let committer = committer.into_inner();
        for (transaction, record) in records.into_iter().enumerate().skip(committer.results.receipts.len()) {
            if let Some(record) = record.into_inner() {
                record.retract(block.memory, block.index(transaction));
                record.forget(block.memory, block.index(transaction));
            }
        }
        committer
    }
}

impl<'b, E: Execute<'b>> Worker<'b, E> {
    pub(crate) fn new(shared: &'b Shared<'b>, executor: E) -> Self {
        Self { shared, executor }
    }

    /// Works until the block is done or given up.
    pub(crate) fn work(&mut self) {
        let mut idle = 0u32;
        loop {
            match self.shared.scheduler.next() {
                Task::Done => return,
                Task::Execute(range) => {
                    idle = 0;
                    self.speculate_all(range);
                }
                Task::Commit if self.commit() => idle = 0,
                Task::Commit | Task::Idle => {
                    idle = idle.saturating_add(1);
                    self.executor.tell(Step::Idle, self.shared.scheduler.frontier());
                    if idle > SPINS { yield_now() } else { spin_loop() }
                }
            }
        }
    }

    fn speculate_all(&mut self, range: Range<usize>) {
        for transaction in range {
            if self.shared.scheduler.is_stopped() {
                return;
            }
            self.speculate(transaction);
        }
        self.commit();
    }

    /// Executes a transaction on what is known so far, and publishes what it wrote.
    fn speculate(&mut self, transaction: usize) {
        let Shared { scheduler, records, hints, block, .. } = self.shared;
        if let Some(dependency) = hints.and_then(|hints| hints.dependency(transaction))
            && scheduler.wait_for(transaction, dependency)
        {
            return;
        }
        loop {
            let assumptions = Assumptions::of(transaction, block, scheduler);
            let record = match self.executor.execute(transaction, assumptions) {
                Try::Interrupted(Interruption::Wait(WaitFor(index))) => {
                    if scheduler.wait_for(transaction, block.transaction_at(index)) {
                        return;
                    }
                    continue;
                }
                Try::Done(record) => Some(record),
                // Perhaps only speculatively so: that shows when it is its turn.
                Try::Failed | Try::Interrupted(_) => None,
            };
            self.executor.tell(Step::Publish, transaction);
            if let Some(record) = &record {
                record.publish(block.memory, block.index(transaction));
            }
            *records[transaction].lock() = record;
            scheduler.set_executed(transaction);
            return;
        }
    }

    /// Makes final what can be, unless another thread is at it. Whether this thread was.
    fn commit(&mut self) -> bool {
        let shared = self.shared;
        let Some(mut committer) = shared.committer.try_lock() else { return false };
        if self.commit_all(&mut committer).is_err() {
            committer.has_diverged = true;
            shared.scheduler.stop();
        }
        true
    }

    fn commit_all(&mut self, committer: &mut Committer) -> Result<(), Diverged> {
        let scheduler = &self.shared.scheduler;
        while !scheduler.is_stopped() {
            let next = scheduler.frontier();
            if scheduler.is_executed(next) {
                self.commit_executed(committer, next)?;
            } else if let Some(range) = scheduler.is_paused().then(|| scheduler.claim(next)).flatten() {
                for transaction in range {
                    let record = self.execute_finally(committer, transaction)?;
                    self.add(committer, transaction, record)?;
                    scheduler.set_executed(transaction);
                    self.advance(committer, false);
                }
            } else {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Makes a transaction final that was executed speculatively; executes it again if that went wrong.
    fn commit_executed(&mut self, committer: &mut Committer, transaction: usize) -> Result<(), Diverged> {
        let Shared { records, scheduler, block: Block { memory, transactions, .. }, .. } = self.shared;
        self.executor.tell(Step::Validate, transaction);
        let index = self.shared.block.index(transaction);
        if !committer.admits(&transactions[transaction]) {
            return Err(Diverged);
        }
        let record = records[transaction].lock().take();
        let record = if let Some(last_try) = record {
            if last_try.settle(memory, index).is_ok() {
                self.add(committer, transaction, last_try)?;
                self.advance(committer, false);
                return Ok(());
            }
            self.executor.tell(Step::Abort, transaction);
            scheduler.unset_executed(transaction);
            last_try.retract(memory, index);
            let record = self.execute_finally(committer, transaction);
            // Before the fee is paid, perhaps to an account that only the last try wrote.
            last_try.forget(memory, index);
            record?
        } else {
            self.executor.tell(Step::Abort, transaction);
            self.execute_finally(committer, transaction)?
        };
        self.add(committer, transaction, record)?;
        scheduler.set_executed(transaction);
        self.advance(committer, true);
        Ok(())
    }

    /// Executes a transaction whose predecessors are all final: so is its result.
    fn execute_finally(&mut self, committer: &Committer, transaction: usize) -> Result<Record, Diverged> {
        let Block { memory, transactions, .. } = self.shared.block;
        if !committer.admits(&transactions[transaction]) {
            return Err(Diverged);
        }
        let Try::Done(record) = self.executor.execute(transaction, Assumptions::default()) else {
            return Err(Diverged);
        };
        let index = self.shared.block.index(transaction);
        record.write_slots(memory, index);
        record.settle(memory, index).map_err(|_| Diverged)?;
        Ok(record)
    }

    /// Counts a transaction as final whose writes are.
    fn add(&self, committer: &mut Committer, transaction: usize, mut record: Record) -> Result<(), Diverged> {
        let block = &self.shared.block;
        committer.add(block.memory, block.index(transaction), &block.transactions[transaction], &mut record)
    }

    fn advance(&self, committer: &mut Committer, is_aborted: bool) {
        let scheduler = &self.shared.scheduler;
        self.executor.tell(Step::Commit, scheduler.frontier());
        scheduler.set_paused(!committer.judge(is_aborted));
        scheduler.advance();
    }
}
