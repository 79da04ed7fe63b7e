//! `heddle import`: replays and verifies blocks from files.

use super::Incomplete;
use crate::cache::CacheSize;
use crate::database;
use crate::import::import;
use crate::shutdown::StopFlag;
use clap::{Args, ValueEnum, ValueHint};
use heddle_chain::{ChainConfig, ExecutionMode, History};
use heddle_primitives::Genesis;
use serde_json::Value;
use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Options of `heddle import`.
#[derive(Args)]
pub struct ImportArgs {
    /// The genesis file.
    #[arg(long, value_name = "GENESIS", value_hint = ValueHint::FilePath)]
    chain: PathBuf,
    /// The data directory; made when absent.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    datadir: PathBuf,
    /// How transactions are executed; every mode gives the same bytes.
    #[arg(long, value_enum, default_value = "sequential")]
    mode: ModeArg,
    /// Threads for recovering senders, executing and computing roots [default: one a core].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Memory for caches of state, code and the database, in MiB.
    #[arg(long, value_name = "MIB", default_value_t)]
    cache: CacheSize,
    /// Past states to keep: `archive`, or `full(N)` for those of the last N blocks.
    #[arg(long, value_name = "HISTORY", default_value_t)]
    history: History,
    /// Files of blocks, imported in this order.
    #[arg(required = true, value_name = "FILE.rlp", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
}

/// How transactions are executed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModeArg {
    /// On all threads.
    Parallel,
    /// One after the other.
    Sequential,
}

/// Runs `heddle import`.
pub fn run(args: ImportArgs) -> Result<Value, Box<dyn Error>> {
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
    }
    let stop = StopFlag::listen()?;
    let genesis = Genesis::read(&args.chain)?;
    let execution = match args.mode {
        ModeArg::Parallel => ExecutionMode::Parallel,
        ModeArg::Sequential => ExecutionMode::Sequential,
    };
    let execution_threads = args.threads.and_then(|threads| NonZeroUsize::new(threads.into()));
    let config = ChainConfig { commits_synced: false, execution, execution_threads, ..args.cache.chain() };
    let chain = database::open_chain(genesis, &args.datadir, args.cache, config)?;
    let (summary, result) = import(&chain, &args.files, args.history, &stop);
    summary.tell();
    let object = summary.result(&chain.head());
    match result {
        Ok(()) => Ok(object),
        Err(cause) => Err(Incomplete { cause, result: object }.into()),
    }
}
