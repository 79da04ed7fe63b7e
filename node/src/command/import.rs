//! `heddle import`: replays and verifies blocks from files.

use super::Incomplete;
use crate::cache::CacheSize;
use crate::database;
use crate::execution::{Execution, ModeArg, parse_threads};
use crate::import::import;
use crate::shutdown::StopFlag;
use clap::{Args, ValueHint};
use heddle_chain::{ChainConfig, History};
use heddle_primitives::Genesis;
use serde_json::Value;
use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Options of `heddle import`.
#[derive(Args)]
pub struct ImportArgs {
    /// The genesis file, in geth's JSON form.
    #[arg(long, value_name = "GENESIS", value_hint = ValueHint::FilePath)]
    chain: PathBuf,
    /// The data directory; made when absent.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    datadir: PathBuf,
    /// How transactions are executed; every mode gives the same bytes.
    #[arg(long, value_enum, default_value_t)]
    mode: ModeArg,
    /// Threads for recovering senders, executing and computing roots [1 to 1024; default: one a core].
    #[arg(long, value_name = "COUNT", value_parser = parse_threads)]
    threads: Option<NonZeroUsize>,
    /// Memory for caches of state, code and the database, in MiB [16 to 1048576].
    #[arg(long, value_name = "MIB", default_value_t)]
    cache: CacheSize,
    /// Past states to keep: `archive`, or `full(N)` for those of the last N blocks.
    #[arg(long, value_name = "HISTORY", default_value_t)]
    history: History,
    /// Files of blocks, imported in this order.
    #[arg(required = true, value_name = "FILE.rlp", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
}

/// Runs `heddle import`.
pub fn run(args: ImportArgs) -> Result<Value, Box<dyn Error>> {
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build_global()?;
    }
    let stop = StopFlag::listen()?;
    let genesis = Genesis::read(&args.chain)?;
    let execution = Execution { mode: args.mode, threads: args.threads };
    let config = ChainConfig { commits_synced: false, ..execution.apply(args.cache.chain()) };
    let chain = database::open_chain(genesis, &args.datadir, args.cache, config)?;
    let (summary, result) = import(&chain, &args.files, args.history, &stop);
    summary.tell();
    let object = summary.result(&chain.head());
    match result {
        Ok(()) => Ok(object),
        Err(cause) => Err(Incomplete { cause, result: object }.into()),
    }
}
