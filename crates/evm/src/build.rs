//! Choosing a new block's transactions by executing candidates.

use crate::observer::Unobserved;
use crate::parallel::{Memory, Session};
use crate::{BlockContext, ChainRules, ExecutionError, ExecutionOutcome, StateReader};
use alloy_consensus::{Transaction as _, transaction::TxHashRef};
use alloy_eips::eip2718::Encodable2718;
use alloy_evm::{
    InvalidTxError,
    block::{BlockExecutionError, BlockValidationError},
};
use alloy_primitives::{Address, TxHash, map::HashSet};
use heddle_primitives::{DependencyHints, RecoveredTransaction};
use revm::context::result::InvalidTransaction;
use std::collections::VecDeque;
use std::num::NonZeroUsize;

/// Gas below which no transaction fits.
const TRANSACTION_GAS_MIN: u64 = 21_000;
/// Gas that candidates executed side by side may ask for together: between such rows the deadline is looked at.
const ROW_GAS_MAX: u64 = 16_000_000;

/// When to stop adding transactions, beside the header's gas limit, and on how many threads to execute them.
pub struct BuildLimits<'a> {
    /// Most bytes of all transactions together, each in its EIP-2718 encoding.
    pub transaction_bytes_max: usize,
    /// Threads that execute, the caller's among them.
    pub threads: NonZeroUsize,
    /// Asked before each row of candidates that ask for at most 16 million gas together; `true` ends the building with
    /// what is chosen so far.
    pub deadline: &'a dyn Fn() -> bool,
}

/// What was chosen and what it does.
#[derive(Clone, Debug)]
pub struct BuiltTransactions {
    /// The chosen transactions, in the candidates' order.
    pub transactions: Vec<RecoveredTransaction>,
    /// Candidates that cannot be valid any more, with the rule each breaks: the mempool should drop them.
    pub invalid: Vec<(TxHash, String)>,
    /// The result of executing the chosen transactions.
    pub outcome: ExecutionOutcome,
    /// Which of the chosen transactions wait for which.
    pub hints: DependencyHints,
}

/// Executes candidates in the order given and keeps those that are valid and fit.
///
/// A candidate that only does not fit now (gas, bytes, base fee, nonce ahead) is passed over, and with it the later
/// ones of its sender, whose nonces would leave a gap.
///
/// # Errors
/// Failures of ours, or of the context, never of a candidate.
pub fn build(
    rules: &ChainRules,
    reader: &dyn StateReader,
    context: &BlockContext<'_>,
    candidates: &mut dyn Iterator<Item = RecoveredTransaction>,
    limits: &BuildLimits<'_>,
) -> Result<BuiltTransactions, ExecutionError> {
    let memory = Memory::new(reader);
    let mut session = Session::begin(rules, reader, context, &memory)?;
    session.learn_hints();
    let mut builder = Builder {
        session,
        candidates,
        put_back: VecDeque::new(),
        passed_over: HashSet::default(),
        bytes_left: limits.transaction_bytes_max,
        transactions: Vec::new(),
        invalid: Vec::new(),
    };
    while builder.session.gas_left() >= TRANSACTION_GAS_MIN && !(limits.deadline)() {
        let row = builder.next_row();
        let more = if row.is_empty() { builder.try_next()? } else { builder.add_row(row, limits.threads)? };
        if !more {
            break;
        }
    }
    let Builder { mut session, transactions, invalid, .. } = builder;
    let hints = session.take_hints();
    Ok(BuiltTransactions { transactions, invalid, outcome: session.finish(limits.threads)?, hints })
}

/// A block under construction.
struct Builder<'a, 'b> {
    session: Session<'b>,
    candidates: &'a mut dyn Iterator<Item = RecoveredTransaction>,
    /// Candidates that were taken and not tried.
    put_back: VecDeque<RecoveredTransaction>,
    passed_over: HashSet<Address>,
    bytes_left: usize,
    transactions: Vec<RecoveredTransaction>,
    invalid: Vec<(TxHash, String)>,
}

