//! Models of the parallel executor, run by `make model-check`: the real scheduler, memory, committer and workers under
//! the schedules that `shuttle` finds, all of them where the model is tiny. It knows no weak memory: every atomic is
//! sequentially consistent here.
//!
//! A failing model prints the schedule to hand to `shuttle::replay`.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod block;
mod cells;
mod program;
mod schedule;
mod toy;

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

/// Schedules in which a thread is interrupted at few, well-chosen points find other bugs than random ones.
const PCT_DEPTH: usize = 4;

/// More than any block here needs under a schedule that lets every thread run: whoever takes more waits for ever.
const STEPS_MAX: usize = 100_000;

/// Checks a model under random schedules of both kinds, half of the `schedules` each.
fn check(model: impl Fn() + Send + Sync + Clone + 'static, schedules: usize) {
    run(RandomScheduler::new(schedules / 2), model.clone());
    run(PctScheduler::new(PCT_DEPTH, schedules / 2), model);
}

/// Checks a model under every schedule.
fn check_all(model: impl Fn() + Send + Sync + 'static) {
    run(DfsScheduler::new(None, false), model);
}

fn run(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(model);
}

/// Whether to do what is done once in `times`: a choice of the checker, as everything random in a model.
fn once_in(times: u32) -> bool {
    thread_rng().gen_ratio(1, times)
}

/// A number below `end`.
fn below(end: usize) -> usize {
    thread_rng().gen_range(0..end)
}

/// Transactions that a thread executes in a row, at most.
const CHUNK_MAX: usize = 3;

/// Rows of transactions, `count` in all.
fn chunks(count: usize) -> Vec<usize> {
    let mut left = count;
    let mut chunks = Vec::new();
    while left > 0 {
        let length = (1 + below(CHUNK_MAX)).min(left);
        chunks.push(length);
        left -= length;
    }
    chunks
}
