//! Asks nodes where they stand, all at once: a node that does not answer holds nobody up.

use super::nodes::{Facts, Failure, Node};
use crate::command::{AskError, ask_within, node_rpc_url};
use alloy_primitives::B256;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Name of a node's configuration in the directories that `heddle genesis create` makes.
const CONFIG_FILE: &str = "node.toml";
/// How long a node may take to answer: one that stands still must not hold up the others for long.
const TIMEOUT: Duration = Duration::from_secs(4);

/// The JSON-RPC that a URL, a node's configuration file or the directory of one names.
///
/// # Errors
/// What is wrong with the name or the file.
pub fn url_of(name: &str) -> Result<String, Box<dyn Error>> {
    if name.starts_with("http://") || name.starts_with("https://") {
        return Ok(name.to_owned());
    }
    let path = Path::new(name);
    if path.is_file() {
        return node_rpc_url(path);
    }
    // A data directory stands beside its node's configuration.
    let places = [path.join(CONFIG_FILE), path.parent().unwrap_or(path).join(CONFIG_FILE)];
    match places.iter().find(|place| path.is_dir() && place.is_file()) {
        Some(place) => node_rpc_url(place),
        None => {
            let expected = "expected a URL such as http://127.0.0.1:8545, a node.toml, or a directory that has one";
            Err(format!("`{name}` names no node: {expected}").into())
        }
    }
}

/// Asks nodes by the URLs of their JSON-RPC.
pub fn observe(urls: &[String]) -> Vec<Node> {
    let mut nodes = side_by_side(urls, |url| Node { name: url.clone(), answer: facts(url) });
    let lowest = |nodes: &[Node], chain: B256| {
        let heads = nodes.iter().filter_map(|node| node.answer.as_ref().ok());
        heads.filter(|facts| facts.status.genesis_hash == chain).map(Facts::head).min()
    };
    let hashes = side_by_side(&nodes, |node| {
        let facts = node.answer.as_ref().ok()?;
        let number = lowest(&nodes, facts.status.genesis_hash)?;
        Some((number, block_hash(&node.name, number)?))
    });
    for (node, hash) in nodes.iter_mut().zip(hashes) {
        if let Ok(facts) = &mut node.answer {
            facts.common = hash;
        }
    }
    nodes
}

/// One thread for each: they only wait.
fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let threads = Vec::from_iter(items.iter().map(|item| scope.spawn(|| work(item))));
        let join = |thread: std::thread::ScopedJoinHandle<'_, R>| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        threads.into_iter().map(join).collect()
    })
}

fn facts(url: &str) -> Result<Facts, Failure> {
    let (asked, start) = (unix_milliseconds(), Instant::now());
    let status: heddle_rpc::StatusReport = call(url, "heddle_status")?;
    let clock_error = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX) / 2;
    let clock_ahead = status.node.time.to::<u64>().wrapping_sub(asked.saturating_add(clock_error)).cast_signed();
    let consensus = call(url, "heddle_consensusState")?;
    Ok(Facts { status, consensus, common: None, clock_ahead, clock_error })
}

fn call<T: DeserializeOwned>(url: &str, method: &str) -> Result<T, Failure> {
    let result = ask_within(TIMEOUT, url, method, json!([])).map_err(|error| failure(&error))?;
    serde_json::from_value(result).map_err(|error| Failure {
        text: format!("its answer to {method} is not understood: {error}"),
        fix: "use the `heddle` of the node's version, and see that the URL is a Heddle node's",
    })
}

fn failure(error: &AskError) -> Failure {
    let (text, fix) = match error {
        error if error.is_nobody() => {
            ("nobody listens there".to_owned(), "start the node, with --http; or name the address of its JSON-RPC")
        }
        AskError::Refused(reason) if reason.contains("does not exist") => (
            "its JSON-RPC does not serve heddle_status".to_owned(),
            "start it with --http.api eth,net,web3,txpool,heddle; versions before 0.1 do not have it",
        ),
        AskError::Http(ureq::Error::Timeout(_)) => (
            "it takes the connection and does not answer".to_owned(),
            "look at the process: it may be stopped, out of memory, or waiting for its disk",
        ),
        error => (error.to_string(), "see that the URL is a node's JSON-RPC, and that this machine reaches it"),
    };
    Failure { text, fix }
}

fn block_hash(url: &str, number: u64) -> Option<B256> {
    let block = ask_within(TIMEOUT, url, "eth_getBlockByNumber", json!([format!("{number:#x}"), false])).ok()?;
    serde_json::from_value(block.get("hash").cloned().unwrap_or(Value::Null)).ok()
}

fn unix_milliseconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
