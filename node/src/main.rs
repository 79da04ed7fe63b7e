//! The binary `heddle`: a sovereign, EVM-compatible blockchain in one process.
//!
//! This crate wires the others together and decides nothing itself. Every task, channel and capacity of a node
//! stands in [`wiring`]; the two ports of any pair of crates meet in [`adapters`].

/// Prints a line for people on stderr, as `eprintln!` does, but outlives whoever read it.
macro_rules! tell {
    ($($argument:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($argument)*);
    }};
}

mod adapters;
mod admin;
mod cache;
mod chain_file;
mod command;
mod config;
mod database;
mod execution;
mod genesis;
mod import;
mod keys;
mod operator;
mod progress;
mod shutdown;
mod snapshot;
mod telemetry;
mod wiring;

use clap::FromArgMatches;
use std::io::Write;
use std::process::ExitCode;

/// What one thread of the executor allocates another one frees: the system's allocator makes them wait for each other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match config::expand_arguments(std::env::args_os(), command::program()) {
        Ok(arguments) => arguments,
        Err(error) => return fail(&error),
    };
    let matches = config::command_with_overrides(command::program()).get_matches_from(arguments);
    let cli = match command::Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match cli.run() {
        Ok(result) => {
            print_result(&result);
            ExitCode::SUCCESS
        }
        Err(error) => {
            if let Some(incomplete) = error.downcast_ref::<command::Incomplete>() {
                print_result(&incomplete.result);
            }
            fail(error.as_ref())
        }
    }
}

fn print_result(result: &serde_json::Value) {
    // Nobody may be reading any more: that is no failure of the command.
    let _ = writeln!(std::io::stdout(), "{result}");
}

/// Every failure ends in one sentence on stderr and a non-zero exit status.
fn fail(error: &dyn std::error::Error) -> ExitCode {
    tell!("heddle: {error}");
    ExitCode::FAILURE
}
