//! `heddle doctor`: what is wrong on this machine.

use super::{Incomplete, NodeArgs};
use crate::operator::{Level, doctor, observe, url_of};
use clap::Args;
use serde_json::{Value, json};
use std::error::Error;

/// Options of `heddle doctor`.
#[derive(Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Other nodes of the network to compare the clock, the genesis and the forks with, as URLs of their JSON-RPC [default: none].
    #[arg(id = "peers-rpc", long = "peers-rpc", value_name = "URL", value_delimiter = ',', help_heading = "Doctor")]
    peers_rpc: Vec<String>,
}

/// Runs `heddle doctor`.
pub fn run(args: DoctorArgs) -> Result<Value, Box<dyn Error>> {
    let prospect = args.node.prospect()?;
    let urls = args.peers_rpc.iter().map(|name| url_of(name)).collect::<Result<Vec<_>, _>>()?;
    let findings = doctor::examine(&prospect, &observe(&urls));
    for finding in &findings {
        finding.lines().for_each(|line| tell!("{line}"));
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (problems, warnings) = (count(Level::Problem), count(Level::Warning));
    let result = json!({ "problems": problems, "warnings": warnings, "findings": findings });
    match problems {
        0 => Ok(result),
        1 => Err(Incomplete { cause: "there is a problem: see above".into(), result }.into()),
        _ => Err(Incomplete { cause: format!("there are {problems} problems: see above").into(), result }.into()),
    }
}
