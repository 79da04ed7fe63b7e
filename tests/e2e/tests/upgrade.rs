//! A network of an earlier build is upgraded to this one, node by node, while it works.
//!
//! `make test-upgrade PREVIOUS=<revision>` makes the earlier build and names it by `HEDDLE_PREVIOUS_BIN`. Two builds of one
//! revision would show nothing, so there is no story without it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use alloy_primitives::{Address, U256};
use heddle_e2e::{Network, Rpc, account, eventually, heddle, transfer, turn};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

const VALIDATORS: usize = 4;
/// Transfers that are sent before the ones before them are mined.
const IN_FLIGHT: u64 = 10;

/// The earlier build, if there is one.
fn previous() -> Option<PathBuf> {
    let Some(path) = std::env::var_os("HEDDLE_PREVIOUS_BIN").map(PathBuf::from) else {
        println!("skipped: no earlier build; `make test-upgrade PREVIOUS=<revision>` makes one");
        return None;
    };
    let different = std::fs::read(&path).unwrap() != std::fs::read(heddle()).unwrap();
    assert!(different, "HEDDLE_PREVIOUS_BIN is the build under test: it would show nothing");
    Some(path)
}

/// Transfers without an end, sent to every node that answers.
struct Load {
    ending: Arc<AtomicBool>,
    task: JoinHandle<u64>,
}

impl Load {
    fn start(nodes: Vec<Rpc>) -> Self {
        let ending = Arc::new(AtomicBool::new(false));
        let (runtime, until) = (Handle::current(), ending.clone());
        // On a thread of its own: a wait of this harness does not move between threads.
        let task = tokio::task::spawn_blocking(move || runtime.block_on(send(nodes, until)));
        Self { ending, task }
    }

    /// Stops; returns how many were sent, which are mined.
    async fn end(self) -> u64 {
        self.ending.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

async fn send(nodes: Vec<Rpc>, ending: Arc<AtomicBool>) -> u64 {
    let (sender, mut sent) = (account(0), 0);
    while !ending.load(Ordering::Relaxed) {
        for nonce in sent..sent + IN_FLIGHT {
            let raw = transfer(&sender, nonce, Address::repeat_byte(0xbb), U256::from(1)).raw;
            for rpc in &nodes {
                // It may be down, or have it from another.
                let _ = rpc.try_call("eth_sendRawTransaction", json!([raw])).await;
            }
        }
        sent += IN_FLIGHT;
        eventually(&format!("{sent} transfers"), async || is_mined(&nodes, sender.address(), sent).await.then_some(()))
            .await;
    }
    sent
}

async fn is_mined(nodes: &[Rpc], sender: Address, count: u64) -> bool {
    for rpc in nodes {
        let nonce = rpc.try_call("eth_getTransactionCount", json!([sender, "latest"])).await;
        if nonce.is_ok_and(|nonce| heddle_e2e::quantity(&nonce) >= count) {
            return true;
        }
    }
    false
}

/// Blocks go on without a node, and with it again once it runs this build.
async fn replace(network: &mut Network, node: usize, binary: &std::path::Path) {
    let other = (node + 1) % VALIDATORS;
    network.stop(node).await;
    network.wait_blocks(other, 2).await;
    network.set_binary(node, binary);
    network.start(node).await;
    let height = network.wait_blocks(other, 3).await;
    network.wait_heights(0..VALIDATORS, height).await;
}

/// Starts a stopped node with an earlier build; whether that one can read what is there. It must say what is wrong if not.
async fn goes_back(network: &mut Network, node: usize, binary: &std::path::Path) -> bool {
    network.set_binary(node, binary);
    // Earlier runs wrote the log until here.
    let written = std::fs::read_to_string(network.node_dir(node).join("node.log")).unwrap().len();
    network.launch(node);
    let rpc = network.rpc(node);
    let process = network.process(node);
    let answers = eventually("an answer, or an end", async || {
        if process.has_ended() { Some(false) } else { rpc.try_height().await.map(|_| true) }
    })
    .await;
    if !answers {
        let log = process.log();
        let since = &log[written..];
        assert!(since.contains("but this version reads format"), "refused for another reason:\n{since}");
        network.forget(node);
    }
    answers
}

#[tokio::test]
async fn a_network_is_upgraded_node_by_node_under_load() {
    let Some(previous) = previous() else { return };
    let _turn = turn().await;
    let mut network = Network::create_by(&previous, VALIDATORS, &[]).await;
    network.start_all().await;
    network.wait_heights(0..VALIDATORS, 3).await;
    let load = Load::start(Vec::from_iter((0..VALIDATORS).map(|node| network.rpc(node))));
    for node in 0..VALIDATORS {
        replace(&mut network, node, &heddle()).await;
        println!("node {node} of {VALIDATORS} upgraded at block {}", network.rpc(node).height().await);
    }

    network.stop(0).await;
    if goes_back(&mut network, 0, &previous).await {
        println!("node 0 went back to the earlier build");
        let height = network.wait_blocks(1, 3).await;
        network.wait_heights(0..VALIDATORS, height).await;
        network.stop(0).await;
    } else {
        println!("the earlier build refuses the database of this one, and says so");
    }
    network.set_binary(0, &heddle());
    network.start(0).await;

    let sent = load.end().await;
    let height = network.wait_blocks(0, 2).await;
    network.wait_heights(0..VALIDATORS, height).await;
    for node in 0..VALIDATORS {
        let rpc = network.rpc(node);
        let what = format!("all {sent} transfers at node {node}");
        eventually(&what, async || (rpc.nonce(account(0).address()).await == sent).then_some(())).await;
    }
    network.check_agreement(0..VALIDATORS, height).await;
    println!("{sent} transfers in {height} blocks, and one chain");
}
