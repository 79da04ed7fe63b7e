//! A transaction's way from node to node, as a collector of traces is told of it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod collector;

use alloy_primitives::{Address, B256, U256};
use collector::{Collector, Told};
use heddle_e2e::{Network, account, eventually, free_port, run, transfer, turn};
use serde_json::json;
use std::collections::BTreeSet;
use std::net::TcpListener;
use toml::Table;

const VALIDATORS: usize = 4;

/// Lets a node tell of a part of the transactions.
fn trace(network: &mut Network, node: usize, url: &str, sample: f64) {
    let options = [("url", toml::Value::from(url)), ("sample", sample.into())];
    let table = Table::from_iter(options.map(|(key, value)| (key.to_owned(), value)));
    network.configure(node, |toml| _ = toml.insert("tracing-otlp".to_owned(), table.into()));
}

/// How a node is known to its peers.
fn peer_id(network: &Network, node: usize) -> String {
    let port = format!("/tcp/{}/", network.configuration(node)["port"]);
    let others = network.configuration((node + 1) % VALIDATORS)["persistent-peers"].clone();
    let addresses = others.as_array().unwrap().iter().map(|address| address.as_str().unwrap().to_owned());
    let address = addresses.into_iter().find(|address| address.contains(&port)).unwrap();
    address.rsplit('/').next().unwrap().to_owned()
}

/// Sends a transfer to a node and waits until all have committed it.
async fn send(network: &Network, node: usize, nonce: u64) -> B256 {
    let signed = transfer(&account(0), nonce, Address::repeat_byte(0xaa), U256::from(1));
    network.rpc(node).call("eth_sendRawTransaction", json!([signed.raw])).await;
    for node in 0..VALIDATORS {
        let what = format!("transfer {nonce} at node {node}");
        eventually(&what, async || network.rpc(node).receipt(signed.hash).await).await;
    }
    signed.hash
}

/// The spans of a transaction's trace.
fn spans_of(told: &[Told], hash: B256) -> Vec<&Told> {
    told.iter().filter(|told| told.span.trace_id == hash[..16]).collect()
}

fn nodes_with(trace: &[&Told], name: &str) -> BTreeSet<String> {
    trace.iter().filter(|told| told.span.name == name).map(|told| told.node()).collect()
}

/// Waits until this many nodes have told that they committed a transaction; each tells in the order of its doings.
async fn until_told(collector: &Collector, hash: B256, nodes: usize) {
    let is_told =
        async || (nodes_with(&spans_of(&collector.told(), hash), "block.commit").len() >= nodes).then_some(());
    eventually(&format!("the trace of {hash} from {nodes} nodes"), is_told).await;
}

/// What holds of every trace, whoever was faster.
fn check(trace: &[&Told], hash: B256, origin: &str) {
    let root = &hash[16..24];
    let roots = Vec::from_iter(trace.iter().filter(|told| told.span.parent_span_id.is_empty()));
    assert_eq!(roots.len(), 1, "{trace:#?}");
    assert_eq!((roots[0].span.name.as_str(), roots[0].node().as_str()), ("rpc.receive", origin));
    assert_eq!(roots[0].span.span_id, root);
    let mut ids = BTreeSet::new();
    for told in trace {
        let span = &told.span;
        assert!(ids.insert(span.span_id.clone()), "twice: {told:#?}");
        assert!(span.parent_span_id.is_empty() || span.parent_span_id == root, "{told:#?}");
        assert!(0 < span.start_time_unix_nano && span.start_time_unix_nano <= span.end_time_unix_nano, "{told:#?}");
        assert_eq!(told.attribute("heddle.transaction"), Some(hash.to_string()));
        assert_eq!(told.of_node("service.name").as_deref(), Some("heddle"));
        assert_eq!(told.of_node("heddle.node.role").as_deref(), Some("validator"));
        assert_eq!(told.of_node("heddle.chain.id").as_deref(), Some("31337"));
        assert_eq!(told.attribute("heddle.block.number").is_some(), span.name.starts_with("block."), "{told:#?}");
        assert_eq!(told.attribute("heddle.peer").is_some(), span.name == "gossip.receive", "{told:#?}");
    }
    let committed = trace.iter().filter(|told| told.span.name == "block.commit");
    let blocks = BTreeSet::from_iter(committed.map(|told| told.attribute("heddle.block.hash")));
    assert_eq!(blocks.len(), 1, "all committed it in one block");
}

