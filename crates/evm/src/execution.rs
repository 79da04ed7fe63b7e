//! Running a whole block.

use crate::access_list::first_difference;
use crate::observer::Unobserved;
use crate::parallel;
use crate::run::BlockRun;
use crate::{AccessListError, ChainRules, ExecutionError, Observer, StateReader};
use alloy_consensus::{TxReceipt, proofs::calculate_receipt_root};
use alloy_eips::{
    eip4895::Withdrawal,
    eip7685::Requests,
    eip7928::{
        BlockAccessList, compute_block_access_list_hash, constants::ITEM_COST, total_bal_items,
        validate_block_access_list,
    },
};
use alloy_primitives::{Address, B256, Bloom, Bytes};
use heddle_primitives::{Block, DependencyHints, Header, Receipt, RecoveredTransaction, StateChanges};
use std::num::NonZeroUsize;

/// How a block is executed. Every mode returns the same bytes, or the same error.
#[derive(Clone, Copy, Debug, Default)]
pub enum Mode<'a> {
    /// One transaction after the other: the reference.
    #[default]
    Sequential,
    /// Transactions side by side, speculating that they do not conflict (Block-STM).
    Parallel {
        /// Threads that execute, the caller's among them.
        threads: NonZeroUsize,
        /// What is known about which transactions wait for which.
        hints: Option<&'a DependencyHints>,
    },
    /// Transactions side by side, each on the state that the block's access list says was before it (EIP-7928).
    AccessList {
        /// The list that came with the block, whose hash the caller has compared with the header's.
        list: &'a BlockAccessList,
        /// Threads that execute, the caller's among them.
        threads: NonZeroUsize,
    },
}

/// What a block's transactions are executed under.
#[derive(Clone, Copy, Debug)]
pub struct BlockContext<'a> {
    /// Of its fields, roots, bloom and gas used are not read: they are results of execution.
    pub header: &'a Header,
    /// Ommers to reward (before the merge).
    pub ommers: &'a [Header],
    /// Withdrawals to credit (EIP-4895).
    pub withdrawals: &'a [Withdrawal],
    /// What the chain itself calls before the first transaction, after the calls of EIP-2935 and EIP-4788.
    pub call: Option<&'a ChainCall>,
}

/// A call by the system's address, which has nothing to do with the contracts of EIP-2935 and EIP-4788. One that fails changes nothing, and the block is as valid as without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainCall {
    /// The contract.
    pub to: Address,
    /// The call's data.
    pub data: Bytes,
}

impl<'a> BlockContext<'a> {
    /// A block with neither ommers nor withdrawals, as every block of a Heddle chain.
    pub fn new(header: &'a Header) -> Self {
        Self { header, ommers: &[], withdrawals: &[], call: None }
    }

    /// The context of a block at hand.
    pub fn of(block: &'a Block) -> Self {
        let withdrawals = block.body.withdrawals.as_ref().map_or(&[][..], |withdrawals| withdrawals.as_slice());
        Self { header: &block.header, ommers: &block.body.ommers, withdrawals, call: None }
    }

    /// The same with a call by the chain itself.
    pub fn with_call(self, call: Option<&'a ChainCall>) -> Self {
        Self { call, ..self }
    }
}

/// All that execution of a block gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionOutcome {
    /// One receipt a transaction, in their order.
    pub receipts: Vec<Receipt>,
    /// The difference to the parent's state.
    pub changes: StateChanges,
    /// EIP-7685 requests; empty before Prague.
    pub requests: Requests,
    /// Gas used by the block.
    pub gas_used: u64,
    /// Blob gas used by the block; 0 before Cancun.
    pub blob_gas_used: u64,
    /// The EIP-7928 access list, sorted: on Heddle chains always, on others from Amsterdam on.
    pub access_list: Option<BlockAccessList>,
    /// Whether the chain's own call reverted or ran out of gas.
    pub has_call_failed: bool,
}

impl ExecutionOutcome {
    /// Merkle-Patricia root of the receipts.
    pub fn receipts_root(&self) -> B256 {
        calculate_receipt_root(&self.receipts)
    }

