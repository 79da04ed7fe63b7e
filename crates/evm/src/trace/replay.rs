//! Executing the transactions of a block again, with somebody looking on.

use super::TraceError;
use super::meter::{Meter, Metered, TraceBounds, Tracer};
use crate::machine::{Machine, MachineContext};
use crate::run::{BlockRun, Recorder};
use crate::{BlockContext, ChainRules, StateReader};
use alloy_evm::Evm;
use alloy_primitives::B256;
use heddle_primitives::RecoveredTransaction;
use revm::{
    Inspector,
    context::{BlockEnv, result::ResultAndState},
};
use std::ops::Range;

/// A block that can be executed again.
#[derive(Clone, Copy)]
pub struct TracedBlock<'a> {
    /// The chain's rules.
    pub rules: &'a ChainRules,
    /// The state after its parent.
    pub reader: &'a dyn StateReader,
    /// What its transactions are executed under.
    pub context: BlockContext<'a>,
    /// Its hash.
    pub hash: B256,
    /// Its transactions.
    pub transactions: &'a [RecoveredTransaction],
}

/// A transaction or call that was executed under a tracer, and whose changes are not yet in the state.
pub(crate) struct Traced<'r, 'a, T> {
    pub(crate) tracer: &'r mut T,
    pub(crate) meter: &'r mut Meter<'a>,
    pub(crate) result: &'r ResultAndState,
    /// The state before it.
    pub(crate) state: &'r mut Recorder<'a>,
    pub(crate) block: &'r BlockEnv,
    /// Logs of earlier transactions of the block.
    pub(crate) logs_before: usize,
    /// Whether gas for state is counted apart (EIP-8037).
    pub(crate) has_state_gas: bool,
}

impl<'a> TracedBlock<'a> {
    /// Executes the block up to the last transaction that is `wanted`, and gives what `finish` makes of each of those,
    /// which runs under a tracer of its own.
    pub(crate) fn replay<T, R>(
        &self,
        wanted: Range<usize>,
        bounds: TraceBounds<'a>,
        mut tracer: impl FnMut() -> Result<T, TraceError>,
        mut finish: impl FnMut(usize, Traced<'_, 'a, T>) -> Result<R, TraceError>,
    ) -> Result<Vec<R>, TraceError>
    where
        T: Tracer + Inspector<MachineContext<Recorder<'a>>>,
    {
        let inspector = Metered::new(tracer()?, bounds);
        let mut run = BlockRun::inspected(self.rules, self.reader, &self.context, self.transactions.len(), inspector);
        run.apply_start()?;
        let mut traces = Vec::new();
        for (index, transaction) in self.transactions.iter().enumerate().take(wanted.end) {
            let is_wanted = wanted.contains(&index);
            let logs_before = run.receipts().iter().map(|receipt| receipt.logs().len()).sum();
            let machine = run.machine_mut();
            machine.set_inspector_enabled(is_wanted);
            if is_wanted {
                machine.inspector_mut().restart(tracer()?);
            }
            let traced = run.transact_on(transaction, |machine, result| {
                is_wanted.then(|| Traced::of(machine, result, logs_before, |traced| finish(index, traced)))
            });
            // What ends a transaction early looks like a failure of ours.
            let meter = &mut run.machine_mut().inspector_mut().meter;
            meter.tick(u32::MAX);
            meter.check()?;
            traces.extend(traced.map_err(|error| run.blame(transaction, error))?.transpose()?);
        }
        Ok(traces)
    }
}

impl<'a, T: Tracer + Inspector<MachineContext<Recorder<'a>>>> Traced<'_, 'a, T> {
    /// Shows what a machine has just executed.
    pub(crate) fn of<R>(
        machine: &mut Machine<Recorder<'a>, Metered<'a, T>>,
        result: &ResultAndState,
        logs_before: usize,
        show: impl FnOnce(Traced<'_, 'a, T>) -> R,
    ) -> R {
        let (block, has_state_gas) = (machine.block().clone(), machine.cfg_env().enable_amsterdam_eip8037);
        let (state, Metered { tracer, meter, .. }, _) = machine.components_mut();
        show(Traced { tracer, meter, result, state, block: &block, logs_before, has_state_gas })
    }
}
