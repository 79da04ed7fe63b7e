//! Many seeds on several threads, one world a thread at a time.

use crate::scenario::{Choice, Plan, Scenario};
use crate::world::{Summary, Violation, World};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Lines of the trace that a violation shows, unless the choice says.
const LINES_SHOWN: usize = 200;

/// A seed whose run broke an invariant.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The run.
    pub scenario: Scenario,
    /// What it broke.
    pub violation: Violation,
}

/// Makes the calling thread the only one that the chain's parallel parts use: a world must not depend on how threads
/// are scheduled. To be called once on each thread that runs worlds.
///
/// # Errors
/// The thread is part of a pool already.
pub fn stay_on_this_thread() -> Result<(), rayon::ThreadPoolBuildError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build()?;
    // The thread belongs to the pool until it ends.
    std::mem::forget(pool);
    Ok(())
}

/// Runs one seed; a violation is run again for its trace.
///
/// # Errors
/// The invariant that was broken.
pub fn run_seed(seed: u64, choice: Choice) -> Result<Summary, Box<Failure>> {
    let scenario = Scenario::draw(seed, choice);
    run_scenario(&scenario, 0).or_else(|_| {
        run_scenario(&scenario, choice.lines.unwrap_or(LINES_SHOWN))
            .map_err(|violation| Box::new(Failure { scenario, violation }))
    })
}

/// Runs one scenario, and keeps so many lines of its trace for a violation.
///
/// # Errors
/// The invariant that was broken.
pub fn run_scenario(scenario: &Scenario, lines_kept: usize) -> Result<Summary, Violation> {
    let violation = |reason| Violation { reason, trace: Vec::new() };
    let world = World::new(scenario.clone(), lines_kept).map_err(violation)?;
    catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(violation(format!("panicked: {}", text.unwrap_or_default())))
    })
}

/// Runs all seeds of a range on so many threads, and calls `done` after each; stops soon after the first failure.
pub fn run_seeds(
    seeds: Range<u64>,
    choice: Choice,
    threads: usize,
    done: &(dyn Fn(u64, &Summary) + Sync),
) -> Result<(), Box<Failure>> {
    let (next, failed) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let failure = Mutex::new(None);
    let work = || {
        let _ = stay_on_this_thread();
        while !failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            match run_seed(seed, choice) {
                Ok(summary) => done(seed, &summary),
                Err(found) => {
                    failed.store(true, Ordering::Relaxed);
                    let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                    failure.get_or_insert(found);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

impl Failure {
    /// The command that runs the same seed again.
    pub fn command(&self) -> String {
        let Scenario { seed, nodes, plan, byzantine, profile, .. } = &self.scenario;
        let shape = match plan {
            Plan::Fixed => format!("--nodes {nodes} --byzantine {}", byzantine.len()),
            plan => format!("--plan {plan}"),
        };
        format!("cargo run --release -p heddle-simulation -- --seeds {seed} {shape} --profile {profile}")
    }
}
