//! How fast blocks are executed in every mode, beside a bare revm loop over the same state in memory.
//!
//! The loop is `transact` and `commit` a transaction, and its changes merged at the end: no system calls, no receipts,
//! no access list. *Without list* is the sequential mode on a chain whose headers bind no access list; *hinted* the
//! parallel mode with the block's dependency hints. Times are the best of some rounds; *ratio* is to the sequential mode
//! of the same rounds, above 1 is faster, and dependencies bound it however many threads there are. Aborts, and the
//! share of all threads' time that is not executing, are of a run that is not timed. Every mode must give the sequential
//! mode's outcome, or the benchmark stops.
//!
//!     cargo bench -p heddle-evm                            all workloads at 30 Mgas, and mainnet's blocks
//!     cargo bench -p heddle-evm -- swaps mainnet-blocks    those with such a name
//!     cargo bench -p heddle-evm -- --large                 1 Ggas a workload

#![allow(clippy::unwrap_used, reason = "a benchmark that fails stops")]

mod mainnet;

use heddle_workload::measure::{Case, Measurement, Plan, measure};
use heddle_workload::{NAMES, Size, by_name};
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

/// The node's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let is_large = arguments.iter().any(|argument| argument == "--large");
    let filters: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let is_chosen = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let size = if is_large { Size::Large } else { Size::Small };
    let plan = Plan::up_to(available_parallelism().unwrap_or(NonZeroUsize::MIN));
    let mut json = Vec::new();
    for name in NAMES.iter().filter(|name| is_chosen(name)) {
        let measured = measure_workload(name, size, &plan);
        println!("{name}: {measured}\n");
        json.push(measured.to_json(name));
    }
    if is_chosen("mainnet-blocks") {
        json.extend(mainnet::measure_all(&plan));
    }
    println!("{}", serde_json::json!({ "benchmark": "executor", "blocks": json }));
}

fn measure_workload(name: &str, size: Size, plan: &Plan) -> Measurement {
    let workload = by_name(name, size).unwrap();
    measure(&Case::new(&workload, &workload.state), plan).unwrap_or_else(|error| panic!("{name}: {error}"))
}
