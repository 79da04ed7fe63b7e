//! `heddle snapshot`: a state in a file.

use crate::cache::CacheSize;
use crate::database;
use crate::progress::Progress;
use crate::shutdown::StopFlag;
use crate::snapshot::{self, Counts, Restore};
use clap::{Args, Subcommand, ValueHint};
use heddle_chain::{Chain, ChainConfig};
use heddle_primitives::{Checkpoint, Genesis, SealedHeader};
use serde_json::{Value, json};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Write a chain's state to a file, check such a file, or begin a chain with it.
#[derive(Subcommand)]
pub enum SnapshotCommand {
    /// Write the state of a node to a file; the node may be running, and is not held up.
    ///
    /// The file holds the last block's state in compressed chunks, each with its SHA-256 and its proofs, and what proves
    /// to whoever has the genesis file that this block is final. It appears under its name when it is whole.
    Create(CreateArgs),
    /// Check a file whole, without a database.
    ///
    /// Whatever could be wrong is: checksums, what leads from genesis to the block, every piece of the state, and whether
    /// all of it is there. The first chunk that is wrong is named.
    Verify(VerifyArgs),
    /// Begin a chain with the state in a file.
    ///
    /// Every piece is checked as a peer's would be, and the chain takes the whole state or none. When it is interrupted,
    /// run it again: it goes on where it was.
    Restore(RestoreArgs),
}

/// Options of `heddle snapshot create`.
#[derive(Args)]
pub struct CreateArgs {
    /// The data directory.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    datadir: PathBuf,
    /// The genesis file [default: the one that the database was last opened with].
    #[arg(long, value_name = "GENESIS", value_hint = ValueHint::FilePath)]
    chain: Option<PathBuf>,
    /// The block whose state is wanted; it must be the last one [default: the last one].
    #[arg(long, value_name = "NUMBER")]
    height: Option<u64>,
    /// The file to write; an existing one is replaced.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// What a file is held against.
#[derive(Args)]
pub struct Against {
    /// The genesis file.
    #[arg(long, value_name = "GENESIS", value_hint = ValueHint::FilePath)]
    chain: PathBuf,
    /// A block that must be on the chain, from a source that you trust [default: none].
    ///
    /// The end of an epoch, the file's own block, or one of the 256 before it.
    #[arg(long, value_name = "HEIGHT:HASH")]
    checkpoint: Option<Checkpoint>,
    /// The file.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// Options of `heddle snapshot verify`.
#[derive(Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    against: Against,
}

/// Options of `heddle snapshot restore`.
#[derive(Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    against: Against,
    /// The data directory, which must hold no blocks; made when absent.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    datadir: PathBuf,
    /// Leave a chain that has blocks already as it is, and end well: for what runs before every start of a node.
    #[arg(long)]
    if_empty: bool,
    /// Memory for caches of the database, in MiB [16 to 1048576].
    #[arg(long, value_name = "MIB", default_value_t)]
    cache: CacheSize,
}

/// Runs `heddle snapshot`.
pub fn run(command: SnapshotCommand) -> Result<Value, Box<dyn Error>> {
    let stop = StopFlag::listen()?;
    match command {
        SnapshotCommand::Create(args) => create(&args, &stop),
        SnapshotCommand::Verify(args) => verify(&args.against, &stop),
        SnapshotCommand::Restore(args) => restore(&args, &stop),
    }
}

fn create(args: &CreateArgs, stop: &StopFlag) -> Result<Value, Box<dyn Error>> {
    let started = Instant::now();
    let chain = database::open_chain_read_only(args.chain.as_deref(), &args.datadir)?;
    require_head(&chain, args.height)?;
    let mut shown = Shown::default();
    let (head, counts, bytes) = snapshot::create(&chain, &args.file, stop, &mut |what, done| shown.at(what, done))?;
    drop(shown);
    tell!("wrote the state of block {} to {}, {bytes} bytes", head.header.number, args.file.display());
    Ok(result(&args.file, &head.header, counts, bytes, started))
}

/// Only the last state can be proven without putting others back.
fn require_head(chain: &Chain, height: Option<u64>) -> Result<(), Box<dyn Error>> {
    let head = chain.head().header.number;
    match height.filter(|height| *height != head) {
        None => Ok(()),
        Some(height) => {
            let cause = format!(
                "the database is at block {head}: the state of block {height} cannot be written, only that one"
            );
            Err(cause.into())
        }
    }
}

fn verify(against: &Against, stop: &StopFlag) -> Result<Value, Box<dyn Error>> {
    let started = Instant::now();
    let Against { chain, checkpoint, file } = against;
    let genesis = Genesis::read(chain)?;
    let mut shown = Shown::default();
    let (trusted, counts) =
        snapshot::verify(file, &genesis, *checkpoint, stop, &mut |what, done| shown.at(what, done))?;
    drop(shown);
    let header = trusted.base.pivot.header();
    tell!("{} holds the whole state of block {} ({})", file.display(), header.number, header.seal());
    Ok(result(file, header, counts, bytes_of(file), started))
}

fn restore(args: &RestoreArgs, stop: &StopFlag) -> Result<Value, Box<dyn Error>> {
    let started = Instant::now();
    let Against { chain, checkpoint, file } = &args.against;
    let config = ChainConfig { snapshot_interval: 0, ..args.cache.chain() };
    let chain = database::open_chain(Genesis::read(chain)?, &args.datadir, args.cache, config)?;
    let is_wanted = !args.if_empty || chain.is_at_genesis();
    let head = match is_wanted {
        true => {
            let mut shown = Shown::default();
            let (datadir, checkpoint, cache) = (&*args.datadir, *checkpoint, args.cache);
            let options = Restore { chain: &chain, datadir, checkpoint, cache, stop };
            snapshot::restore(file, &options, &mut |what, done| shown.at(what, done))?
        }
        false => chain.head(),
    };
    let begins = if is_wanted { "begins with" } else { "stays at" };
    tell!("the chain in {} {begins} block {} ({})", args.datadir.display(), head.header.number, head.hash());
    Ok(json!({
        "file": file, "number": head.header.number, "hash": head.hash(), "stateRoot": head.header.state_root,
        "bytes": bytes_of(file), "seconds": seconds(started), "restored": is_wanted,
    }))
}

fn bytes_of(file: &Path) -> u64 {
    file.metadata().map(|metadata| metadata.len()).unwrap_or_default()
}

fn result(file: &Path, header: &SealedHeader, counts: Counts, bytes: u64, started: Instant) -> Value {
    json!({
        "file": file, "number": header.number, "hash": header.seal(), "stateRoot": header.state_root,
        "accounts": counts.accounts, "slots": counts.slots, "codes": counts.codes, "chunks": counts.chunks,
        "bytes": bytes, "seconds": seconds(started),
    })
}

fn seconds(started: Instant) -> f64 {
    (started.elapsed().as_secs_f64() * 1e3).round() / 1e3
}

/// The progress of what is being done now.
#[derive(Default)]
struct Shown(Option<(&'static str, Progress)>);

impl Shown {
    fn at(&mut self, what: &'static str, thousandths: u64) {
        if self.0.as_ref().is_none_or(|(shown, _)| *shown != what) {
            self.0 = Some((what, Progress::new(what, 1_000)));
        }
        if let Some((_, progress)) = &mut self.0 {
            progress.at(thousandths, String::new);
        }
    }
}