impl Builder<'_, '_> {
    /// The next candidates as far as they fit whatever they use of what they ask for.
    fn next_row(&mut self) -> Vec<RecoveredTransaction> {
        let mut gas_left = self.session.gas_left().min(ROW_GAS_MAX);
        let mut bytes_left = self.bytes_left;
        let mut row = Vec::new();
        while let Some(candidate) = self.next_candidate() {
            let (gas, bytes) = (candidate.gas_limit(), candidate.encode_2718_len());
            if candidate.is_eip4844() || gas > gas_left || bytes > bytes_left {
                self.put_back.push_front(candidate);
                break;
            }
            gas_left -= gas;
            bytes_left -= bytes;
            row.push(candidate);
        }
        row
    }

    fn next_candidate(&mut self) -> Option<RecoveredTransaction> {
        loop {
            let candidate = self.put_back.pop_front().or_else(|| self.candidates.next())?;
            if !self.passed_over.contains(candidate.signer_ref()) {
                return Some(candidate);
            }
        }
    }

    /// Executes candidates side by side; the first that cannot come next is tried again to learn why.
    fn add_row(&mut self, mut row: Vec<RecoveredTransaction>, threads: NonZeroUsize) -> Result<bool, ExecutionError> {
        let executed = self.session.advance(&row, threads, None, &Unobserved);
        let rest = row.split_off(executed);
        for transaction in row {
            self.choose(transaction);
        }
        let is_all = rest.is_empty();
        for candidate in rest.into_iter().rev() {
            self.put_back.push_front(candidate);
        }
        if is_all { Ok(true) } else { self.try_next() }
    }

    /// Tries one candidate; `false` when there is none.
    fn try_next(&mut self) -> Result<bool, ExecutionError> {
        let Some(candidate) = self.next_candidate() else { return Ok(false) };
        match self.verdict(&candidate)? {
            Verdict::Chosen => self.choose(candidate),
            Verdict::NotNow => {
                self.passed_over.insert(candidate.signer());
            }
            Verdict::Stale => {}
            Verdict::Invalid(reason) => {
                self.passed_over.insert(candidate.signer());
                self.invalid.push((*candidate.tx_hash(), reason));
            }
        }
        Ok(true)
    }

    fn choose(&mut self, transaction: RecoveredTransaction) {
        self.bytes_left = self.bytes_left.saturating_sub(transaction.encode_2718_len());
        self.transactions.push(transaction);
    }

    fn verdict(&mut self, candidate: &RecoveredTransaction) -> Result<Verdict, ExecutionError> {
        if candidate.is_eip4844() {
            return Ok(Verdict::Invalid("blob transactions are not accepted".to_owned()));
        }
        if candidate.encode_2718_len() > self.bytes_left {
            return Ok(Verdict::NotNow);
        }
        match self.session.transact(candidate) {
            Ok(()) => Ok(Verdict::Chosen),
            Err(BlockExecutionError::Validation(
                BlockValidationError::TransactionGasLimitMoreThanAvailableBlockGas { .. },
            )) => Ok(Verdict::NotNow),
            Err(BlockExecutionError::Validation(BlockValidationError::InvalidTx { error, .. })) => {
                Ok(refusal(error.as_ref()))
            }
            Err(error) => Err(self.session.blame(candidate, error)),
        }
    }
}

enum Verdict {
    /// Executed and part of the block.
    Chosen,
    /// Does not fit this block; may fit a later one.
    NotNow,
    /// Its nonce is used up here; the sender's next transaction may still be valid.
    Stale,
    /// Invalid in every block, and with it the sender's later nonces.
    Invalid(String),
}

/// What depends on the transactions before it is no reason to forget a candidate: this block may never be decided.
fn refusal(error: &dyn InvalidTxError) -> Verdict {
    match error.as_invalid_tx_err() {
        Some(
            InvalidTransaction::NonceTooHigh { .. }
            | InvalidTransaction::GasPriceLessThanBasefee
            | InvalidTransaction::LackOfFundForMaxFee { .. },
        ) => Verdict::NotNow,
        Some(InvalidTransaction::NonceTooLow { .. }) => Verdict::Stale,
        _ => Verdict::Invalid(error.to_string()),
    }
}
