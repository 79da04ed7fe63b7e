//! `heddle bench sync`: how fast a new node comes to the head of a chain, beside copying the database and importing the
//! blocks from a file.

mod growth;

use super::processes::{Cost, NodeProcess, free_port, run as run_command};
use super::stages::seconds;
use crate::keys;
use crate::progress::Progress;
use crate::shutdown::StopFlag;
use alloy_primitives::B256;
use clap::Args;
use growth::Growth;
use heddle_chain::{Chain, ChainConfig};
use heddle_storage::{Database, DatabaseConfig, Table};
use serde_json::{Value, json};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Options of `heddle bench sync`.
#[derive(Args)]
pub struct SyncArgs {
    /// Sizes of the states, in accounts, separated by commas [1 to 100000000].
    ///
    /// An eighth of the accounts are contracts with four slots.
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', default_values_t = [100_000, 1_000_000], value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    accounts: Vec<u64>,
    /// Where the databases go [default: the system's directory for temporary files].
    ///
    /// They take about 3 KB an account.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    dir: Option<PathBuf>,
    /// Only the JSON object, no text.
    #[arg(long)]
    json: bool,
}

/// Runs `heddle bench sync`.
pub fn run(args: &SyncArgs) -> Result<Value, Box<dyn Error>> {
    let stop = StopFlag::listen()?;
    let mut results = Vec::new();
    for accounts in &args.accounts {
        let directory = match &args.dir {
            Some(dir) => tempfile::tempdir_in(dir)?,
            None => tempfile::tempdir()?,
        };
        let served = Served::make(directory.path(), *accounts, !args.json, &stop)?;
        let measured = served.measure(&stop)?;
        if !args.json {
            measured.tell(&served);
        }
        results.push(measured.report(&served));
    }
    Ok(json!({ "sizes": results }))
}

/// A chain, to be served.
struct Served {
    directory: PathBuf,
    genesis: PathBuf,
    datadir: PathBuf,
    height: u64,
    hash: B256,
    accounts: u64,
    slots: u64,
    gas_used: u64,
    database_bytes: u64,
}

impl Served {
    fn make(directory: &Path, accounts: u64, show: bool, stop: &StopFlag) -> Result<Self, Box<dyn Error>> {
        let mut growth = Growth::new()?;
        let (genesis_file, datadir) = (directory.join("genesis.json"), directory.join("served"));
        let genesis = growth.genesis()?;
        fs::write(&genesis_file, genesis.to_json()?)?;
        keys::file::create_directory(&datadir)?;
        let database = Database::open(&datadir.join("db"), &DatabaseConfig::default())?;
        let config = ChainConfig { commits_synced: false, ..ChainConfig::default() };
        let chain = Chain::open(genesis, database.clone(), config)?;
        growth.grow(&chain, Growth::blocks(accounts), show, stop)?;
        chain.sync()?;
        let head = chain.head();
        let (height, hash) = (head.header.number, head.hash());
        let gas_used = (1..=height).map(|number| Ok(chain.block(number)?.map_or(0, |block| block.header.gas_used)));
        let gas_used = gas_used.sum::<Result<u64, heddle_chain::ChainError>>()?;
        drop((head, chain));
        let rows = |table| Ok::<_, Box<dyn Error>>(database.table_stats(table)?.rows_estimate);
        let (accounts, slots) = (rows(Table::Accounts)?, rows(Table::Storage)?);
        let mut progress = show.then(|| Progress::new("compact", Table::ALL.len() as u64));
        for (done, table) in (0..).zip(Table::ALL) {
            database.compact(table)?;
            if let Some(progress) = &mut progress {
                progress.at(done, || table.name().to_owned());
            }
        }
        drop(database);
        let database_bytes = directory_bytes(&datadir.join("db"))?;
        let directory = directory.to_owned();
        Ok(Self { directory, genesis: genesis_file, datadir, height, hash, accounts, slots, gas_used, database_bytes })
    }

    fn measure(&self, stop: &StopFlag) -> Result<Measured, Box<dyn Error>> {
        let stopped = || if stop.is_raised() { Err("stopped by a signal") } else { Ok(()) };
        let copy = self.copy()?;
        stopped()?;
        let state = self.join("state", &["--sync", "snapshot"])?;
        stopped()?;
        let blocks = self.join("blocks", &["--sync", "full"])?;
        stopped()?;
        Ok(Measured { copy, state, blocks, import: self.import()? })
    }

    /// How long it takes to copy the whole database, and until the copy is on the disk.
    fn copy(&self) -> Result<Duration, Box<dyn Error>> {
        let target = self.directory.join("copy");
        let started = Instant::now();
        let copied = Command::new("cp").arg("-r").arg(self.datadir.join("db")).arg(&target).status()?;
        let synced = Command::new("sync").arg("-f").arg(&target).status()?;
        let elapsed = started.elapsed();
        if !copied.success() || !synced.success() {
            return Err("the database could not be copied".into());
        }
        fs::remove_dir_all(target)?;
        Ok(elapsed)
    }

