//! How fast a block is executed in every mode, beside a bare revm loop.
//!
//! Every mode must give the outcome of the sequential one, or the measurement fails. Rounds are interleaved: each runs
//! the loop and all modes once, and the best time of each counts, so that a busy machine disturbs them alike. Short
//! blocks get more rounds.

mod bare;
mod probe;
mod report;
#[cfg(test)]
mod tests;

use crate::Workload;
use heddle_evm::{
    BlockContext, BuildLimits, ChainRules, ExecutionError, ExecutionOutcome, Mode, StateReader, analyze, build,
    execute, execute_observed,
};
use heddle_primitives::{DependencyHints, RecoveredTransaction};
use probe::Probe;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// A block with the state before it.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The rules of its chain.
    pub rules: &'a ChainRules,
    /// The state before it.
    pub reader: &'a dyn StateReader,
    /// Its header, ommers and withdrawals.
    pub context: BlockContext<'a>,
    /// Its transactions.
    pub transactions: &'a [RecoveredTransaction],
}

impl<'a> Case<'a> {
    /// A workload on another reader of its state, for example from a database.
    pub fn new(workload: &'a Workload, reader: &'a dyn StateReader) -> Self {
        let Workload { rules, transactions, .. } = workload;
        Self { rules, reader, context: workload.context(), transactions }
    }

    fn execute(&self, mode: Mode<'_>) -> Result<ExecutionOutcome, ExecutionError> {
        execute(self.rules, self.reader, &self.context, self.transactions, mode)
    }
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Thread counts of the parallel modes.
    pub threads: Vec<NonZeroUsize>,
    /// How often everything is run at least; the best counts.
    pub rounds_min: NonZeroUsize,
    /// How long rounds are added.
    pub duration_min: Duration,
}

impl Plan {
    /// Thread counts of 1, 2, 4 and so on up to `threads`, and `threads` itself; some seconds a block.
    pub fn up_to(threads: NonZeroUsize) -> Self {
        let powers = (0..).map_while(|power| 1usize.checked_shl(power)).take_while(|power| *power < threads.get());
        let threads = powers.filter_map(NonZeroUsize::new).chain([threads]).collect();
        let rounds_min = NonZeroUsize::MIN.saturating_add(2);
        Self { threads, rounds_min, duration_min: Duration::from_millis(1_500) }
    }
}

/// Figures of a block.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// Transactions of the block.
    pub transactions: usize,
    /// Gas that the block uses.
    pub gas_used: u64,
    /// Time of the bare revm loop.
    pub bare: Duration,
    /// Time of the sequential mode without access list: what it does that the loop does not is the rest of a block.
    pub plain: Duration,
    /// Time of the sequential mode.
    pub sequential: Duration,
    /// The speed-up over one core that the transactions' dependencies allow, on any number of cores.
    pub ideal: f64,
    /// Figures of the other modes, by mode and threads.
    pub runs: Vec<Run>,
}

/// Figures of a parallel mode.
#[derive(Clone, Debug)]
pub struct Run {
    /// `parallel`, `hinted` (the same with the block's dependency hints), or `access-list`.
    pub mode: &'static str,
    /// Threads that it was given.
    pub threads: NonZeroUsize,
    /// Its best time.
    pub time: Duration,
    /// What its steps show; `None` when it took none, because it ran in order.
    pub steps: Option<Steps>,
}

/// What the steps of a run show.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    /// Executions that read what has changed since.
    pub aborts: u64,
    /// Of all threads' time, 0 to 1, the share in which they do not execute; `None` where ends of executions are not told.
    pub not_executing: Option<f64>,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The block is not valid, or the state cannot be read.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// The same, found by the bare loop.
    #[error("bare revm loop: {0}")]
    Bare(String),
    /// A mode does not do what it must.
    #[error("{mode} with {threads} threads gives another outcome than sequential")]
    Outcome {
        /// The mode.
        mode: &'static str,
        /// Its threads.
        threads: NonZeroUsize,
    },
}

