//! Choosing a new block's transactions by executing candidates.

use crate::hint_recorder::HintRecorder;
use crate::run::BlockRun;
use crate::{BlockContext, ChainRules, ExecutionError, ExecutionOutcome, StateReader};
use alloy_consensus::transaction::TxHashRef;
use alloy_eips::eip2718::Encodable2718;
use alloy_evm::{
    InvalidTxError,
    block::{BlockExecutionError, BlockValidationError},
};
use alloy_primitives::{Address, TxHash, map::HashSet};
use heddle_primitives::{DependencyHints, Header, RecoveredTransaction};
use revm::context::result::InvalidTransaction;

/// Gas below which no transaction fits.
const TRANSACTION_GAS_MIN: u64 = 21_000;

/// When to stop adding transactions, beside the header's gas limit.
pub struct BuildLimits<'a> {
    /// Most bytes of all transactions together, each in its EIP-2718 encoding.
    pub transaction_bytes_max: usize,
    /// Asked before each candidate; `true` ends the building with what is chosen so far.
    pub deadline: &'a dyn Fn() -> bool,
}

/// What was chosen and what it does.
#[derive(Clone, Debug)]
pub struct BuiltTransactions {
    /// The chosen transactions, in the candidates' order.
    pub transactions: Vec<RecoveredTransaction>,
    /// Candidates that cannot be valid any more, with the rule each breaks: the mempool should drop them.
    pub invalid: Vec<(TxHash, String)>,
    /// The result of executing the chosen transactions under the header.
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
/// Failures of ours, or of the header, never of a candidate.
pub fn build(
    rules: &ChainRules,
    reader: &dyn StateReader,
    header: &Header,
    candidates: &mut dyn Iterator<Item = RecoveredTransaction>,
    limits: &BuildLimits<'_>,
) -> Result<BuiltTransactions, ExecutionError> {
    let mut run = BlockRun::start(rules, reader, &BlockContext::new(header), 0, rules.has_access_lists(header))?;
    let mut transactions = Vec::new();
    let mut invalid = Vec::new();
    let mut passed_over = HashSet::<Address>::default();
    let mut hints = HintRecorder::default();
    let mut bytes_left = limits.transaction_bytes_max;
    while run.gas_left() >= TRANSACTION_GAS_MIN && !(limits.deadline)() {
        let Some(candidate) = candidates.next() else { break };
        if passed_over.contains(candidate.signer_ref()) {
            continue;
        }
        match try_candidate(&mut run, &mut hints, &candidate, bytes_left)? {
            Verdict::Chosen { bytes } => {
                bytes_left -= bytes;
                transactions.push(candidate);
            }
            Verdict::NotNow => {
                passed_over.insert(candidate.signer());
            }
            Verdict::Stale => {}
            Verdict::Invalid(reason) => {
                passed_over.insert(candidate.signer());
                invalid.push((*candidate.tx_hash(), reason));
            }
        }
    }
    Ok(BuiltTransactions { transactions, invalid, outcome: run.finish()?, hints: hints.finish() })
}

enum Verdict {
    /// Executed and part of the block.
    Chosen { bytes: usize },
    /// Does not fit this block; may fit a later one.
    NotNow,
    /// Its nonce is used up here; the sender's next transaction may still be valid.
    Stale,
    /// Invalid in every block, and with it the sender's later nonces.
    Invalid(String),
}

fn try_candidate(
    run: &mut BlockRun<'_>,
    hints: &mut HintRecorder,
    candidate: &RecoveredTransaction,
    bytes_left: usize,
) -> Result<Verdict, ExecutionError> {
    if candidate.is_eip4844() {
        return Ok(Verdict::Invalid("blob transactions are not accepted".to_owned()));
    }
    let bytes = candidate.encode_2718_len();
    if bytes > bytes_left {
        return Ok(Verdict::NotNow);
    }
    match run.transact_and(candidate, |executed| hints.record(&executed.accesses)) {
        Ok(()) => Ok(Verdict::Chosen { bytes }),
        Err(BlockExecutionError::Validation(BlockValidationError::TransactionGasLimitMoreThanAvailableBlockGas {
            ..
        })) => Ok(Verdict::NotNow),
        Err(BlockExecutionError::Validation(BlockValidationError::InvalidTx { error, .. })) => {
            Ok(refusal(error.as_ref()))
        }
        Err(error) => Err(run.blame(candidate, error)),
    }
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
