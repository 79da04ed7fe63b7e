//! The command line. Each command prints text for people on stderr and one JSON object for programs as the last
//! line of stdout.

mod accounts;
mod devnet;
mod genesis;
mod init;
mod key;
mod node;

pub use node::NodeArgs;

use clap::{Parser, Subcommand};
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
    Node(NodeArgs),
    /// Write the genesis block into an empty data directory.
    Init(init::InitArgs),
    /// Make the files of a new network.
    #[command(subcommand)]
    Genesis(genesis::GenesisCommand),
    /// Make and show validator keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
}

impl Cli {
    /// Runs the command to its end; the JSON object is its result.
    ///
    /// # Errors
    /// One sentence that names the cause.
    pub fn run(self) -> Result<serde_json::Value, Box<dyn Error>> {
        match self.command {
            Command::Devnet(args) => devnet::run(args),
            Command::Node(args) => node::run(args),
            Command::Init(args) => init::run(args),
            Command::Genesis(command) => genesis::run(command),
            Command::Key(command) => key::run(command),
        }
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