/// Measures a block.
///
/// # Errors
/// When the block does not execute, or not to the same outcome in every mode.
pub fn measure(case: &Case<'_>, plan: &Plan) -> Result<Measurement, MeasureError> {
    let expected = case.execute(Mode::Sequential)?;
    let parallelism = analyze(case.rules, case.reader, &case.context, case.transactions)?;
    let hints = hints(case);
    let modes = modes(&expected, &hints, &plan.threads);
    let mut runs = modes.iter().map(|mode| check(case, *mode, &expected)).collect::<Result<Vec<_>, _>>()?;
    let plain_rules = case.rules.clone().with_early_access_lists(false);
    let plain_case = Case { rules: &plain_rules, ..*case };
    let [mut bare, mut plain, mut sequential] = [Duration::MAX; 3];
    let started = Instant::now();
    let mut rounds = 0;
    while rounds < plan.rounds_min.get() || started.elapsed() < plan.duration_min {
        rounds += 1;
        bare = bare.min(time_bare(case)?);
        plain = plain.min(time(&plain_case, Mode::Sequential)?);
        sequential = sequential.min(time(case, Mode::Sequential)?);
        for (mode, run) in modes.iter().zip(&mut runs) {
            run.time = run.time.min(time(case, *mode)?);
        }
    }
    let ideal = parallelism.speedup_hundredths() as f64 / 100.0;
    let (transactions, gas_used) = (case.transactions.len(), expected.gas_used);
    Ok(Measurement { transactions, gas_used, bare, plain, sequential, ideal, runs })
}

/// What the block's builder tells; nothing where it would build another block than this one.
fn hints(case: &Case<'_>) -> DependencyHints {
    let limits = BuildLimits { transaction_bytes_max: usize::MAX, threads: NonZeroUsize::MIN, deadline: &|| false };
    let mut candidates = case.transactions.iter().cloned();
    let built = build(case.rules, case.reader, &case.context, &mut candidates, &limits);
    let is_same = |transactions: &[RecoveredTransaction]| transactions.len() == case.transactions.len();
    built.ok().filter(|built| is_same(&built.transactions)).map(|built| built.hints).unwrap_or_default()
}

/// The parallel modes at every thread count; with an access list only where execution gives one.
fn modes<'a>(outcome: &'a ExecutionOutcome, hints: &'a DependencyHints, threads: &[NonZeroUsize]) -> Vec<Mode<'a>> {
    let parallel = |hints| threads.iter().map(move |threads| Mode::Parallel { threads: *threads, hints });
    let list = |list| threads.iter().map(move |threads| Mode::AccessList { list, threads: *threads });
    let lists = outcome.access_list.iter().flat_map(list);
    parallel(None).chain(parallel(Some(hints))).chain(lists).collect()
}

/// Compares a mode's outcome, and watches its steps.
fn check(case: &Case<'_>, mode: Mode<'_>, expected: &ExecutionOutcome) -> Result<Run, MeasureError> {
    let one = NonZeroUsize::MIN;
    let (name, threads) = match mode {
        Mode::Sequential => ("sequential", one),
        Mode::Parallel { threads, hints: None } => ("parallel", threads),
        Mode::Parallel { threads, hints: Some(_) } => ("hinted", threads),
        Mode::AccessList { threads, .. } => ("access-list", threads),
    };
    let probe = Probe::new(threads);
    let started = Instant::now();
    let outcome = execute_observed(case.rules, case.reader, &case.context, case.transactions, mode, &probe)?;
    let elapsed = started.elapsed();
    if outcome != *expected {
        return Err(MeasureError::Outcome { mode: name, threads });
    }
    let steps = Steps { aborts: probe.aborts(), not_executing: probe.share_not_executing(elapsed) };
    Ok(Run { mode: name, threads, time: Duration::MAX, steps: probe.has_steps().then_some(steps) })
}

fn time_bare(case: &Case<'_>) -> Result<Duration, MeasureError> {
    let started = Instant::now();
    let bundle = bare::execute(case).map_err(|error| MeasureError::Bare(error.to_string()))?;
    let elapsed = started.elapsed();
    drop(black_box(bundle));
    Ok(elapsed)
}

fn time(case: &Case<'_>, mode: Mode<'_>) -> Result<Duration, ExecutionError> {
    let started = Instant::now();
    let outcome = case.execute(mode)?;
    let elapsed = started.elapsed();
    drop(black_box(outcome));
    Ok(elapsed)
}
