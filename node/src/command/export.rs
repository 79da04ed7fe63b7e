//! `heddle export`: writes a chain's blocks to a file that `heddle import` reads.

use crate::chain_file::ChainFileWriter;
use crate::database;
use crate::progress::Progress;
use crate::shutdown::StopFlag;
use clap::{Args, ValueHint};
use heddle_chain::Chain;
use serde_json::{Value, json};
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

/// Options of `heddle export`.
#[derive(Args)]
pub struct ExportArgs {
    /// The data directory; no node may be running on it.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    datadir: PathBuf,
    /// The genesis file [default: the one that the database was last opened with].
    #[arg(long, value_name = "GENESIS", value_hint = ValueHint::FilePath)]
    chain: Option<PathBuf>,
    /// First block.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    from: u64,
    /// Last block [default: the head].
    #[arg(long, value_name = "NUMBER")]
    to: Option<u64>,
    /// The file to write; an existing one is replaced.
    #[arg(value_name = "FILE.rlp", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// Runs `heddle export`.
pub fn run(args: ExportArgs) -> Result<Value, Box<dyn Error>> {
    let started = Instant::now();
    let stop = StopFlag::listen()?;
    let chain = database::open_existing_chain(args.chain.as_deref(), database::open_existing(&args.datadir)?)?;
    let (from, to) = range(&chain, &args)?;
    let mut writer = ChainFileWriter::create(&args.file)?;
    let mut progress = Progress::new("export", to - from);
    let mut transactions = 0;
    for number in from..=to {
        if stop.is_raised() {
            return Err("stopped by a signal: nothing was written".into());
        }
        transactions += write_block(&chain, number, &mut writer)?;
        progress.at(number - from, || format!("block {number}"));
    }
    let bytes = writer.finish()?;
    drop(progress);
    let blocks = to - from + 1;
    tell!("exported blocks {from} to {to}, {transactions} transactions, {bytes} bytes to {}", args.file.display());
    Ok(json!({
        "file": args.file, "from": from, "to": to, "blocks": blocks, "txs": transactions, "bytes": bytes,
        "seconds": (started.elapsed().as_secs_f64() * 1e3).round() / 1e3,
    }))
}

fn range(chain: &Chain, args: &ExportArgs) -> Result<(u64, u64), Box<dyn Error>> {
    let head = chain.head().header.number;
    let (from, to) = (args.from, args.to.unwrap_or(head));
    if from > to || to > head {
        return Err(format!("blocks {from} to {to} are no range of this chain, whose head is block {head}").into());
    }
    let oldest = chain.blocks_from();
    if from < oldest {
        return Err(
            format!("block {from} is not in this database, which began with a state: its oldest is {oldest}").into()
        );
    }
    Ok((from, to))
}

/// Writes a block, and returns the number of its transactions.
fn write_block(chain: &Chain, number: u64, writer: &mut ChainFileWriter) -> Result<usize, Box<dyn Error>> {
    if chain.genesis().heddle().is_some() {
        let mut block = chain.finalized_block(number)?.ok_or_else(|| format!("block {number} has no certificate"))?;
        // A file is the same whoever writes it, and not every node still has the list.
        block.proposed.access_list = None;
        writer.write(&block)?;
        return Ok(block.proposed.block.body.transactions.len());
    }
    let stored = chain.block(number)?.ok_or_else(|| format!("block {number} is not in the database"))?;
    writer.write(&stored.block)?;
    Ok(stored.block.body.transactions.len())
}
