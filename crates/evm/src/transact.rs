//! Running one signed transaction under a header, without a block around it.

use crate::call::{CallStatus, outcome};
use crate::run::BlockRun;
use crate::{BlockContext, ChainRules, ExecutionError, StateReader};
use alloy_primitives::Bytes;
use heddle_primitives::{Header, Receipt, RecoveredTransaction, StateChanges};

/// What one transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionOutcome {
    /// How it ended.
    pub status: CallStatus,
    /// Gas used after refunds.
    pub gas_used: u64,
    /// Return data, revert data, or the code of a created contract.
    pub output: Bytes,
    /// Its receipt as if it were the only one in its block, with its logs; it has a status in every fork.
    pub receipt: Receipt,
    /// The difference to the state before, with fees paid to the header's beneficiary.
    pub changes: StateChanges,
}

/// Executes one transaction under `header`, and nothing else of a block: no system calls, rewards or withdrawals.
///
/// # Errors
/// [`ExecutionError::InvalidTransaction`] when no block with this header could contain it, or a failure of ours.
pub fn transact(
    rules: &ChainRules,
    reader: &dyn StateReader,
    header: &Header,
    transaction: &RecoveredTransaction,
) -> Result<TransactionOutcome, ExecutionError> {
    let mut run = BlockRun::open(rules, reader, &BlockContext::new(header), 1, false);
    let mut call = None;
    run.transact_and(transaction, |executed| call = Some(outcome(executed.result.clone())))
        .map_err(|error| run.blame(transaction, error))?;
    let (mut receipts, changes) = run.stop();
    let (Some(call), Some(receipt)) = (call, receipts.pop()) else {
        return Err(ExecutionError::Internal("a transaction ended without a receipt".to_owned()));
    };
    Ok(TransactionOutcome { status: call.status, gas_used: call.gas_used, output: call.output, receipt, changes })
}
