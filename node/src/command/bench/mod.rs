//! `heddle bench`: measurements of this machine, each beside a baseline of the same run.

mod chain;
mod executor;
mod memory;
mod processes;
mod rpc;
mod stages;
mod sync;
mod workload;

use clap::Subcommand;
use serde_json::Value;
use std::error::Error;

/// Measure this machine.
#[derive(Subcommand)]
pub enum BenchCommand {
    /// Make a plain chain of transfers, ERC-20 transfers and contract creations, export it, and import it.
    Chain(chain::ChainArgs),
    /// Execute blocks of many kinds in every mode, beside a bare revm loop over the same state.
    Executor(executor::ExecutorArgs),
    /// Ask a node as fast as it answers, beside Anvil on the same blocks where that is installed.
    Rpc(rpc::RpcArgs),
    /// Bring new nodes to the head of a chain with many accounts, by its state and by its blocks.
    Sync(sync::SyncArgs),
}

/// Runs `heddle bench`.
pub fn run(command: BenchCommand) -> Result<Value, Box<dyn Error>> {
    match command {
        BenchCommand::Chain(args) => chain::run(&args),
        BenchCommand::Executor(args) => executor::run(&args),
        BenchCommand::Rpc(args) => rpc::run(&args),
        BenchCommand::Sync(args) => sync::run(&args),
    }
}
