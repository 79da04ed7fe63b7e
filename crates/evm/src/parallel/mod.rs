//! Executing a block's transactions side by side: Block-STM (Gelashvili et al., 2022) fitted to the EVM.
//!
//! ```text
//!   Scheduler   hands out transactions in block order ─┐
//!   Worker      executes one on a View of the Memory ──┤ on every thread
//!   Record      what it read and wrote ────────────────┘
//!   Memory      accounts and slots, each with the versions that transactions leave of it
//!   Committer   in block order: is what was read still so? then final; else once more, now on final ground
//! ```
//!
//! By the block's access list (EIP-7928) the memory is full from the start (`listed`), no execution can be stale, and the
//! results are put in order at the end (`endings`). A block that is being built grows by rows of transactions (`session`).
//!
//! - A transaction is executed at most once more than needed: when its turn comes all before it is final, so the second
//!   try is the truth. Where most first tries fail the committing thread goes on alone, as a sequential run would.
//! - Reads are compared by value, and only what the transaction observed counts: fees and plain credits to an account
//!   are added up when they become final, a sender's nonce is taken for granted until then.
//! - Whatever is out of order - an invalid transaction, a failing read - ends the attempt, and the sequential run
//!   answers for it: so errors are the same in every mode.

mod account;
mod committer;
mod endings;
mod executor;
mod hints;
mod interner;
mod listed;
mod machine;
mod memory;
#[cfg(all(test, feature = "shuttle"))]
mod model;
mod outcome;
mod pool;
mod record;
mod scheduler;
mod serial;
mod session;
mod slot;
mod sync;
mod versions;
mod view;
mod worker;

use crate::database::FirstFailure;
use crate::observer::Observer;
use crate::run::{self, BlockRun, Ended};
use crate::{BlockContext, ChainRules, ExecutionOutcome, StateReader};
use alloy_consensus::Transaction as _;
use alloy_eips::eip7928::BlockAccessList;
use alloy_evm::block::BlockExecutionResult;
use alloy_hardforks::EthereumHardforks;
pub(crate) use committer::Results;
use endings::Endings;
use executor::Block;
use heddle_primitives::{DependencyHints, Receipt, RecoveredTransaction};
use listed::Changes;
pub(crate) use memory::Memory;
use outcome::Places;
use serial::SerialView;
pub(crate) use session::Session;
use std::num::NonZeroUsize;

/// Executes a block speculatively on `threads` threads. None when that is not possible, or shows that the block or the
/// state is broken: then the sequential run has the answer.
pub(crate) fn execute(
    rules: &ChainRules,
    reader: &dyn StateReader,
    context: &BlockContext<'_>,
    transactions: &[RecoveredTransaction],
    threads: NonZeroUsize,
    hints: Option<&DependencyHints>,
    observer: &dyn Observer,
) -> Option<ExecutionOutcome> {
    if !rules.is_byzantium_active_at_block(context.header.number) {
        return None;
    }
    pool::enter(threads, || {
        let memory = Memory::new(reader);
        let mut session = Session::begin(rules, reader, context, &memory).ok()?;
        if session.advance(transactions, threads, hints, observer) < transactions.len() {
            return None;
        }
        let outcome = session.finish(threads).ok();
        memory.discard();
        outcome
    })
}

/// Executes a block by its access list on `threads` threads. None when the list is not exactly the block's, or when the
/// block or the state is broken: then the sequential run has the answer.
pub(crate) fn execute_listed(
    rules: &ChainRules,
    reader: &dyn StateReader,
    context: &BlockContext<'_>,
    transactions: &[RecoveredTransaction],
    threads: NonZeroUsize,
    list: &BlockAccessList,
    observer: &dyn Observer,
) -> Option<ExecutionOutcome> {
    if !rules.is_byzantium_active_at_block(context.header.number) {
        return None;
    }
    pool::enter(threads, || {
        let (memory, listed) = listed::load(reader, list).ok()?;
        let changes = Places::of(&memory).changes(&memory);
        let (result, access_list) = rayon::join(
            || execute_on(&memory, listed, rules, reader, context, transactions, threads, observer),
            || {
                observer.foresee(&changes);
                rules.has_access_lists(context.header).then(|| list.clone())
            },
        );
        memory.discard();
        let (result, has_call_failed) = result?;
        Some(run::outcome(result, has_call_failed, changes, access_list))
    })
}

/// Executes a block on a memory that holds all that its list says, and says whether the chain's own call failed. None
/// when something else happens.
#[expect(clippy::too_many_arguments, reason = "what a block is executed with, and on")]
fn execute_on(
    memory: &Memory<'_>,
    listed: Changes,
    rules: &ChainRules,
    reader: &dyn StateReader,
    context: &BlockContext<'_>,
    transactions: &[RecoveredTransaction],
    threads: NonZeroUsize,
    observer: &dyn Observer,
) -> Option<(BlockExecutionResult<Receipt>, bool)> {
    let failure = FirstFailure::default();
    let fee_recipient = context.header.beneficiary;
    let state = SerialView::new(memory, failure.clone());
    let mut run = BlockRun::over(rules, reader, context, transactions.len(), state, failure.clone());
    run.begin().ok()?;
    let before = listed::compare(memory, &run.state_mut().take()?, 0, fee_recipient).ok()?;
    let block = Block::new(rules, context.header, transactions, memory, &failure, observer);
    let endings = Endings::new(&block, chunks(transactions, threads), context.header);
    pool::run(threads, |number| endings.work(number, fee_recipient));
    let made = endings.made()?;
    run.adopt(endings.settle()?);
    let Ended { result, has_call_failed, mut state } = run.end().ok()?;
    let after = listed::compare(memory, &state.take()?, transactions.len() as u32 + 1, fee_recipient).ok()?;
    let is_exact = before + made + after == listed && listed::is_all_accessed(memory) && failure.get().is_none();
    is_exact.then_some((result, has_call_failed))
}

/// Transactions in rows that one thread executes: the cheaper they are, the more are needed to pay for handing them out.
fn chunks(transactions: &[RecoveredTransaction], threads: NonZeroUsize) -> Vec<usize> {
    const COST_MAX: u64 = 400_000;
    const CHUNKS_PER_THREAD: usize = 8;
    let length_max = (transactions.len() / threads.get() / CHUNKS_PER_THREAD).max(1);
    let mut chunks = Vec::new();
    let (mut length, mut cost) = (0, 0);
    for transaction in transactions {
        // Executing costs far less than what a plain transfer pays for being stored.
        let gas = if transaction.input().is_empty() { 21_000 } else { transaction.gas_limit() };
        if length > 0 && (cost + gas > COST_MAX || length == length_max) {
            chunks.push(length);
            (length, cost) = (0, 0);
        }
        length += 1;
        cost += gas;
    }
    chunks.push(length);
    chunks
}
