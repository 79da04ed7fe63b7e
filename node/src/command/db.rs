//! `heddle db`: looking after a database.

use super::Incomplete;
use crate::database;
use crate::progress::Progress;
use crate::shutdown::StopFlag;
use clap::{Args, Subcommand, ValueHint};
use heddle_chain::{Chain, History};
use heddle_storage::{Database, Table, TableStats};
use serde_json::{Map, Value, json};
use std::error::Error;
use std::path::PathBuf;

/// Look after the database of a node that does not run.
#[derive(Subcommand)]
pub enum DbCommand {
    /// Show the size of every table.
    Stats(Place),
    /// Check every row: blocks, indices, state, tries, history.
    ///
    /// Everything is computed anew and compared with what is stored, which takes as long as reading the database and
    /// recovering all senders. Each damaged row is named; nothing is changed.
    Check(Place),
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
    match command {
        DbCommand::Stats(place) => stats(&place),
        DbCommand::Check(place) => check(&place),
        DbCommand::Prune { place, history } => prune(&place, history, &StopFlag::listen()?),
    }
}

fn stats(place: &Place) -> Result<Value, Box<dyn Error>> {
    let database = database::open_existing(&place.datadir)?;
    let chain = database::open_existing_chain(place.chain.as_deref(), database.clone())?;
    let (mut tables, mut bytes) = (Map::new(), 0);
    tell!("{:<20} {:>14} {:>16}", "table", "rows (about)", "bytes on disk");
    for TableStats { table, rows_estimate, file_bytes, memory_bytes } in database.stats()? {
        tell!("{:<20} {rows_estimate:>14} {file_bytes:>16}", table.name());
        let table_object = json!({ "rows": rows_estimate, "fileBytes": file_bytes, "memoryBytes": memory_bytes });
        tables.insert(table.name().to_owned(), table_object);
        bytes += file_bytes;
    }
    let (head, oldest) = (chain.head().header.number, oldest(&chain)?);
    let (headers_from, blocks_from) = (chain.headers_from(), chain.blocks_from());
    tell!("{bytes} bytes in all; the head is block {head}, the oldest state that of block {oldest}");
    if blocks_from > chain.genesis().header().number {
        tell!("the chain began with a state: its oldest header is {headers_from}, its oldest block {blocks_from}");
    }
    Ok(json!({
        "head": head, "oldest": oldest, "headersFrom": headers_from, "blocksFrom": blocks_from, "fileBytes": bytes,
        "tables": tables,
    }))
}

fn check(place: &Place) -> Result<Value, Box<dyn Error>> {
    let database = database::open_existing(&place.datadir)?;
    let chain = database::open_existing_chain(place.chain.as_deref(), database.clone())?;
    let mut shown: Option<(Table, Progress)> = None;
    let findings = chain.check(&mut |now| {
        if shown.as_ref().is_none_or(|(table, _)| *table != now.table) {
            let rows = database.table_stats(now.table).map(|stats| stats.rows_estimate).unwrap_or_default();
            shown = Some((now.table, Progress::new("check", rows.max(now.rows))));
        }
        if let Some((table, progress)) = &mut shown {
            progress.at(now.rows, || format!("table {}", table.name()));
        }
    })?;
    drop(shown);
    findings.first().iter().for_each(|finding| tell!("{finding}"));
    let listed: Vec<_> = findings.first().iter().map(ToString::to_string).collect();
    let head = chain.head().header.number;
    let result = json!({ "head": head, "findings": findings.count(), "first": listed });
    match findings.count() {
        0 => {
            tell!("all rows are sound, up to block {head}");
            Ok(result)
        }
        count => {
            let cause = format!("{count} findings: restore the database from a copy, or sync anew");
            Err(Incomplete { cause: cause.into(), result }.into())
        }
    }
}

fn prune(place: &Place, history: History, stop: &StopFlag) -> Result<Value, Box<dyn Error>> {
    let database = database::open_existing(&place.datadir)?;
    let chain = database::open_existing_chain(place.chain.as_deref(), database.clone())?;
    let before = oldest(&chain)?;
    let pruned = prune_steps(&chain, history, before, stop).and_then(|()| compact(&database, stop));
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

/// Gives the space of pruned rows back; without it RocksDB would do so over time.
fn compact(database: &Database, stop: &StopFlag) -> Result<(), Box<dyn Error>> {
    let tables = [Table::AccountHistory, Table::StorageHistory, Table::ChangeSets];
    let mut progress = Progress::new("compact", tables.len() as u64);
    for (done, table) in (0..).zip(tables) {
        progress.at(done, || table.name().to_owned());
        if stop.is_raised() {
            return Err("stopped by a signal: the states are pruned, their space is given back over time".into());
        }
        database.compact(table)?;
    }
    Ok(())
}

/// The oldest block whose state can be read.
fn oldest(chain: &Chain) -> Result<u64, Box<dyn Error>> {
    Ok(chain.prune_history(History::Archive)?.oldest)
}
