//! `heddle bench chain`: how fast blocks are imported, and where the time goes.

use super::memory::{peak_memory_bytes, reset_peak_memory};
use super::stages;
use super::workload::{TRANSACTIONS_PER_BLOCK, Workload};
use crate::chain_file::{ChainFileReader, ChainFileWriter};
use crate::import::{ImportSummary, import};
use crate::progress::Progress;
use crate::shutdown::StopFlag;
use clap::Args;
use heddle_chain::{BlockTemplate, Chain, ChainConfig, History, RecoveredBlock};
use heddle_primitives::{Block, Genesis};
use heddle_storage::{Database, DatabaseConfig, Table};
use rayon::ThreadPoolBuilder;
use serde_json::{Value, json};
use std::error::Error;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

/// Every so many blocks, one is also imported by the baseline.
const BASELINE_SHARE: u64 = 10;

/// Options of `heddle bench chain`.
#[derive(Args)]
pub struct ChainArgs {
    /// Length of the chain, in blocks [1 to 1000000].
    #[arg(long, value_name = "BLOCKS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    blocks: u64,
    /// Threads of the import that is compared with one on one thread [1 to 1024; default: one a core].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Only the JSON object, no text.
    #[arg(long)]
    json: bool,
}

/// Runs `heddle bench chain`.
pub fn run(args: &ChainArgs) -> Result<Value, Box<dyn Error>> {
    let stop = StopFlag::listen()?;
    let directory = tempfile::tempdir()?;
    let mut workload = Workload::new()?;
    let genesis = workload.genesis()?;
    let file = directory.path().join("chain.rlp");
    let file_bytes = generate(&mut workload, &genesis, directory.path(), &file, args, &stop)?;

    let threads = args.threads.map_or_else(rayon::current_num_threads, usize::from);
    let run = |name, threads| imported(&genesis, &directory.path().join(name), &file, threads, &stop);
    let in_turn = run("in-turn", 1)?.summary;
    let Imported { summary, sizes, memory } = run("imported", threads)?;
    let baseline = baseline(&genesis, directory.path(), &file, args.blocks.div_ceil(BASELINE_SHARE))?;
    if !args.json {
        tell!("{} blocks of {TRANSACTIONS_PER_BLOCK} transactions, {file_bytes} bytes", args.blocks);
        stages::tell(&in_turn, 1);
        stages::tell(&summary, threads);
        tell!("one thread takes {:.2} times as long as {threads}", ratio(&in_turn, &summary));
        tell!("baseline, one block after the other and each synced: {baseline:.1} Mgas/s");
        sizes.tell();
        tell!("peak memory {} MiB", memory.map_or("unknown".to_owned(), |bytes| (bytes >> 20).to_string()));
    }
    let rounded = |value: f64| (value * 1e3).round() / 1e3;
    Ok(json!({
        "blocks": summary.blocks,
        "txs": summary.transactions,
        "gasUsed": summary.gas_used,
        "seconds": stages::seconds(summary.elapsed),
        "mgasPerSecond": rounded(summary.mgas_per_second()),
        "threads": threads,
        "runs": [stages::report(&in_turn, 1), stages::report(&summary, threads)],
        "pipelineRatio": rounded(ratio(&in_turn, &summary)),
        "baselineMgasPerSecond": rounded(baseline),
        "ratio": rounded(summary.mgas_per_second() / baseline.max(1e-9)),
        "accounts": sizes.accounts,
        "stateBytesPerAccount": rounded(sizes.state_bytes as f64 / sizes.accounts.max(1) as f64),
        "databaseBytes": sizes.database_bytes,
        "fileBytes": file_bytes,
        "peakMemoryBytes": memory,
    }))
}

/// How many times as fast the second import was.
fn ratio(first: &ImportSummary, second: &ImportSummary) -> f64 {
    first.elapsed.as_secs_f64() / second.elapsed.as_secs_f64().max(1e-9)
}

/// One import of the whole file.
struct Imported {
    summary: ImportSummary,
    sizes: Sizes,
    memory: Option<u64>,
}

