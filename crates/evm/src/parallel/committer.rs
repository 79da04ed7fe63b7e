//! Making transactions final, one after the other.

use super::hints::HintRecorder;
use super::memory::Memory;
use super::record::{Ending, Record};
use super::sync::bound;
use crate::gas::GasLedger;
use alloy_consensus::Transaction as _;
use alloy_primitives::Address;
use heddle_primitives::{Receipt, RecoveredTransaction};

/// Of this many transactions, ...
const HISTORY: u32 = bound(32, 4);
/// ... if this many were executed in vain, speculation stops paying.
const ABORTS_MAX: u32 = bound(24, 2);
/// For so many transactions at first, and twice as many each time that a new attempt failed too.
const PAUSE_MIN: u32 = bound(64, 2);
const PAUSE_MAX: u32 = bound(4096, 4);

/// What is final of a block. Whoever holds it is the one thread that makes transactions final.
pub(crate) struct Committer {
    fee_recipient: Address,
    is_listed: bool,
    pub(crate) results: Results,
    /// Whether the block cannot be executed this way: it is invalid, or a read failed.
    pub(crate) has_diverged: bool,
    speculation: Speculation,
    /// Learns for others what has to wait for what, if anybody wants to know.
    pub(crate) hints: Option<HintRecorder>,
}

/// The results of a block's transactions, in their order.
pub(crate) struct Results {
    pub(crate) gas: GasLedger,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) blob_gas_used: u64,
}

impl Results {
    pub(crate) fn new(gas: GasLedger, transactions: usize) -> Self {
        Self { gas, receipts: Vec::with_capacity(transactions), blob_gas_used: 0 }
    }

    /// Whether the transaction may come next, by the gas that is left.
    pub(crate) fn admits(&self, transaction: &RecoveredTransaction) -> bool {
        self.gas.admits(transaction.gas_limit())
    }

    /// Counts what the next transaction gave.
    pub(crate) fn add(&mut self, transaction: &RecoveredTransaction, ending: &mut Ending) -> Result<(), Diverged> {
        self.gas.add(&ending.gas);
        self.blob_gas_used = self.blob_gas_used.saturating_add(transaction.blob_gas_used().unwrap_or_default());
        let mut receipt = ending.receipt.take().ok_or(Diverged)?;
        receipt.receipt.cumulative_gas_used = self.gas.cumulative;
        self.receipts.push(Receipt::from_typed(transaction.tx_type(), receipt));
        Ok(())
    }
}

/// Whether executing ahead pays, judged by what came of it.
#[derive(Debug, Default)]
struct Speculation {
    /// A bit for each of the last transactions: 1 for one executed in vain.
    aborts: u64,
    pause: u32,
    pause_left: u32,
}

impl Committer {
    /// `is_listed`: whether the block's access list is built.
    pub(crate) fn new(fee_recipient: Address, gas: GasLedger, is_listed: bool, transactions: usize) -> Self {
        Self {
            fee_recipient,
            is_listed,
            results: Results::new(gas, transactions),
            has_diverged: false,
            speculation: Speculation::default(),
            hints: None,
        }
    }

    /// Counts a transaction as final whose writes are; `record` is left with what later transactions need of it.
    pub(crate) fn add(
        &mut self,
        memory: &Memory<'_>,
        index: u32,
        transaction: &RecoveredTransaction,
        record: &mut Record,
    ) -> Result<(), Diverged> {
        self.pay(memory, index, record)?;
        record.teach(memory, index);
        if self.is_listed {
            record.mark_accessed(memory);
        }
        if let Some(hints) = &mut self.hints {
            hints.record(memory, record);
        }
        self.results.add(transaction, &mut record.ending)
    }

    /// Whether the transaction may come next, by the gas that is left.
    pub(crate) fn admits(&self, transaction: &RecoveredTransaction) -> bool {
        self.results.admits(transaction)
    }

    /// Gives up executing ahead for the whole block.
    pub(crate) fn expect_conflicts(&mut self) {
        self.speculation = Speculation::hopeless();
    }

    /// Notes whether a transaction was executed in vain; answers whether to go on executing ahead.
    pub(crate) fn judge(&mut self, is_aborted: bool) -> bool {
        self.speculation.judge(is_aborted)
    }

    fn pay(&self, memory: &Memory<'_>, index: u32, record: &Record) -> Result<(), Diverged> {
        let Some(fee) = record.fee else { return Ok(()) };
        let place = memory.account_place(self.fee_recipient).map_err(|_| Diverged)?;
        let cell = memory.account(place);
        if self.is_listed {
            cell.access();
        }
        cell.credit(index, fee).map_err(|_| Diverged)
    }
}

impl Speculation {
    /// It is known beforehand that it does not.
    fn hopeless() -> Self {
        Self { pause_left: u32::MAX, ..Self::default() }
    }

    fn judge(&mut self, is_aborted: bool) -> bool {
        if self.pause_left > 0 {
            self.pause_left -= 1;
            return self.pause_left == 0;
        }
        self.aborts = (self.aborts << 1 | u64::from(is_aborted)) & ((1 << HISTORY) - 1);
        if self.aborts.count_ones() < ABORTS_MAX {
            return true;
        }
        self.aborts = 0;
        self.pause = self.pause.saturating_mul(2).clamp(PAUSE_MIN, PAUSE_MAX);
        self.pause_left = self.pause;
        false
    }
}

/// The block cannot be executed in parallel to an end: the sequential run finds out why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Diverged;
