//! `heddle bench executor`: how fast blocks are executed in every mode, beside a bare revm loop.

mod database;

use crate::execution::parse_threads;
use crate::progress::Progress;
use crate::shutdown::StopFlag;
use clap::{Args, ValueEnum, builder::PossibleValuesParser};
use database::DatabaseState;
use heddle_workload::measure::{Case, Measurement, Plan, measure};
use heddle_workload::{NAMES, STORAGE_READS, Size, Workload, by_name, storage_reads};
use serde_json::{Value, json};
use std::error::Error;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

/// Accounts of the database that cold reads are measured on, and slots of one of them.
const COLD_POPULATION: u64 = 1_000_000;

/// Options of `heddle bench executor`.
#[derive(Args)]
pub struct ExecutorArgs {
    /// The workload [default: all of them].
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(NAMES))]
    workload: Option<String>,
    /// Gas of each block: 30 million, or 1 billion.
    #[arg(long, default_value = "small")]
    size: BlockSize,
    /// Most threads of the parallel modes, which run with 1, 2, 4 and so on [1 to 1024; default: the machine's].
    #[arg(long, value_name = "COUNT", value_parser = parse_threads)]
    threads: Option<NonZeroUsize>,
    /// Read the state from a database, whose caches are warm.
    ///
    /// But `storage-reads` reads from a freshly opened one of a million accounts, with hardly any caches of its own.
    #[arg(long)]
    rocksdb: bool,
    /// Only the JSON object, no text.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum BlockSize {
    Small,
    Large,
}

impl BlockSize {
    fn size(self) -> Size {
        match self {
            Self::Small => Size::Small,
            Self::Large => Size::Large,
        }
    }
}

/// Runs `heddle bench executor`.
pub fn run(args: &ExecutorArgs) -> Result<Value, Box<dyn Error>> {
    let stop = StopFlag::listen()?;
    let threads = args.threads.unwrap_or_else(|| available_parallelism().unwrap_or(NonZeroUsize::MIN));
    let plan = Plan::up_to(threads);
    let names = Vec::from_iter(NAMES.iter().filter(|name| args.workload.as_ref().is_none_or(|chosen| chosen == *name)));
    let mut progress = (!args.json).then(|| Progress::new("bench", names.len() as u64));
    let mut measured = Vec::new();
    for (done, name) in (0..).zip(names) {
        if let Some(progress) = &mut progress {
            progress.at(done, || (*name).to_owned());
        }
        if stop.is_raised() {
            return Err("stopped by a signal".into());
        }
        let figures = if args.rocksdb {
            measure_on_database(name, args.size.size(), &plan)
        } else {
            measure_in_memory(name, args.size.size(), &plan)
        };
        let figures = figures.map_err(|error| format!("{name}: {error}"))?;
        if let Some(progress) = &progress {
            progress.tell(&format!("{name}: {figures}\n"));
        }
        measured.push(figures.to_json(name));
    }
    let state = if args.rocksdb { "rocksdb" } else { "memory" };
    Ok(json!({ "state": state, "threads": threads, "workloads": measured }))
}

fn measure_in_memory(name: &str, size: Size, plan: &Plan) -> Result<Measurement, Box<dyn Error>> {
    let workload = workload(name, size)?;
    Ok(measure(&Case::new(&workload, &workload.state), plan)?)
}

fn measure_on_database(name: &str, size: Size, plan: &Plan) -> Result<Measurement, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let is_cold = name == STORAGE_READS;
    let mut workload = if is_cold { storage_reads(size, COLD_POPULATION) } else { workload(name, size)? };
    database::fill(directory.path(), &workload.state)?;
    // What is not read from the database shall not take memory from the system's cache of its files.
    workload.state = Default::default();
    let state = DatabaseState::open(directory.path(), is_cold)?;
    Ok(measure(&Case::new(&workload, &state), plan)?)
}

fn workload(name: &str, size: Size) -> Result<Workload, String> {
    by_name(name, size).ok_or_else(|| format!("there is no workload {name}"))
}
