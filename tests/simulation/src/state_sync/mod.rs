//! A node that fetches a state from peers of every kind, while the chain goes on and the node stops and starts.
//!
//! ```text
//!   seed --> Scenario --> World: queue of (time, Event)
//!                           Joiner: the core of state sync over the real staging     Checks, Trace
//!                           Peer: what a real state answers, or a lie about it
//!                           ServedChain: headers, certificates, changing validators, states; made once
//! ```
//!
//! What is checked: nothing that cannot be true is stored, and who sent it is named; nobody else is; who is named is not
//! asked again; what is stored at the end is the pivot's state to the row, and the pivot and all before it are the
//! chain's; it ends in time; what was stored before an interruption is not fetched again.

mod chain;
mod checks;
mod joiner;
mod lies;
mod peer;
mod scenario;
mod world;

pub use peer::Manner;
pub use scenario::Scenario;
pub use world::Summary;

use crate::trace::Trace;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Lines of the trace that a violation shows.
const LINES_SHOWN: usize = 150;

/// A seed whose run broke a rule.
#[derive(Debug)]
pub struct Failure {
    /// The run.
    pub scenario: Scenario,
    /// What it broke.
    pub reason: String,
    /// What happened last.
    pub trace: Vec<String>,
}

/// Runs one seed; one that breaks a rule is run again for its trace.
///
/// # Errors
/// The rule that was broken.
pub fn run_seed(seed: u64) -> Result<Summary, Box<Failure>> {
    let scenario = Scenario::draw(seed);
    run(&scenario, 0).or_else(|_| run(&scenario, LINES_SHOWN))
}

fn run(scenario: &Scenario, lines: usize) -> Result<Summary, Box<Failure>> {
    let mut trace = Trace::new(lines);
    let result = catch_unwind(AssertUnwindSafe(|| world::World::new(scenario.clone())?.run(&mut trace)));
    let result = result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(format!("panicked: {}", text.unwrap_or_default()))
    });
    result.map_err(|reason| Box::new(Failure { scenario: scenario.clone(), reason, trace: trace.lines() }))
}