/// Whether every stage is there: a proposer that took the transaction's only copy from a caller got none by gossip.
fn is_whole(trace: &[&Told], origin: &str) -> bool {
    let gossiped = nodes_with(trace, "gossip.receive");
    gossiped.iter().any(|node| node != origin)
        && nodes_with(trace, "mempool.add").len() > gossiped.len()
        && nodes_with(trace, "block.propose").iter().any(|node| node != origin)
        && nodes_with(trace, "block.execute").len() >= 2
        && nodes_with(trace, "block.commit").len() == VALIDATORS
}

#[tokio::test]
async fn one_trace_follows_a_transaction_over_all_nodes() {
    let _turn = turn().await;
    let (mut network, collector) = (Network::create(VALIDATORS).await, Collector::start().await);
    for node in 0..VALIDATORS {
        trace(&mut network, node, &collector.url(), 1.0);
    }
    network.start_all().await;
    let origin = peer_id(&network, 0);
    // Every validator proposes in its turn; of those blocks that others propose, the transaction came by gossip.
    let mut whole = 0;
    for nonce in 0..2 * VALIDATORS as u64 {
        let hash = send(&network, 0, nonce).await;
        until_told(&collector, hash, VALIDATORS).await;
        let told = collector.told();
        let spans = spans_of(&told, hash);
        check(&spans, hash, &origin);
        whole += usize::from(is_whole(&spans, &origin));
    }
    assert!(whole > 0, "no trace shows every stage: {:#?}", collector.told());
    eventually("the count of what was exported", async || {
        network.metric(0, "heddle_traces_spans_exported_total").await.filter(|exported| *exported > 0)
    })
    .await;
    assert_eq!(network.metric(0, "heddle_traces_spans_dropped_total").await, Some(0));
}

#[tokio::test]
async fn what_is_not_sampled_is_not_told() {
    let _turn = turn().await;
    let (mut network, collector) = (Network::create(VALIDATORS).await, Collector::start().await);
    for node in 0..VALIDATORS {
        trace(&mut network, node, &collector.url(), if node == 3 { 1.0 } else { 0.0 });
    }
    network.start_all().await;
    for nonce in 0..3 {
        let hash = send(&network, 0, nonce).await;
        until_told(&collector, hash, 1).await;
    }
    let tellers = BTreeSet::from_iter(collector.told().iter().map(Told::node));
    assert_eq!(tellers, BTreeSet::from([peer_id(&network, 3)]));
}

#[tokio::test]
async fn a_collector_that_hangs_or_is_not_there_disturbs_nobody() {
    let _turn = turn().await;
    let mut network = Network::create(VALIDATORS).await;
    // Connections are accepted by the system, and nobody ever reads from them.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing = free_port();
    for node in 0..VALIDATORS {
        let port = if node < 2 { hanging.local_addr().unwrap().port() } else { refusing };
        trace(&mut network, node, &format!("http://127.0.0.1:{port}"), 1.0);
    }
    network.start_all().await;
    for nonce in 0..3 {
        send(&network, 0, nonce).await;
    }
    let height = network.wait_blocks(0, 10).await;
    network.wait_heights(0..VALIDATORS, height).await;
    network.check_agreement(0..VALIDATORS, height).await;
    for node in [0, 2] {
        network.process(node).line("traces are lost").await;
        let lost = async || network.metric(node, "heddle_traces_spans_dropped_total").await.filter(|lost| *lost > 0);
        eventually(&format!("the count of what node {node} lost"), lost).await;
    }
    for node in 0..VALIDATORS {
        network.stop(node).await;
    }
}

#[tokio::test]
async fn a_wrong_option_is_refused_with_what_is_right() {
    let node = ["node", "--chain", "none.json", "--datadir", "none"];
    let refused = async |options: &[&str]| run(&[&node, options].concat()).await;
    refused(&["--tracing-otlp", "https://collector.example"]).await.fails_naming(&["--tracing-otlp", "http://"]);
    refused(&["--tracing-otlp", "localhost:4318"]).await.fails_naming(&["--tracing-otlp", "http://127.0.0.1:4318"]);
    let secret = refused(&["--tracing-otlp", "http://user:hidden@127.0.0.1:4318"]).await;
    assert!(!secret.stderr.contains("hidden"), "{}", secret.stderr);
    secret.fails_naming(&["--tracing-otlp", "no password"]);
    refused(&["--tracing-otlp.sample", "2"]).await.fails_naming(&["--tracing-otlp.sample", "from 0 to 1"]);
}
