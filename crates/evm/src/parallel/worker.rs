//! A thread's part of a block: it executes what the scheduler gives it, and makes final what is next.

use super::account::WaitFor;
use super::committer::{Committer, Diverged};
use super::machine::{FeeApart, observing_machine};
use super::memory::Memory;
use super::record::{Ending, Record};
use super::scheduler::{Scheduler, Task};
use super::sync::{Mutex, yield_now};
use super::view::{Interruption, View};
use crate::database::FirstFailure;
use crate::machine::Machine;
use crate::observer::{Observer, Step};
use alloy_consensus::{Eip658Value, Receipt as ReceiptBody, Transaction as _, TxReceipt};
use alloy_evm::{EvmEnv, FromRecoveredTx};
use alloy_primitives::U256;
use heddle_primitives::{DependencyHints, RecoveredTransaction};
use revm::context::{Transaction as _, TxEnv, result::ExecutionResult};
use revm::primitives::hardfork::SpecId;
use std::ops::Range;

/// How often a thread without a task looks again before it lets others run.
const SPINS: u32 = 128;

/// What the threads of a block share.
pub(crate) struct Shared<'b> {
    pub(crate) memory: &'b Memory<'b>,
    pub(crate) transactions: &'b [RecoveredTransaction],
    pub(crate) environment: EvmEnv,
    pub(crate) is_constantinople: bool,
    pub(crate) hints: Option<&'b DependencyHints>,
    pub(crate) scheduler: Scheduler,
    /// The last execution of each transaction.
    pub(crate) records: Vec<Mutex<Option<Record>>>,
    pub(crate) committer: Mutex<Committer>,
    pub(crate) failure: FirstFailure,
    pub(crate) observer: &'b dyn Observer,
}

/// One thread's machine.
pub(crate) struct Worker<'b> {
    number: usize,
    shared: &'b Shared<'b>,
    machine: Machine<View<'b>>,
    /// Whether what is observed of an account is not told apart: there are rules that our instructions do not know.
    is_strict: bool,
}

/// How a try to execute a transaction ended.
pub(crate) enum Try {
    Done(Record),
    Interrupted(Interruption),
    /// It is invalid on the state that it saw, or the state could not be read.
    Failed,
}

impl<'b> Worker<'b> {
    pub(crate) fn new(number: usize, shared: &'b Shared<'b>) -> Self {
        let view = View::new(shared.memory, shared.failure.clone());
        let is_strict = shared.environment.cfg_env.spec.is_enabled_in(SpecId::AMSTERDAM);
        let machine = observing_machine(view, shared.environment.clone(), shared.is_constantinople);
        Self { number, shared, machine, is_strict }
    }