    /// The union of the receipts' blooms.
    pub fn logs_bloom(&self) -> Bloom {
        self.receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom())
    }

    /// Keccak-256 of the access list's RLP; zero where there is no list.
    pub fn access_list_hash(&self) -> B256 {
        self.access_list.as_deref().map(compute_block_access_list_hash).unwrap_or_default()
    }
}

/// Executes a block over its parent's state.
///
/// # Errors
/// The first transaction or system call that makes the block invalid, or a failure of ours: see [`ExecutionError`].
pub fn execute(
    rules: &ChainRules,
    reader: &dyn StateReader,
    context: &BlockContext<'_>,
    transactions: &[RecoveredTransaction],
    mode: Mode<'_>,
) -> Result<ExecutionOutcome, ExecutionError> {
    execute_observed(rules, reader, context, transactions, mode, &Unobserved)
}

/// As [`execute`], with somebody watching what the threads do.
///
/// # Errors
/// As [`execute`].
pub fn execute_observed(
    rules: &ChainRules,
    reader: &dyn StateReader,
    context: &BlockContext<'_>,
    transactions: &[RecoveredTransaction],
    mode: Mode<'_>,
    observer: &dyn Observer,
) -> Result<ExecutionOutcome, ExecutionError> {
    match mode {
        Mode::Sequential => {
            execute_in_order(rules, reader, context, transactions, rules.has_access_lists(context.header))
        }
        Mode::Parallel { threads, hints } => {
            let executed = parallel::execute(rules, reader, context, transactions, threads, hints, observer);
            executed.map_or_else(
                || {
                    observer.fall_back();
                    execute(rules, reader, context, transactions, Mode::Sequential)
                },
                Ok,
            )
        }
        Mode::AccessList { list, threads } => {
            check_form(context.header, transactions.len(), list)?;
            let executed = parallel::execute_listed(rules, reader, context, transactions, threads, list, observer);
            executed.map_or_else(
                || {
                    observer.fall_back();
                    explain(rules, reader, context, transactions, list)
                },
                Ok,
            )
        }
    }
}

/// As [`execute`] in order, with an access list also for a block that has none: before Amsterdam on a plain Ethereum
/// chain, as if it were one that has.
///
/// # Errors
/// As [`execute`].
pub fn record_access_list(
    rules: &ChainRules,
    reader: &dyn StateReader,
    context: &BlockContext<'_>,
    transactions: &[RecoveredTransaction],
) -> Result<ExecutionOutcome, ExecutionError> {
    execute_in_order(rules, reader, context, transactions, true)
}

/// The reference.
fn execute_in_order(
    rules: &ChainRules,
    reader: &dyn StateReader,
    context: &BlockContext<'_>,
    transactions: &[RecoveredTransaction],
    is_listed: bool,
) -> Result<ExecutionOutcome, ExecutionError> {
    let mut run = BlockRun::start(rules, reader, context, transactions.len(), is_listed)?;
    for transaction in transactions {
        run.transact(transaction).map_err(|error| run.blame(transaction, error))?;
        run.seal_receipt()?;
    }
    run.finish()
}

/// What can be said of a list without executing its block.
fn check_form(header: &Header, transactions: usize, list: &BlockAccessList) -> Result<(), AccessListError> {
    validate_block_access_list(list, transactions)?;
    let (items, max) = (total_bal_items(list), header.gas_limit / ITEM_COST as u64);
    if header.block_access_list_hash.is_some() && items > max {
        return Err(AccessListError::Oversized { items, max });
    }
    Ok(())
}

/// Executes in order a block that did not do what its list says, or could not be executed by it, and says why.
fn explain(
    rules: &ChainRules,
    reader: &dyn StateReader,
    context: &BlockContext<'_>,
    transactions: &[RecoveredTransaction],
    list: &BlockAccessList,
) -> Result<ExecutionOutcome, ExecutionError> {
    let mut outcome = record_access_list(rules, reader, context, transactions)?;
    let expected = outcome.access_list.take().unwrap_or_default();
    if let Some(difference) = first_difference(list, &expected) {
        return Err(difference.into());
    }
    outcome.access_list = rules.has_access_lists(context.header).then_some(expected);
    Ok(outcome)
}
