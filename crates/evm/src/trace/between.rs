//! The state between the transactions of a block.

use super::TraceError;
use super::meter::{Meter, TraceBounds};
use super::replay::TracedBlock;
use crate::run::BlockRun;
use alloy_primitives::B256;
use heddle_primitives::{RecoveredTransaction, StateChanges};

/// What the first `count` transactions of a block change, and what comes before them.
///
/// # Errors
/// When the time is over, or the block cannot be executed.
pub fn changes_after(
    block: &TracedBlock<'_>,
    count: usize,
    bounds: TraceBounds<'_>,
) -> Result<StateChanges, TraceError> {
    let mut steps = Steps::begin(block, bounds)?;
    for transaction in block.transactions.iter().take(count) {
        steps.step(transaction)?;
    }
    Ok(steps.run.stop().1)
}

/// The root of the state after each transaction of a block.
///
/// # Errors
/// As [`changes_after`].
pub fn intermediate_roots(block: &TracedBlock<'_>, bounds: TraceBounds<'_>) -> Result<Vec<B256>, TraceError> {
    let mut steps = Steps::begin(block, bounds)?;
    let after = |transaction| {
        steps.step(transaction)?;
        Ok(steps.run.root()?)
    };
    block.transactions.iter().map(after).collect()
}

/// A block that is executed again, one transaction after the other.
struct Steps<'a> {
    run: BlockRun<'a>,
    meter: Meter<'a>,
}

impl<'a> Steps<'a> {
    fn begin(block: &TracedBlock<'a>, bounds: TraceBounds<'a>) -> Result<Self, TraceError> {
        let run = BlockRun::start(block.rules, block.reader, &block.context, block.transactions.len(), false)?;
        Ok(Self { run, meter: Meter::new(bounds) })
    }

    fn step(&mut self, transaction: &RecoveredTransaction) -> Result<(), TraceError> {
        self.meter.tick(u32::MAX);
        self.meter.check()?;
        let done = self.run.transact(transaction);
        Ok(done.map_err(|error| self.run.blame(transaction, error))?)
    }
}