    /// Works until the block is done or given up.
    pub(crate) fn work(&mut self) {
        let mut idle = 0u32;
        loop {
            match self.shared.scheduler.next() {
                Task::Done => return,
                Task::Execute(range) => self.speculate_all(range),
                Task::Commit if self.commit() => {}
                Task::Commit | Task::Idle => {
                    idle = idle.wrapping_add(1);
                    self.tell(Step::Idle, self.shared.scheduler.frontier());
                    if idle.is_multiple_of(SPINS) { yield_now() } else { std::hint::spin_loop() }
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
        let Shared { scheduler, memory, records, hints, .. } = self.shared;
        if let Some(dependency) = hints.and_then(|hints| hints.dependency(transaction))
            && scheduler.wait_for(transaction, dependency)
        {
            return;
        }
        loop {
            let record = match self.execute(transaction, true) {
                Try::Interrupted(Interruption::Wait(WaitFor(index))) => {
                    if scheduler.wait_for(transaction, (index as usize).saturating_sub(1)) {
                        return;
                    }
                    continue;
                }
                Try::Done(record) => Some(record),
                // Perhaps only speculatively so: that shows when it is its turn.
                Try::Failed | Try::Interrupted(_) => None,
            };
            self.tell(Step::Publish, transaction);
            if let Some(record) = &record {
                record.publish(memory, access_index(transaction));
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
                    self.execute_finally(committer, transaction, None)?;
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
        let Shared { memory, records, transactions, scheduler, .. } = self.shared;
        self.tell(Step::Validate, transaction);
        let index = access_index(transaction);
        let record = records[transaction].lock().take();
        if let Some(mut record) = record {
            if record.settle(memory, index).is_ok() {
                if !committer.admits(&transactions[transaction]) {
                    return Err(Diverged);
                }
                committer.add(memory, index, &transactions[transaction], &mut record)?;
                self.advance(committer, false);
                return Ok(());
            }
            self.tell(Step::Abort, transaction);
            scheduler.unset_executed(transaction);
            record.retract(memory, index);
            self.execute_finally(committer, transaction, Some(&record))?;
        } else {
            self.tell(Step::Abort, transaction);
            self.execute_finally(committer, transaction, None)?;
        }
        scheduler.set_executed(transaction);
        self.advance(committer, true);
        Ok(())
    }

    /// Executes a transaction whose predecessors are all final: so is its result.
    fn execute_finally(
        &mut self,
        committer: &mut Committer,
        transaction: usize,
        last_try: Option<&Record>,
    ) -> Result<(), Diverged> {
        let Shared { memory, transactions, .. } = self.shared;
        if !committer.admits(&transactions[transaction]) {
            return Err(Diverged);
        }
        let Try::Done(mut record) = self.execute(transaction, false) else { return Err(Diverged) };
        let index = access_index(transaction);
        record.write_slots(memory, index);
        record.settle(memory, index).map_err(|_| Diverged)?;
        if let Some(last_try) = last_try {
            last_try.forget(memory, index);
        }
        committer.add(memory, index, &transactions[transaction], &mut record)
    }

    fn advance(&self, committer: &mut Committer, is_aborted: bool) {
        let scheduler = &self.shared.scheduler;
        self.tell(Step::Commit, scheduler.frontier());
        scheduler.set_paused(!committer.judge(is_aborted));
        scheduler.advance();
    }

    /// Runs a transaction, with its sender's nonce taken for granted if it is `speculative`.
    fn execute(&mut self, transaction: usize, is_speculative: bool) -> Try {
        self.tell(Step::Execute, transaction);
        let shared = self.shared;
        let recovered = &shared.transactions[transaction];
        let environment = TxEnv::from_recovered_tx(recovered.inner(), recovered.signer());
        let payer = (recovered.signer(), environment.max_balance_spending().unwrap_or(U256::MAX));
        let assumed_nonce = is_speculative.then(|| (recovered.signer(), recovered.nonce()));
        let is_strict = self.is_strict || recovered.is_create() || recovered.is_eip7702();
        self.machine.database_mut().turn_to(access_index(transaction), assumed_nonce, is_strict);
        self.machine.run_by(&mut FeeApart::default(), environment, |result, state, view| match result {
            Ok(result) => match Record::collect(view, state, payer, ending(result)) {
                Ok(record) => Try::Done(record),
                Err(_) => Try::Failed,
            },
            Err(_) => view.interruption().map_or(Try::Failed, Try::Interrupted),
        })
    }

    fn tell(&self, step: Step, transaction: usize) {
        self.shared.observer.step(self.number, step, transaction);
    }
}

/// A transaction's index in the block's access list (EIP-7928), where 0 is what comes before the transactions.
pub(crate) fn access_index(transaction: usize) -> u32 {
    transaction as u32 + 1
}

fn ending(result: ExecutionResult) -> Ending {
    let gas = *result.gas();
    let status = Eip658Value::Eip658(result.is_success());
    let receipt = ReceiptBody { status, cumulative_gas_used: 0, logs: result.into_logs() };
    Ending { gas, receipt: Some(receipt.into_with_bloom()) }
}
