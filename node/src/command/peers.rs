//! `heddle peers`: whom a running node has for peers, seen and changed from beside it.

use super::ask::ask_with_token;
use super::network_options::parse_peer_address;
use crate::admin::{AdminFile, BAN_SECONDS};
use clap::{Args, Subcommand, ValueHint};
use heddle_network::{Multiaddr, PeerId};
use serde_json::{Value, json};
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

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
    /// Connect to a peer, and stay connected until the node stops or `remove` ends it.
    Add {
        /// Its address, ending in /p2p/<peer id>.
        #[arg(value_name = "ADDR", value_parser = parse_peer_address)]
        address: Multiaddr,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Disconnect a peer and forget it; it may come back by itself.
    Remove {
        #[command(flatten)]
        peer: PeerArgs,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Disconnect a peer and keep it away, also after a restart.
    Ban {
        #[command(flatten)]
        peer: PeerArgs,
        /// How long, for example 30m, 1h or 7d [1s to 365d].
        #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = parse_time)]
        time: Duration,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// End a peer's ban.
    Unban {
        #[command(flatten)]
        peer: PeerArgs,
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

/// Which peer is meant.
#[derive(Args)]
pub struct PeerArgs {
    /// The peer's id, as `heddle peers list` shows it.
    #[arg(value_name = "PEER")]
    peer: PeerId,
}

/// Runs `heddle peers`.
pub fn run(command: PeersCommand) -> Result<Value, Box<dyn Error>> {
    match command {
        PeersCommand::List { all, node } => list(&node, all),
        PeersCommand::Add { address, node } => {
            node.call("admin_addPeer", json!([address]))?;
            tell!("{address} is a peer of the node until it stops");
            Ok(json!({ "added": address }))
        }
        PeersCommand::Remove { peer: PeerArgs { peer }, node } => {
            let id = peer.to_string();
            let peers = node.call("admin_peers", json!([true]))?;
            let known = peers.as_array().is_some_and(|peers| peers.iter().any(|known| known["id"] == *id));
            node.call("admin_removePeer", json!([id]))?;
            tell!("{peer} {}", if known { "is removed" } else { "was not known" });
            Ok(json!({ "id": id, "removed": known }))
        }
        PeersCommand::Ban { peer: PeerArgs { peer }, time, node } => {
            node.call("admin_banPeer", json!([peer.to_string(), time.as_secs()]))?;
            tell!("{peer} is banned for {}", time_text(time.as_secs()));
            Ok(json!({ "id": peer.to_string(), "bannedForSeconds": time.as_secs() }))
        }
        PeersCommand::Unban { peer: PeerArgs { peer }, node } => {
            let banned = node.call("admin_unbanPeer", json!([peer.to_string()]))?;
            tell!("{peer} {}", if banned == true { "is banned no longer" } else { "was not banned" });
            Ok(json!({ "id": peer.to_string(), "unbanned": banned }))
        }
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
    let peers = node.call("admin_peers", json!([all]))?;
    print(&info, peers.as_array().map(Vec::as_slice).unwrap_or_default());
    Ok(json!({ "id": info["id"], "listenAddresses": info["listenAddresses"], "peers": peers }))
}

fn print(info: &Value, peers: &[Value]) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let addresses = info["listenAddresses"].as_array().map(Vec::as_slice).unwrap_or_default();
    for address in addresses {
        tell!("this node: {}", text(address));
    }
    tell!("{:<52}  {:<10}  {:<7}  {:<4}  {:>8}  {:<16}  ADDRESS", "PEER", "STATE", "DIALLED", "KEPT", "SCORE", "NAME");
    for peer in peers {
        let (id, name, address) = (text(&peer["id"]), text(&peer["name"]), text(&peer["addresses"][0]));
        let dialled = match (is_connected(peer), peer["inbound"] == true) {
            (false, _) => "",
            (true, false) => "by us",
            (true, true) => "by it",
        };
        let kept = if peer["persistent"] == true { "yes" } else { "" };
        let (state, score) = (state(peer), peer["score"].as_f64().unwrap_or_default());
        tell!("{id:<52}  {state:<10}  {dialled:<7}  {kept:<4}  {score:>8.1}  {name:<16}  {address}");
    }
}

fn is_connected(peer: &Value) -> bool {
    peer["state"] == "ready" || peer["state"] == "connected"
}

/// What is going on with a peer, and for how long it stays banned.
fn state(peer: &Value) -> String {
    match peer["bannedForSeconds"].as_u64() {
        Some(seconds) => format!("banned {}", time_text(seconds)),
        None => peer["state"].as_str().unwrap_or_default().to_owned(),
    }
}

/// Parses a time such as `30s`, `10m`, `1h` or `7d`.
///
/// # Errors
/// When the text has another form or lies outside a second to a year.
fn parse_time(text: &str) -> Result<Duration, String> {
    let accepted = || "expected 1s to 365d, for example 30m, 1h or 7d".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(accepted)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 24 * 3_600,
        _ => return Err(accepted()),
    };
    let time = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds));
    time.filter(|time| BAN_SECONDS.contains(time)).map(Duration::from_secs).ok_or_else(accepted)
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
        for (text, seconds) in [("1s", 1), ("30m", 1_800), ("1h", 3_600), ("7d", 604_800), ("365d", 31_536_000)] {
            assert_eq!(parse_time(text).map(|time| time.as_secs()), Ok(seconds), "{text}");
        }
        for text in ["", "s", "0s", "1", "1.5h", "-1h", "366d", "1w", "18446744073709551615d", "1\u{b5}"] {
            assert!(parse_time(text).unwrap_err().contains("365d"), "{text}");
        }
        for (seconds, text) in [(1, "1s"), (59, "59s"), (60, "1m"), (5_400, "1h"), (604_800, "7d")] {
            assert_eq!(time_text(seconds), text);
        }
    }
}
