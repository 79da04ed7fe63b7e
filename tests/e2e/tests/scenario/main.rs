//! One story, told on processes and in containers from the same description: a network starts, carries load, loses a
//! validator, gains a node, upgrades another, and all agree.
//!
//! `HEDDLE_PREVIOUS_BIN` names the build that is upgraded from; without it, that is a copy of the binary under test.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod compose;
mod processes;

use alloy_primitives::{Address, U256};
use compose::Compose;
use heddle_e2e::{Rpc, account, eventually, heddle, path_text, run, transfer, turn};
use processes::Processes;
use std::path::{Path, PathBuf};

/// The network before a node is added. Its ports are free here.
const DESCRIPTION: &str = "\
dev-accounts = 1
[validators]
count = 4
memory = \"512Mi\"
[rpc-nodes]
count = 1
memory = \"512Mi\"
";
/// What is appended to add a node.
const ANOTHER_NODE: &str = "[full-nodes]\ncount = 1\nmemory = \"512Mi\"\n";
const NODES: [&str; 5] = ["validator-0", "validator-1", "validator-2", "validator-3", "rpc-0"];
/// Transfers a step of the story.
const LOAD: u64 = 20;

/// What the nodes of a network run on.
trait Deployment {
    /// Writes what the target needs for this description, beside what is there.
    async fn create(&mut self, description: &str);
    /// Starts a node that does not run, from the build under test or from the one before it.
    async fn start(&mut self, node: &str, build: Build);
    /// Kills a node without warning.
    async fn kill(&mut self, node: &str);
    /// Stops a node as an operator does; it must end cleanly.
    async fn stop(&mut self, node: &str);
    /// The RPC server of a running node.
    async fn rpc(&self, node: &str) -> Rpc;
}

/// Which build of a node runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Build {
    /// The one that is upgraded from.
    Previous,
    /// The one under test.
    Current,
}

/// The binary that is upgraded from, which has another path than the one under test.
fn previous_binary(scratch: &Path) -> PathBuf {
    let given = std::env::var_os("HEDDLE_PREVIOUS_BIN").map_or_else(heddle, PathBuf::from);
    let copy = scratch.join("heddle-previous");
    std::fs::copy(given, &copy).unwrap();
    copy
}

#[tokio::test]
async fn a_network_of_processes() {
    let _turn = turn().await;
    let mut processes = Processes::new();
    tell(&mut processes).await;
}

#[tokio::test]
async fn a_network_of_containers() {
    let _turn = turn().await;
    let Some(mut compose) = Compose::new().await else { return };
    tell(&mut compose).await;
}

async fn tell(network: &mut impl Deployment) {
    network.create(DESCRIPTION).await;
    for node in NODES {
        let build = if node == "validator-1" { Build::Previous } else { Build::Current };
        network.start(node, build).await;
    }
    let mut load = Load::default();
    wait_all(network, &NODES, 3).await;
    load.carry(network).await;

    network.kill("validator-3").await;
    load.carry(network).await;
    wait_blocks(network, 5).await;

    network.create(&format!("{DESCRIPTION}{ANOTHER_NODE}")).await;
    network.start("full-0", Build::Current).await;
    let height = wait_blocks(network, 2).await;
    wait_all(network, &["full-0"], height).await;

    network.start("validator-3", Build::Current).await;
    network.stop("validator-1").await;
    network.start("validator-1", Build::Current).await;
    load.carry(network).await;
    let height = wait_blocks(network, 5).await;
    let all = [&NODES[..], &["full-0"]].concat();
    wait_all(network, &all, height).await;
    check_agreement(network, &all, height).await;
}

/// Transfers through the RPC node.
#[derive(Default)]
struct Load {
    nonce: u64,
}

impl Load {
    /// Sends some, and waits until all are in blocks.
    async fn carry(&mut self, network: &impl Deployment) {
        let (rpc, sender) = (network.rpc("rpc-0").await, account(0));
        let mut sent = Vec::new();
        for nonce in self.nonce..self.nonce + LOAD {
            let transaction = transfer(&sender, nonce, Address::repeat_byte(7), U256::ONE);
            rpc.call("eth_sendRawTransaction", serde_json::json!([transaction.raw])).await;
            sent.push(transaction.hash);
        }
        for hash in sent {
            let receipt = eventually(&format!("a receipt of {hash}"), async || rpc.receipt(hash).await).await;
            assert_eq!(receipt["status"], "0x1", "{receipt}");
        }
        self.nonce += LOAD;
    }
}

/// Waits until so many blocks more are at the RPC node; returns its height.
async fn wait_blocks(network: &impl Deployment, more: u64) -> u64 {
    let height = network.rpc("rpc-0").await.height().await + more;
    wait_all(network, &["rpc-0"], height).await;
    height
}

async fn wait_all(network: &impl Deployment, nodes: &[&str], height: u64) {
    for node in nodes {
        let rpc = network.rpc(node).await;
        let what = format!("height {height} at {node}");
        eventually(&what, async || rpc.try_height().await.filter(|now| *now >= height)).await;
    }
}

async fn check_agreement(network: &impl Deployment, nodes: &[&str], height: u64) {
    for number in 0..=height {
        let mut first = None;
        for node in nodes {
            let hash = network.rpc(node).await.hash(number).await;
            let (of, expected) = *first.get_or_insert((node, hash));
            assert_eq!(hash, expected, "block {number} of {node} is not that of {of}");
        }
    }
}

/// Runs `heddle genesis create` for one target.
async fn create(dir: &Path, description: &str, target: &str) {
    let (file, out) = (dir.join("network.toml"), dir.join("net"));
    std::fs::write(&file, description).unwrap();
    let create = ["genesis", "create", "--network", path_text(&file), "--out", path_text(&out), "--target", target];
    run(&create).await.result();
}
