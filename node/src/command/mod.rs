//! The command line. Each command prints text for people on stderr and one JSON object for programs as the last
//! line of stdout; a command that is asked for a document (a completion script, a manual page, a configuration) prints
//! nothing but that.

mod admin_options;
mod advice;
mod ask;
mod bench;
mod completions;
mod config;
mod db;
mod devnet;
mod doctor;
mod export;
mod genesis;
mod health;
mod help;
mod import;
mod init;
mod key;
mod man;
mod network_options;
mod node;
mod peers;
mod rpc_limit_options;
mod rpc_options;
mod rpc_turn_options;
mod sign_state;
mod snapshot;
mod status;
mod sync_options;
mod telemetry_options;
mod validators;
mod why;

pub use ask::{AskError, ask_within};
pub use node::{NodeArgs, Prospect, rpc_url as node_rpc_url};
pub use sync_options::{BackfillMode, SyncMode, SyncOptions};

use crate::config::with_precedence;
use clap::{CommandFactory, Parser, Subcommand};
use heddle_network::NetworkError;
use heddle_rpc::RpcError;
use std::error::Error;

/// A sovereign, EVM-compatible blockchain node with instant finality.
#[derive(Parser)]
#[command(name = "heddle", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a local chain with funded accounts, for development.
    Devnet(devnet::DevnetArgs),
    /// Run a node: a validator with a validator key, otherwise a full node.
    Node(Box<NodeArgs>),
    /// Write the genesis block into an empty data directory.
    Init(init::InitArgs),
    /// Replay and verify blocks from files.
    ///
    /// The files hold concatenated RLP: blocks, as geth exports them, when the chain is a plain Ethereum chain; blocks
    /// with their commit certificates, as `heddle export` writes them, when the genesis has a `heddle` section. Every
    /// rule is checked and every block executed; difficulty is taken as given, without a proof-of-work check.
    ///
    /// Blocks that the chain holds already are skipped: an import can be repeated, and goes on where another ended. At
    /// the first invalid block, or where a file is malformed, it stops, and keeps what came before.
    Import(import::ImportArgs),
    /// Write the chain's blocks to a file that `import` reads.
    ///
    /// The file holds concatenated RLP: blocks, as geth exports them, when the chain is a plain Ethereum chain; blocks
    /// with their commit certificates when it is a Heddle chain. It appears under its name when it is whole.
    Export(export::ExportArgs),
    /// Measure this machine.
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Look after the database of a node that does not run.
    #[command(subcommand)]
    Db(db::DbCommand),
    /// Write a chain's state to a file, check such a file, or begin a chain with it.
    #[command(subcommand)]
    Snapshot(snapshot::SnapshotCommand),
    /// Make the files of a new network.
    #[command(subcommand)]
    Genesis(genesis::GenesisCommand),
    /// Ask a running node whether it is alive, or ready: for supervisors; succeeds only if it is.
    Health(health::HealthArgs),
    /// List, add, remove and ban the peers of a running node, beside it.
    #[command(subcommand)]
    Peers(peers::PeersCommand),
    /// Show where nodes stand: heights, rounds, peers, lag, transactions.
    Status(status::StatusArgs),
    /// Answer why something is as it is, asking running nodes.
    #[command(subcommand)]
    Why(why::WhyCommand),
    /// Look for what is wrong on this machine, before a node starts or while it runs.
    ///
    /// Takes the options of `heddle node`, by `--config` too, and changes nothing but a file that it writes to the data
    /// directory and removes. Exit status 1 when there is a problem.
    Doctor(Box<doctor::DoctorArgs>),
    /// List the validators of a height, asking a running node.
    Validators(validators::ValidatorsArgs),
    /// Make, show, encrypt and import validator keys.
    ///
    /// A key file is its owner's alone (mode 0600, in a directory that nobody else can change), and so must be every file
    /// that a secret is read from. The sign state `<key file>.sign-state` beside it remembers what the key signed last: it
    /// must always go where the key goes.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Move what a validator's key signed last between machines.
    #[command(subcommand)]
    SignState(sign_state::SignStateCommand),
    /// Show the configuration of a node, or check a configuration file.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print a completion script for a shell.
    ///
    /// For this session: `source <(heddle completions bash)`. For every one: put its output where the shell looks, such as
    /// /etc/bash_completion.d/heddle.
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write one for every command.
    Man(man::ManArgs),
}

/// What a command gives to programs.
pub enum Output {
    /// Its result.
    Result(serde_json::Value),
    /// What was asked for, and nothing else.
    Document(String),
}

/// The whole command line, as it is parsed and as its help shows it.
pub fn program() -> clap::Command {
    let program = config::with_node_options(Cli::command());
    help::with_grouped_commands(with_precedence(program)).mut_subcommands(help::without_values_of_variables)
}

/// A command that did part of its work: the result is printed all the same, before the cause and a failing status.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct Incomplete {
    /// Why it stopped.
    pub cause: Box<dyn Error>,
    /// What it did, in the form that it has after success.
    pub result: serde_json::Value,
}

impl Cli {
    /// Runs the command to its end.
    ///
    /// # Errors
    /// One sentence that names the cause; as [`Incomplete`] when part of the work is done.
    pub fn run(self) -> Result<Output, Box<dyn Error>> {
        self.execute().map_err(advice::with_fix)
    }

    fn execute(self) -> Result<Output, Box<dyn Error>> {
        let result = match self.command {
            Command::Devnet(args) => devnet::run(args),
            Command::Node(args) => node::run(*args),
            Command::Init(args) => init::run(args),
            Command::Import(args) => import::run(args),
            Command::Export(args) => export::run(args),
            Command::Bench(command) => bench::run(command),
            Command::Db(command) => db::run(command),
            Command::Snapshot(command) => snapshot::run(command),
            Command::Genesis(command) => genesis::run(command),
            Command::Health(args) => health::run(args),
            Command::Peers(command) => peers::run(command),
            Command::Status(args) => return status::run(args),
            Command::Why(command) => why::run(command),
            Command::Doctor(args) => doctor::run(*args),
            Command::Validators(args) => validators::run(args),
            Command::Key(command) => key::run(command),
            Command::SignState(command) => sign_state::run(command),
            Command::Config(command) => return config::run(command),
            Command::Completions(args) => return Ok(completions::run(&args)),
            Command::Man(args) => return man::run(&args),
        };
        result.map(Output::Result)
    }
}

/// A busy port is the likeliest mistake of all: the error names the flag that avoids it.
fn name_port_flag(error: Box<dyn Error>, http_flag: &str) -> Box<dyn Error> {
    if let Some(RpcError::Bind { .. }) = error.downcast_ref() {
        return format!("{error}: choose another port with {http_flag}").into();
    }
    if let Some(NetworkError::Listen { .. }) = error.downcast_ref() {
        return format!("{error}: choose another port with --port").into();
    }
    error
}
