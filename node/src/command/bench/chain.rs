//! `heddle bench chain`: how fast blocks are imported, and where the time goes.

use super::workload::{TRANSACTIONS_PER_BLOCK, Workload};
use crate::chain_file::{ChainFileReader, ChainFileWriter};
use crate::import::{ImportSummary, import};
use crate::progress::Progress;
use crate::shutdown::StopFlag;
use clap::Args;
use heddle_chain::{BlockTemplate, Chain, ChainConfig, History, RecoveredBlock};
use heddle_primitives::{Block, Genesis};
use heddle_storage::{Database, DatabaseConfig, Table};
use serde_json::{Value, json};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

/// Every so many blocks, one is also imported by the baseline.
const BASELINE_SHARE: u64 = 10;

/// Options of `heddle bench chain`.
#[derive(Args)]
pub struct ChainArgs {
    /// Length of the chain.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    blocks: u64,
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

    reset_peak_memory();
    let database = Database::open(&directory.path().join("imported"), &DatabaseConfig::default())?;
    let chain = Chain::open(genesis.clone(), database.clone(), settings(false))?;
    let (summary, imported) = import(&chain, std::slice::from_ref(&file), History::Archive, &stop);
    imported?;
    let memory = peak_memory_bytes();
    // It holds a snapshot, which would keep dead rows alive.
    drop(chain);
    let sizes = Sizes::of(&database)?;
    let baseline = baseline(&genesis, directory.path(), &file, args.blocks.div_ceil(BASELINE_SHARE))?;
    let ratio = summary.mgas_per_second() / baseline.max(1e-9);
    if !args.json {
        tell!("{} blocks of {TRANSACTIONS_PER_BLOCK} transactions, {file_bytes} bytes", args.blocks);
        summary.tell();
        tell!("baseline, one block after the other and each synced: {baseline:.1} Mgas/s; ratio {ratio:.2}");
        sizes.tell();
        tell!("peak memory {} MiB", memory.map_or("unknown".to_owned(), |bytes| (bytes >> 20).to_string()));
    }
    Ok(report(&summary, &sizes, file_bytes, baseline, memory))
}

fn report(summary: &ImportSummary, sizes: &Sizes, file_bytes: u64, baseline: f64, memory: Option<u64>) -> Value {
    let rounded = |value: f64| (value * 1e3).round() / 1e3;
    let seconds = |duration: Duration| rounded(duration.as_secs_f64());
    json!({
        "blocks": summary.blocks,
        "txs": summary.transactions,
        "gasUsed": summary.gas_used,
        "seconds": seconds(summary.elapsed),
        "mgasPerSecond": rounded(summary.mgas_per_second()),
        "recoverySeconds": seconds(summary.recovery),
        "executionSeconds": seconds(summary.timings.execution),
        "stateRootSeconds": seconds(summary.timings.state_root),
        "commitSeconds": seconds(summary.timings.commit),
        "waitingSeconds": seconds(summary.waiting),
        "threads": rayon::current_num_threads(),
        "baselineMgasPerSecond": rounded(baseline),
        "ratio": rounded(summary.mgas_per_second() / baseline.max(1e-9)),
        "accounts": sizes.accounts,
        "stateBytesPerAccount": rounded(sizes.state_bytes as f64 / sizes.accounts.max(1) as f64),
        "databaseBytes": sizes.database_bytes,
        "fileBytes": file_bytes,
        "peakMemoryBytes": memory,
    })
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

/// Starts the measurement of peak memory anew, where the system can do that.
fn reset_peak_memory() {
    // Linux: 5 resets the peak. Elsewhere the peak is that of the whole run.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that the process has held, if the system tells.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
