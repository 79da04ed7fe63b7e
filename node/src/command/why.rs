//! `heddle why`: questions that are answered in sentences.

use super::Incomplete;
use crate::operator::{diagnose, observe, url_of};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::error::Error;

/// Ask nodes why something is as it is.
#[derive(Subcommand)]
pub enum WhyCommand {
    /// Why no blocks come: whose votes are missing at which height and round, since when, and what to do.
    ///
    /// One node knows who votes; where nodes may disagree, name several.
    Stalled(StalledArgs),
}

/// Options of `heddle why stalled`.
#[derive(Args)]
pub struct StalledArgs {
    /// Nodes: URLs of their JSON-RPC (with the namespace `heddle`), their node.toml, or directories that have one.
    #[arg(value_name = "URL|DIR", default_value = "http://127.0.0.1:8545")]
    nodes: Vec<String>,
}

/// Runs `heddle why`.
pub fn run(command: WhyCommand) -> Result<Value, Box<dyn Error>> {
    let WhyCommand::Stalled(args) = command;
    let urls = args.nodes.iter().map(|name| url_of(name)).collect::<Result<Vec<_>, _>>()?;
    let nodes = observe(&urls);
    let diagnosis = diagnose(&nodes);
    for finding in &diagnosis.findings {
        finding.lines().for_each(|line| tell!("{line}"));
    }
    let result = serde_json::to_value(&diagnosis)?;
    match nodes.iter().any(|node| node.answer.is_ok()) {
        true => Ok(result),
        false => Err(Incomplete { cause: "no node answers: start one, or name others".into(), result }.into()),
    }
}
