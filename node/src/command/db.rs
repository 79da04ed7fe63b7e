//! `heddle db`: looking after a database.

use super::Incomplete;
use crate::database;
use crate::progress::Progress;
use crate::shutdown::StopFlag;
use clap::{Args, Subcommand, ValueHint};
use heddle_chain::{Chain, History};
use serde_json::{Value, json};
use std::error::Error;
use std::path::PathBuf;

/// Look after the database of a node that does not run.
#[derive(Subcommand)]
pub enum DbCommand {
    /// Forget old states now, and give their space back.
    ///
    /// Blocks, receipts and transactions are kept. A node does the same by itself with its option `--history`.
    Prune {
        #[command(flatten)]
        place: Place,
        /// Past states to keep: `full(N)` (or `full:N`) for those of the last N blocks.
        #[arg(long, value_name = "HISTORY")]
        history: History,
    },
}

/// Which database.
#[derive(Args)]
pub struct Place {
    /// The data directory; no node may be running on it.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    datadir: PathBuf,
    /// The genesis file [default: the one that the database was last opened with].
    #[arg(long, value_name = "GENESIS", value_hint = ValueHint::FilePath)]
    chain: Option<PathBuf>,
}

/// Runs `heddle db`.
pub fn run(command: DbCommand) -> Result<Value, Box<dyn Error>> {
    let stop = StopFlag::listen()?;
    match command {
        DbCommand::Prune { place, history } => prune(&place, history, &stop),
    }
}

fn prune(place: &Place, history: History, stop: &StopFlag) -> Result<Value, Box<dyn Error>> {
    let chain = database::open_existing_chain(place.chain.as_deref(), database::open_existing(&place.datadir)?)?;
    let before = oldest(&chain)?;
    let pruned = prune_steps(&chain, history, before, stop);
    let oldest = oldest(&chain)?;
    let result = json!({ "head": chain.head().header.number, "oldest": oldest, "blocks": oldest - before });
    match pruned {
        Ok(()) => {
            tell!("the oldest state kept is that of block {oldest}; {} blocks were pruned", oldest - before);
            Ok(result)
        }
        Err(cause) => Err(Incomplete { cause, result }.into()),
    }
}

fn prune_steps(chain: &Chain, history: History, before: u64, stop: &StopFlag) -> Result<(), Box<dyn Error>> {
    let mut progress = Progress::new("prune", history.oldest(chain.head().header.number).saturating_sub(before));
    loop {
        let step = chain.prune_history(history)?;
        progress.at(step.oldest - before, || format!("block {}", step.oldest));
        if step.is_done() {
            return Ok(());
        }
        if stop.is_raised() {
            return Err("stopped by a signal: run it again to go on".into());
        }
    }
}

/// The oldest block whose state can be read.
fn oldest(chain: &Chain) -> Result<u64, Box<dyn Error>> {
    Ok(chain.prune_history(History::Archive)?.oldest)
}