/// Imports the file into a database of its own, on so many threads: with one, every stage takes its turn.
fn imported(
    genesis: &Genesis,
    directory: &Path,
    file: &Path,
    threads: usize,
    stop: &StopFlag,
) -> Result<Imported, Box<dyn Error>> {
    reset_peak_memory();
    let database = Database::open(directory, &DatabaseConfig::default())?;
    let config = ChainConfig { execution_threads: NonZeroUsize::new(threads), ..settings(false) };
    let chain = Chain::open(genesis.clone(), database.clone(), config)?;
    let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(|index| format!("import-{index}")).build()?;
    let files = [file.to_owned()];
    let (summary, result) = pool.install(|| {
        let (summary, result) = import(&chain, &files, History::Archive, stop);
        (summary, result.map_err(|error| error.to_string()))
    });
    result?;
    let memory = peak_memory_bytes(Path::new("/proc/self"));
    // It holds a snapshot, which would keep dead rows alive.
    drop(chain);
    Ok(Imported { summary, sizes: Sizes::of(&database)?, memory })
}

fn open(genesis: &Genesis, directory: &Path, commits_synced: bool) -> Result<Chain, Box<dyn Error>> {
    let database = Database::open(directory, &DatabaseConfig::default())?;
    Ok(Chain::open(genesis.clone(), database, settings(commits_synced))?)
}

fn settings(commits_synced: bool) -> ChainConfig {
    ChainConfig { commits_synced, ..ChainConfig::default() }
}

/// Makes the chain in a database of its own, writes its blocks to a file, and returns the file's length.
fn generate(
    workload: &mut Workload,
    genesis: &Genesis,
    directory: &Path,
    file: &Path,
    args: &ChainArgs,
    stop: &StopFlag,
) -> Result<u64, Box<dyn Error>> {
    let chain = open(genesis, &directory.join("generated"), false)?;
    let mut writer = ChainFileWriter::create(file)?;
    let mut progress = (!args.json).then(|| Progress::new("generate", args.blocks));
    for number in 1..=args.blocks {
        if stop.is_raised() {
            return Err("stopped by a signal".into());
        }
        let timestamp = chain.head().header.timestamp + 12;
        let template = BlockTemplate { timestamp, transactions: workload.next_block()?, ..BlockTemplate::default() };
        let block = chain.assemble(template)?;
        writer.write(&*block)?;
        chain.import(&RecoveredBlock::recover(chain.rules(), block)?)?;
        if let Some(progress) = &mut progress {
            progress.at(number, || format!("block {number}"));
        }
    }
    Ok(writer.finish()?)
}

/// Mgas/s of importing the first blocks the plain way: decode, recover, execute, write and sync, one after the other.
fn baseline(genesis: &Genesis, directory: &Path, file: &Path, blocks: u64) -> Result<f64, Box<dyn Error>> {
    let chain = open(genesis, &directory.join("baseline"), true)?;
    let mut reader = ChainFileReader::open(file)?;
    let mut gas_used = 0;
    let started = Instant::now();
    for _ in 0..blocks {
        let Some(item) = reader.next_item()? else { break };
        let block: Block = alloy_rlp::decode_exact(&item.rlp)?;
        gas_used += block.header.gas_used;
        chain.import(&RecoveredBlock::recover(chain.rules(), block)?)?;
    }
    Ok(gas_used as f64 / 1e6 / started.elapsed().as_secs_f64())
}

/// What the imported chain takes on disk, without dead rows.
struct Sizes {
    accounts: u64,
    /// Accounts, slots, code and trie of the last state.
    state_bytes: u64,
    /// All tables.
    database_bytes: u64,
}

impl Sizes {
    fn of(database: &Database) -> Result<Self, Box<dyn Error>> {
        Table::ALL.into_iter().try_for_each(|table| database.compact(table))?;
        let stats = database.stats()?;
        let bytes = |tables: &[Table]| {
            let chosen = stats.iter().filter(|stats| tables.contains(&stats.table));
            chosen.map(|stats| stats.file_bytes).sum()
        };
        Ok(Self {
            accounts: database.table_stats(Table::Accounts)?.rows_estimate,
            state_bytes: bytes(&[Table::Accounts, Table::Storage, Table::Code, Table::TrieNodes]),
            database_bytes: bytes(&Table::ALL),
        })
    }

    fn tell(&self) {
        let Self { accounts, state_bytes, database_bytes } = self;
        tell!(
            "{accounts} accounts, {} bytes of state each (slots, code and trie included), {} MiB of database with history",
            state_bytes / (*accounts).max(1),
            database_bytes >> 20
        );
    }
}
