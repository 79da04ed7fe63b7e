//! `heddle completions`: what a shell needs to complete commands and options.

use super::Output;
use clap::Args;
use clap_complete::{Shell, generate};

/// Options of `heddle completions`.
#[derive(Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Runs `heddle completions`.
pub fn run(args: &CompletionsArgs) -> Output {
    let mut script = Vec::new();
    generate(args.shell, &mut super::program(), "heddle", &mut script);
    Output::Document(String::from_utf8_lossy(&script).into_owned())
}
