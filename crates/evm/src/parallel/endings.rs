//! Executing in any order what the access list has made independent, and putting the results in order.

use super::committer::Results;
use super::executor::{Block, Execute, Executor, Try};
use super::listed::{Changes, compare};
use super::record::Ending;
use super::sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering};
use super::view::Assumptions;
use crate::gas::GasLedger;
use crate::observer::Step;
use alloy_consensus::Transaction as _;
use alloy_primitives::Address;
use heddle_primitives::Header;
use std::cmp::Reverse;
use std::ops::Range;

/// How each transaction of a block ended.
pub(crate) struct Endings<'b> {
    block: &'b Block<'b>,
    gas: GasLedger,
    /// More than any valid block's transactions use: a false list must not make us execute without bound.
    gas_max: u64,
    gas_used: AtomicU64,
    chunks: Vec<Range<usize>>,
    next_chunk: AtomicUsize,
    is_inexact: AtomicBool,
    made: Mutex<Changes>,
    endings: Vec<Mutex<Option<Ending>>>,
}

impl<'b> Endings<'b> {
    /// No transaction has been executed; each chunk is for one thread to execute in a row.
    pub(crate) fn new(block: &'b Block<'b>, chunks: Vec<usize>, header: &Header) -> Self {
        let mut start = 0;
        let range = |length: usize| {
            start += length;
            start - length..start
        };
        let mut chunks: Vec<_> = chunks.into_iter().map(range).collect();
        // In any order they give the same; with the dearest first no thread is left alone with one at the end.
        let cost = |chunk: &Range<usize>| block.transactions[chunk.clone()].iter().map(|one| one.gas_limit()).sum();
        chunks.sort_by_cached_key(|chunk| Reverse::<u64>(cost(chunk)));
        Self {
            block,
            gas: GasLedger::new(header.gas_limit, &block.environment.cfg_env),
            // Execution and state growth may each use up the limit (EIP-8037).
            gas_max: header.gas_limit.saturating_mul(2),
            gas_used: AtomicU64::new(0),
            chunks,
            next_chunk: AtomicUsize::new(0),
            is_inexact: AtomicBool::new(false),
            made: Mutex::default(),
            endings: block.transactions.iter().map(|_| Mutex::new(None)).collect(),
        }
    }

    /// A thread's part.
    pub(crate) fn work(&self, number: usize, fee_recipient: Address) {
        let mut executor = Executor::new(number, self.block);
        let mut made = Changes::default();
        while let Some(chunk) = self.chunks.get(self.next_chunk.fetch_add(1, Ordering::SeqCst)) {
            for transaction in chunk.clone() {
                if self.is_inexact.load(Ordering::SeqCst) {
                    return;
                }
                match self.execute(&mut executor, transaction, fee_recipient) {
                    Some(changes) => made = made + changes,
                    None => return self.is_inexact.store(true, Ordering::SeqCst),
                }
            }
        }
        let mut total = self.made.lock();
        *total = *total + made;
    }

    fn execute(&self, executor: &mut Executor<'b>, transaction: usize, fee_recipient: Address) -> Option<Changes> {
        let Try::Done(record) = executor.execute(transaction, Assumptions::default()) else { return None };
        executor.tell(Step::Publish, transaction);
        executor.tell(Step::Validate, transaction);
        let changes = compare(self.block.memory, &record, self.block.index(transaction), fee_recipient).ok()?;
        let gas = record.ending.gas.tx_gas_used();
        if self.gas_used.fetch_add(gas, Ordering::SeqCst).saturating_add(gas) > self.gas_max {
            return None;
        }
        executor.tell(Step::Commit, transaction);
        *self.endings[transaction].lock() = Some(record.ending);
        Some(changes)
    }

    /// The changes that all transactions made; none if one did something else than the list says.
    pub(crate) fn made(&self) -> Option<Changes> {
        (!self.is_inexact.load(Ordering::SeqCst)).then(|| *self.made.lock())
    }

    /// The results in block order; none if the gas does not suffice for one.
    pub(crate) fn settle(self) -> Option<Results> {
        let mut results = Results::new(self.gas, self.endings.len());
        for (transaction, ending) in self.block.transactions.iter().zip(self.endings) {
            if !results.admits(transaction) {
                return None;
            }
            results.add(transaction, &mut ending.into_inner()?).ok()?;
        }
        Some(results)
    }
}
