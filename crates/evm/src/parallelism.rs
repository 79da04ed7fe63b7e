//! How much of a block could run side by side: what limits every executor, however many cores it has.

use crate::accesses::{Accesses, Location};
use crate::run::BlockRun;
use crate::{BlockContext, ChainRules, ExecutionError, StateReader};
use alloy_primitives::map::HashMap;
use heddle_primitives::RecoveredTransaction;
use std::cmp::Reverse;

/// Most locations that an analysis names.
const CONFLICTS_MAX: usize = 16;

/// How the transactions of a block depend on each other.
///
/// A transaction depends on every earlier one that wrote what it reads. Credits do not depend on each other: neither
/// the fee recipient's nor those of plain transfers. An account that is loaded counts as read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parallelism {
    /// For each transaction the index of the latest one that it depends on.
    pub dependencies: Vec<Option<usize>>,
    /// Transactions in the longest chain in which each depends on the one before; 1 when all are independent.
    pub depth: usize,
    /// Gas of all transactions.
    pub gas_used: u64,
    /// Gas of the dearest chain in which each depends on the one before: what any number of cores takes at least.
    pub critical_path_gas: u64,
    /// The locations that most dependencies go through, at most 16: most first, equal ones in their order.
    pub conflicts: Vec<Conflict>,
}

/// A location that transactions of a block depend on each other through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// What they read and write.
    pub location: Location,
    /// Transactions that read what an earlier one wrote there; at least 1.
    pub edges: usize,
}

impl Parallelism {
    /// The speed-up over one core that dependencies allow, in hundredths: gas of all transactions over that of the
    /// critical path. 100 for a block without transactions.
    pub fn speedup_hundredths(&self) -> u64 {
        let hundredths = (u128::from(self.gas_used) * 100).checked_div(self.critical_path_gas.into());
        hundredths.map_or(100, |hundredths| u64::try_from(hundredths).unwrap_or(u64::MAX))
    }
}

/// Executes a block's transactions in order and says how they depend on each other.
///
/// # Errors
/// As [`execute`](crate::execute), except that nothing after the last transaction is run.
pub fn analyze(
    rules: &ChainRules,
    reader: &dyn StateReader,
    context: &BlockContext<'_>,
    transactions: &[RecoveredTransaction],
) -> Result<Parallelism, ExecutionError> {
    let mut run = BlockRun::start(rules, reader, context, transactions.len(), false)?;
    let mut analysis = Analysis::default();
    for transaction in transactions {
        run.transact_and(transaction, |executed| {
            analysis.record(&executed.accesses, executed.result.tx_gas_used());
        })
        .map_err(|error| run.blame(transaction, error))?;
    }
    Ok(analysis.finish())
}

#[derive(Default)]
struct Analysis {
    written: HashMap<Location, Written>,
    found: Parallelism,
}

/// What is known about a location that was written.
#[derive(Clone, Copy, Default)]
struct Written {
    /// Its latest writer.
    writer: usize,
    /// The longest chain that ends with one of its writers.
    chain: Chain,
    /// Later transactions that read it.
    edges: usize,
}

/// Transactions each of which depends on the one before.
#[derive(Clone, Copy, Default)]
struct Chain {
    depth: usize,
    gas: u64,
}

impl Chain {
    /// The longer and the dearer of two, which need not be the same one.
    fn max(self, other: Self) -> Self {
        Self { depth: self.depth.max(other.depth), gas: self.gas.max(other.gas) }
    }
}

impl Analysis {
    fn record(&mut self, accesses: &Accesses<'_>, gas: u64) {
        let Self { written, found } = self;
        let (mut dependency, mut before) = (None, Chain::default());
        accesses.for_each(|location, access| {
            if access.reads()
                && let Some(written) = written.get_mut(&location)
            {
                written.edges += 1;
                dependency = dependency.max(Some(written.writer));
                before = before.max(written.chain);
            }
        });
        let writer = found.dependencies.len();
        let chain = Chain { depth: before.depth + 1, gas: before.gas.saturating_add(gas) };
        accesses.for_each(|location, access| {
            if access.writes() {
                let written = written.entry(location).or_default();
                *written = Written { writer, chain: written.chain.max(chain), ..*written };
            }
        });
        found.dependencies.push(dependency);
        found.gas_used = found.gas_used.saturating_add(gas);
        found.depth = found.depth.max(chain.depth);
        found.critical_path_gas = found.critical_path_gas.max(chain.gas);
    }

    fn finish(self) -> Parallelism {
        let conflict = |(location, written): (_, Written)| Conflict { location, edges: written.edges };
        let mut conflicts: Vec<_> =
            self.written.into_iter().map(conflict).filter(|conflict| conflict.edges > 0).collect();
        conflicts.sort_unstable_by_key(|conflict| (Reverse(conflict.edges), conflict.location));
        conflicts.truncate(CONFLICTS_MAX);
        Parallelism { conflicts, ..self.found }
    }
}
