//! Whole blocks: the real workers, scheduler, memory and committer with a toy machine give what a sequential run gives.

use super::super::committer::Committer;
use super::super::executor::Block;
use super::super::memory::Memory;
use super::super::scheduler::Scheduler;
use super::super::sync::Mutex;
use super::super::worker::{Shared, Worker};
use super::program::{FEE_RECIPIENT, Program, State};
use super::toy::{ToyExecutor, account_place, address, slot_place};
use super::{below, check, chunks, once_in};
use crate::database::FirstFailure;
use crate::gas::GasLedger;
use crate::observer::{Observer, Step};
use alloy_consensus::{Signed, TxLegacy};
use alloy_evm::EvmEnv;
use alloy_primitives::Signature;
use heddle_primitives::{DependencyHints, Receipt, RecoveredTransaction, Transaction};
use shuttle::thread;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

const THREADS: usize = 3;
/// More than toys use, which is nothing.
const GAS_LIMIT: u64 = 30_000_000;

/// Watches that each transaction is executed before it is final, and final in block order.
struct Order {
    executions: Vec<AtomicU32>,
    finals: AtomicUsize,
}

impl Observer for Order {
    fn step(&self, _worker: usize, step: Step, transaction: usize) {
        match step {
            Step::Execute => {
                assert!(transaction >= self.finals.load(Relaxed), "{transaction} is final and executed again");
                self.executions[transaction].fetch_add(1, Relaxed);
            }
            Step::Commit => {
                assert!(
                    self.executions[transaction].load(Relaxed) > 0,
                    "{transaction} is final and was never executed"
                );
                assert_eq!(self.finals.fetch_add(1, Relaxed), transaction, "final in block order");
            }
            _ => {}
        }
    }
}

/// As many plain transactions: of all that a transaction is, only the gas limit counts here.
fn transactions(count: usize) -> Vec<RecoveredTransaction> {
    let signed = Signed::new_unhashed(TxLegacy::default(), Signature::test_signature());
    vec![RecoveredTransaction::new_unchecked(Transaction::Legacy(signed), address(0)); count]
}

/// Runs a random block with `threads` threads; compares all that it leaves with a sequential run.
fn run_block(count: usize) {
    let (state, programs) = (State::any(), Program::block(count));
    let expected = state.after_each(&programs);
    let memory = Memory::new(&state);
    let observer = Order { executions: (0..count).map(|_| AtomicU32::new(0)).collect(), finals: AtomicUsize::new(0) };
    let transactions = transactions(count);
    let hints = DependencyHints::new((0..count).map(|index| below(index + 1) as u32).collect());
    let environment = EvmEnv::default();
    let gas = GasLedger::new(GAS_LIMIT, &environment.cfg_env);
    let shared = Shared {
        block: Block {
            memory: &memory,
            transactions: &transactions,
            first_index: 1,
            environment,
            is_constantinople: false,
            failure: FirstFailure::default(),
            observer: &observer,
        },
        hints: once_in(2).then_some(&hints),
        scheduler: Scheduler::new(chunks(count), THREADS),
        records: (0..count).map(|_| Mutex::new(None)).collect(),
        committer: Mutex::new(Committer::new(address(FEE_RECIPIENT), gas, false, count)),
    };
    let work = || {
        let executor = ToyExecutor { memory: &memory, block: &programs, observer: &observer };
        Worker::new(&shared, executor).work();
    };
    thread::scope(|scope| {
        (1..THREADS).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    let committer = shared.finish();
    assert_eq!(committer.has_diverged, expected.len() < count, "{} of {programs:#?} are valid", expected.len());
    let digests: Vec<_> = committer.results.receipts.iter().map(digest).collect();
    assert_eq!(digests, expected.iter().map(|(_, digest)| *digest).collect::<Vec<_>>(), "{programs:#?}");
    assert_memory(&memory, &state, 0);
    expected.iter().zip(1..).for_each(|((state, _), index)| assert_memory(&memory, state, index));
    if let Some((last, _)) = expected.last() {
        // What speculation left after the last transaction that is valid is gone.
        assert_memory(&memory, last, count as u32);
    }
}

/// What the program learned whose receipt this is.
fn digest(receipt: &Receipt) -> u64 {
    u64::from_be_bytes(receipt.logs()[0].data.data.as_ref().try_into().unwrap())
}

/// The memory after `index` is `state`.
fn assert_memory(memory: &Memory<'_>, state: &State, index: u32) {
    for (number, (account, slots)) in state.accounts.iter().zip(&state.slots).enumerate() {
        let cell = memory.account(account_place(memory, number));
        assert_eq!(cell.read(index + 1), Ok(*account), "account {number} after {index}");
        for (slot, value) in slots.iter().enumerate() {
            let read = memory.slot(slot_place(memory, (number, slot))).read(cell, index + 1);
            assert_eq!(read, Ok(*value), "slot {slot} of {number} after {index}");
        }
    }
}

#[test]
fn every_schedule_of_a_few_transactions_gives_what_their_order_gives() {
    check(|| run_block(4), 40_000);
}

#[test]
fn every_schedule_of_a_block_with_pauses_gives_what_its_order_gives() {
    check(|| run_block(12), 30_000);
}