    /// How long a new node takes from its start until it has the head, from one that serves it.
    fn join(&self, name: &str, options: &[&str]) -> Result<Joined, Box<dyn Error>> {
        let port = free_port()?;
        let node_key = keys::load_or_create_node_key(&self.datadir.join("node.key"))?;
        // How fast a node can join is measured, not how far the one that serves it holds back.
        let unbounded = ["--snapshot.bandwidth", "10000", "--snapshot.share", "100"];
        let server = NodeProcess::start(&self.genesis, &self.datadir, port, &unbounded)?;
        let bootnode = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", node_key.peer_id());
        let before = server.cost();
        let datadir = self.directory.join(name);
        let started = Instant::now();
        let options = [&["--bootnodes", &bootnode], options].concat();
        let mut node = NodeProcess::start(&self.genesis, &datadir, free_port()?, &options)?;
        node.wait_for(self.height, self.hash)?;
        let elapsed = started.elapsed();
        let (own, server) = (node.cost(), server.cost().processor.saturating_sub(before.processor));
        drop(node);
        fs::remove_dir_all(datadir)?;
        Ok(Joined { elapsed, own, server })
    }

    /// How long importing the same blocks from a file takes.
    fn import(&self) -> Result<Duration, Box<dyn Error>> {
        let text = |path: &Path| path.display().to_string();
        let (file, datadir) = (self.directory.join("blocks.rlp"), self.directory.join("imported"));
        run_command(&["export", "--datadir", &text(&self.datadir), &text(&file)])?;
        let started = Instant::now();
        run_command(&["import", "--chain", &text(&self.genesis), "--datadir", &text(&datadir), &text(&file)])?;
        let elapsed = started.elapsed();
        fs::remove_dir_all(datadir)?;
        Ok(elapsed)
    }
}

/// One node's way to the head.
struct Joined {
    /// From the start of its process.
    elapsed: Duration,
    own: Cost,
    /// Processor time of the node that served it.
    server: Duration,
}

/// All of one size.
struct Measured {
    copy: Duration,
    state: Joined,
    blocks: Joined,
    import: Duration,
}

impl Measured {
    fn tell(&self, served: &Served) {
        let shown = |duration: Duration| format!("{:.2} s", duration.as_secs_f64());
        let mebibytes = served.database_bytes >> 20;
        tell!(
            "{} accounts, {} slots, {} blocks, database of {mebibytes} MiB",
            served.accounts,
            served.slots,
            served.height
        );
        tell!("  copy of the database {}", shown(self.copy));
        for (what, joined) in [("state sync", &self.state), ("block sync", &self.blocks)] {
            tell!(
                "  {what} {}; processor time {} and {} of the server; peak memory {} MiB",
                shown(joined.elapsed),
                shown(joined.own.processor),
                shown(joined.server),
                joined.own.peak_memory_bytes >> 20
            );
        }
        tell!("  import of the same blocks {}", shown(self.import));
        let ratio = self.import.as_secs_f64() / self.blocks.elapsed.as_secs_f64().max(1e-9);
        let copies = self.state.elapsed.as_secs_f64() / self.copy.as_secs_f64().max(1e-9);
        tell!(
            "  state sync takes {copies:.1} times as long as the copy; block sync is {ratio:.2} times as fast as import"
        );
    }

    fn report(&self, served: &Served) -> Value {
        let ratio =
            |one: Duration, other: Duration| (one.as_secs_f64() / other.as_secs_f64().max(1e-9) * 1e3).round() / 1e3;
        let per_second =
            |amount: f64, duration: Duration| (amount / duration.as_secs_f64().max(1e-9) * 1e3).round() / 1e3;
        let joined = |joined: &Joined| {
            json!({
                "seconds": seconds(joined.elapsed),
                "processorSeconds": seconds(joined.own.processor),
                "serverProcessorSeconds": seconds(joined.server),
                "peakMemoryBytes": joined.own.peak_memory_bytes,
            })
        };
        let (mut state, mut blocks) = (joined(&self.state), joined(&self.blocks));
        state["accountsPerSecond"] = json!(per_second(served.accounts as f64, self.state.elapsed));
        state["megabytesPerSecond"] = json!(per_second(served.database_bytes as f64 / 1e6, self.state.elapsed));
        blocks["blocksPerSecond"] = json!(per_second(served.height as f64, self.blocks.elapsed));
        blocks["mgasPerSecond"] = json!(per_second(served.gas_used as f64 / 1e6, self.blocks.elapsed));
        json!({
            "accounts": served.accounts,
            "slots": served.slots,
            "blocks": served.height,
            "databaseBytes": served.database_bytes,
            "copySeconds": seconds(self.copy),
            "importSeconds": seconds(self.import),
            "stateSync": state,
            "blockSync": blocks,
            "stateSyncToCopy": ratio(self.state.elapsed, self.copy),
            "blockSyncToImport": ratio(self.import, self.blocks.elapsed),
        })
    }
}

fn directory_bytes(directory: &Path) -> std::io::Result<u64> {
    fs::read_dir(directory)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}
