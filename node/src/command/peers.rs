//! `heddle peers`: whom a running node has for peers, seen and changed from beside it.

use super::ask::ask_with_token;
use crate::admin::AdminFile;
use clap::{Args, Subcommand, ValueHint};
use serde_json::{Value, json};
use std::error::Error;
use std::path::PathBuf;

/// Look after the peers of a running node.
#[derive(Subcommand)]
pub enum PeersCommand {
    /// List the peers that are connected, or all that the node knows.
    List {
        /// Those that are not connected, too: known, banned.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        node: NodeArgs,
    },
}

/// Which node is asked.
#[derive(Args)]
pub struct NodeArgs {
    /// The node's data directory, where it writes how to reach it.
    #[arg(long, env = "HEDDLE_DATADIR", value_name = "DIR", value_hint = ValueHint::DirPath)]
    datadir: PathBuf,
}

/// Runs `heddle peers`.
pub fn run(command: PeersCommand) -> Result<Value, Box<dyn Error>> {
    match command {
        PeersCommand::List { all, node } => list(&node, all),
    }
}

impl NodeArgs {
    /// Calls a method of the node's admin server; every error says what to do.
    fn call(&self, method: &str, params: Value) -> Result<Value, Box<dyn Error>> {
        let AdminFile { address, token } = AdminFile::read(&self.datadir)?;
        let file = AdminFile::path(&self.datadir);
        let file = file.display();
        ask_with_token(&format!("http://{address}"), &token, method, params).map_err(|error| {
            if error.is_nobody() {
                format!("nobody listens on {address}, which {file} names: the node was killed; start it again").into()
            } else if error.is_unauthorized() {
                format!("the node on {address} refuses the token of {file}: it is another's; name the right --datadir")
                    .into()
            } else {
                format!("the node on {address}: {error}").into()
            }
        })
    }
}

/// Peers that are not connected are only listed on demand: there may be a thousand.
fn list(node: &NodeArgs, all: bool) -> Result<Value, Box<dyn Error>> {
    let info = node.call("admin_nodeInfo", json!([]))?;
    let mut peers = node.call("admin_peers", json!([]))?;
    if let Some(peers) = peers.as_array_mut() {
        peers.retain(|peer| all || peer["state"] == "ready" || peer["state"] == "connected");
    }
    print(&info, peers.as_array().map(Vec::as_slice).unwrap_or_default());
    Ok(json!({ "id": info["id"], "listenAddresses": info["listenAddresses"], "peers": peers }))
}

fn print(info: &Value, peers: &[Value]) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let addresses = info["listenAddresses"].as_array().map(Vec::as_slice).unwrap_or_default();
    for address in addresses {
        tell!("this node: {}", text(address));
    }
    tell!("{:<52}  {:<12}  {:<8}  {:>8}  {:<16}  ADDRESS", "PEER", "STATE", "DIALLED", "SCORE", "NAME");
    for peer in peers {
        let (id, name, address) = (text(&peer["id"]), text(&peer["name"]), text(&peer["addresses"][0]));
        let dialled = if peer["inbound"] == true { "by it" } else { "by us" };
        let score = peer["score"].as_f64().unwrap_or_default();
        tell!("{id:<52}  {:<12}  {dialled:<8}  {score:>8.1}  {name:<16}  {address}", state(peer));
    }
}

/// What is going on with a peer, and for how long it stays banned.
fn state(peer: &Value) -> String {
    match peer["bannedForSeconds"].as_u64() {
        Some(seconds) => format!("banned {}", time_text(seconds)),
        None => peer["state"].as_str().unwrap_or_default().to_owned(),
    }
}

/// A time in the largest unit that it has one of.
fn time_text(seconds: u64) -> String {
    let units = [(24 * 3_600, "d"), (3_600, "h"), (60, "m")];
    let unit = units.into_iter().find(|(unit, _)| seconds >= *unit);
    unit.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (seconds, text) in [(1, "1s"), (59, "59s"), (60, "1m"), (5_400, "1h"), (604_800, "7d")] {
            assert_eq!(time_text(seconds), text);
        }
    }
}
