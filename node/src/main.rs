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
use command::Output;
use std::io::Write;
use std::process::ExitCode;

/// What one thread of the executor allocates another one frees: the system's allocator makes them wait for each other. What
/// a burst of work took, its background thread gives back to the system within seconds.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let program = command::program();
    let arguments = match config::expand_arguments(std::env::args_os().collect(), &program) {
        Ok(arguments) => arguments,
        Err(error) => return fail(error),
    };
    let cli = match program
        .clone()
        .try_get_matches_from(arguments)
        .and_then(|matches| command::Cli::from_arg_matches(&matches))
    {
        Ok(cli) => cli,
        Err(error) => return refuse(&program, &error),
    };
    match cli.run() {
        Ok(output) => {
            match output {
                Output::Result(result) => print_result(&result),
                Output::Document(text) => print(&text),
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            if let Some(incomplete) = error.downcast_ref::<command::Incomplete>() {
                print_result(&incomplete.result);
            }
            fail(error)
        }
    }
}

/// Ends as the parser wants it, also for `--help`; unless it was no user who set what it refuses.
fn refuse(program: &clap::Command, error: &clap::Error) -> ExitCode {
    let variables = config::environment::variables();
    match config::environment::service_in_place_of_option(program, &variables).filter(|_| error.use_stderr()) {
        Some(explained) => fail(explained),
        None => error.exit(),
    }
}

fn print_result(result: &serde_json::Value) {
    print(&format!("{result}\n"));
}

fn print(text: &str) {
    // Nobody may be reading any more: that is no failure of the command.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Every failure ends in one sentence on stderr and a non-zero exit status.
fn fail(error: impl std::fmt::Display) -> ExitCode {
    tell!("heddle: {error}");
    ExitCode::FAILURE
}
