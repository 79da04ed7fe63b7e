//! An operator looks after a node's peers: `heddle peers`, and the options that decide whom a node connects with.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use heddle_e2e::{Finished, Network, Rpc, eventually, path_text, run, turn};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The validator of these chains: it makes blocks alone, and each test decides whom it meets.
const VICTIM: usize = 0;

/// `heddle peers COMMAND.. --datadir DIR`.
async fn peers(datadir: &Path, command: &[&str]) -> Finished {
    run(&[&["peers"], command, &["--datadir", path_text(datadir)]].concat()).await
}

/// What `heddle peers list` says at a node.
async fn list(network: &Network, node: usize, options: &[&str]) -> Value {
    peers(&network.datadir(node), &[&["list"], options].concat()).await.result()
}

/// The id of a running node.
async fn id(network: &Network, node: usize) -> String {
    list(network, node, &[]).await["id"].as_str().unwrap().to_owned()
}

/// Where a running node is reached over TCP, with its id.
async fn address(network: &Network, node: usize) -> String {
    let listed = list(network, node, &[]).await;
    let mut addresses = listed["listenAddresses"].as_array().unwrap().iter().filter_map(Value::as_str);
    addresses.find(|address| address.contains("/tcp/")).unwrap_or_else(|| panic!("no TCP: {listed}")).to_owned()
}

/// What a node knows of a peer; null when nothing.
async fn record(network: &Network, node: usize, peer: &str) -> Value {
    let listed = list(network, node, &["--all"]).await;
    let found = listed["peers"].as_array().unwrap().iter().find(|record| record["id"] == peer);
    found.cloned().unwrap_or_default()
}

async fn is_ready(network: &Network, node: usize, peer: &str) -> bool {
    record(network, node, peer).await["state"] == "ready"
}

async fn wait_ready(network: &Network, node: usize, peer: &str) {
    let what = format!("{peer} as a peer of node {node}");
    eventually(&what, async || is_ready(network, node, peer).await.then_some(())).await;
}

/// Checks that a peer that wants to be one is none while the victim makes ten blocks: long enough for many dials.
async fn stays_away(network: &Network, peer: &str) {
    let end = network.rpc(VICTIM).height().await + 10;
    eventually("ten blocks", async || {
        assert!(!is_ready(network, VICTIM, peer).await, "{peer} is a peer");
        (network.rpc(VICTIM).height().await >= end).then_some(())
    })
    .await;
}

/// The victim, which runs, and followers that know nobody and do not run yet.
async fn strangers(followers: usize) -> (Network, Vec<usize>) {
    let mut network = Network::create_with(1, &["--block-time", "200ms"]).await;
    let followers = Vec::from_iter((0..followers).map(|_| network.add_follower()));
    network.start(VICTIM).await;
    (network, followers)
}

/// Starts a node that dials these addresses first.
async fn start_with_bootnodes(network: &mut Network, node: usize, addresses: Vec<String>) {
    network.configure(node, |toml| _ = toml.insert("bootnodes".into(), addresses.into()));
    network.start(node).await;
}

#[tokio::test]
async fn the_list_shows_the_other_nodes() {
    let _turn = turn().await;
    let mut network = Network::create(3).await;
    network.start_all().await;
    let ids = [id(&network, 0).await, id(&network, 1).await, id(&network, 2).await];
    for node in 0..3 {
        for other in ids.iter().enumerate().filter(|(other, _)| *other != node).map(|(_, id)| id) {
            wait_ready(&network, node, other).await;
        }
        let shown = peers(&network.datadir(node), &["list"]).await;
        assert!(ids.iter().enumerate().all(|(other, id)| other == node || shown.stderr.contains(id)), "{shown:#?}");
    }
}

#[tokio::test]
async fn strangers_meet_when_one_is_told_of_the_other() {
    let _turn = turn().await;
    let (mut network, followers) = strangers(1).await;
    let follower = followers[0];
    network.start(follower).await;
    let (victim_id, follower_id) = (id(&network, VICTIM).await, id(&network, follower).await);
    assert_eq!(list(&network, VICTIM, &["--all"]).await["peers"], json!([]));

    let datadir = network.datadir(VICTIM);
    let (own, other) = (address(&network, VICTIM).await, address(&network, follower).await);
    peers(&datadir, &["add", &own]).await.fails_naming(&["no peer of its own"]);
    peers(&datadir, &["add", "/ip4/127.0.0.1/tcp/1"]).await.fails_naming(&["/ip4/127.0.0.1/tcp/1", "/p2p/"]);
    peers(&datadir, &["ban", "me"]).await.fails_naming(&["me", "PEER"]);
    peers(&datadir, &["ban", &follower_id, "--for", "2y"]).await.fails_naming(&["2y", "365d"]);
    assert_eq!(peers(&datadir, &["remove", &follower_id]).await.result()["removed"], false);

    peers(&datadir, &["add", &other]).await.result();
    wait_ready(&network, VICTIM, &follower_id).await;
    wait_ready(&network, follower, &victim_id).await;
    let added = record(&network, VICTIM, &follower_id).await;
    assert_eq!((&added["persistent"], &added["network"]["trusted"]), (&json!(true), &json!(true)));
    assert_eq!(added["protocols"], json!({ "heddle": { "version": 1 } }));
    assert_eq!(record(&network, follower, &victim_id).await["inbound"], true);
    network.wait_height(follower, 3).await;

    assert_eq!(peers(&datadir, &["remove", &follower_id]).await.result()["removed"], true);
    assert_ne!(record(&network, VICTIM, &follower_id).await["persistent"], true);
}

#[tokio::test]
async fn a_banned_peer_stays_away_over_a_restart_until_the_ban_is_lifted() {
    let _turn = turn().await;
    let (mut network, followers) = strangers(1).await;
    let addresses = vec![address(&network, VICTIM).await];
    start_with_bootnodes(&mut network, followers[0], addresses).await;
    let banned = id(&network, followers[0]).await;
    wait_ready(&network, VICTIM, &banned).await;

    let datadir = network.datadir(VICTIM);
    let told = peers(&datadir, &["ban", &banned, "--for", "1h"]).await.result();
    assert_eq!(told["bannedForSeconds"], 3_600);
    eventually("the end of the connection", async || (!is_ready(&network, VICTIM, &banned).await).then_some(())).await;
    stays_away(&network, &banned).await;

    network.stop(VICTIM).await;
    network.start(VICTIM).await;
    let left = record(&network, VICTIM, &banned).await["bannedForSeconds"].as_u64();
    assert!(left.is_some_and(|seconds| (1..3_600).contains(&seconds)), "{left:?}");
    stays_away(&network, &banned).await;

    assert_eq!(peers(&datadir, &["unban", &banned]).await.result()["unbanned"], true);
    assert_eq!(peers(&datadir, &["unban", &banned]).await.result()["unbanned"], false);
    wait_ready(&network, VICTIM, &banned).await;
}

#[tokio::test]
async fn nobody_is_answered_without_the_token_of_this_run() {
    let _turn = turn().await;
    let (mut network, _) = strangers(0).await;
    let file = network.datadir(VICTIM).join("admin.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let content: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let (host, port) = content["address"].as_str().unwrap().rsplit_once(':').unwrap();
    assert_eq!(host, "127.0.0.1");
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "admin_peers", "params": [] }).to_string();
    let (status, body) = Rpc::new(port.parse().unwrap()).send(Method::POST, call).await.unwrap();
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{}", String::from_utf8_lossy(&body));

    let copy = network.scratch().join("copy");
    std::fs::create_dir(&copy).unwrap();
    let mut wrong = content.clone();
    wrong["token"] = "0".repeat(64).into();
    std::fs::write(copy.join("admin.json"), wrong.to_string()).unwrap();
    peers(&copy, &["list"]).await.fails_naming(&["refuses the token", path_text(&copy)]);

    network.kill9(VICTIM).await;
    peers(&network.datadir(VICTIM), &["list"]).await.fails_naming(&["nobody listens", "start it again"]);
    network.start(VICTIM).await;
    std::fs::write(copy.join("admin.json"), std::fs::read(&file).unwrap()).unwrap();
    peers(&copy, &["list"]).await.result();
    assert_ne!(serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).unwrap()["token"], content["token"]);
    network.stop(VICTIM).await;
    peers(&network.datadir(VICTIM), &["list"]).await.fails_naming(&["does not exist", "start the node"]);

    network.configure(VICTIM, |toml| _ = toml.insert("no-admin".into(), true.into()));
    network.start(VICTIM).await;
    peers(&network.datadir(VICTIM), &["list"]).await.fails_naming(&["does not exist", "--no-admin"]);
}

#[tokio::test]
async fn a_node_with_reserved_peers_only_has_no_other() {
    let _turn = turn().await;
    let (mut network, followers) = strangers(2).await;
    let (sentry, stranger) = (followers[0], followers[1]);
    network.start(sentry).await;
    let (sentry_id, sentry_address) = (id(&network, sentry).await, address(&network, sentry).await);
    network.stop(VICTIM).await;
    network.configure(VICTIM, |toml| {
        toml.insert("reserved-only".into(), true.into());
        toml.insert("persistent-peers".into(), vec![sentry_address].into());
    });
    network.start(VICTIM).await;
    wait_ready(&network, VICTIM, &sentry_id).await;

    let addresses = vec![address(&network, VICTIM).await, address(&network, sentry).await];
    start_with_bootnodes(&mut network, stranger, addresses).await;
    let stranger_id = id(&network, stranger).await;
    wait_ready(&network, sentry, &stranger_id).await;
    stays_away(&network, &stranger_id).await;
    // Blocks reach it all the same, through the sentry.
    let height = network.rpc(VICTIM).height().await;
    network.wait_height(stranger, height).await;

    let added = address(&network, stranger).await;
    peers(&network.datadir(VICTIM), &["add", &added]).await.result();
    wait_ready(&network, VICTIM, &stranger_id).await;
}

#[tokio::test]
async fn a_denied_range_of_addresses_is_refused() {
    let _turn = turn().await;
    let (mut network, followers) = strangers(1).await;
    let addresses = vec![address(&network, VICTIM).await];
    network.stop(VICTIM).await;
    let deny = |network: &mut Network, ranges: Vec<&str>| {
        network.configure(VICTIM, |toml| _ = toml.insert("peers.deny".into(), ranges.into()));
    };
    deny(&mut network, vec!["192.0.2.0/24", "127.0.0.0/8"]);
    network.start(VICTIM).await;
    start_with_bootnodes(&mut network, followers[0], addresses).await;
    let denied = id(&network, followers[0]).await;
    stays_away(&network, &denied).await;

    network.stop(VICTIM).await;
    deny(&mut network, vec!["192.0.2.0/24"]);
    network.start(VICTIM).await;
    wait_ready(&network, VICTIM, &denied).await;
}

#[tokio::test]
async fn a_restart_finds_its_peers_again_without_bootnodes() {
    let _turn = turn().await;
    let (mut network, followers) = strangers(1).await;
    let addresses = vec![address(&network, VICTIM).await];
    start_with_bootnodes(&mut network, followers[0], addresses).await;
    let follower = id(&network, followers[0]).await;
    wait_ready(&network, VICTIM, &follower).await;
    wait_ready(&network, followers[0], &id(&network, VICTIM).await).await;

    network.stop(followers[0]).await;
    // The victim forgets, so that it is the follower that remembers.
    network.stop(VICTIM).await;
    std::fs::remove_file(network.datadir(VICTIM).join("peers.json")).unwrap();
    network.start(VICTIM).await;
    start_with_bootnodes(&mut network, followers[0], Vec::new()).await;
    wait_ready(&network, VICTIM, &follower).await;
    assert_eq!(record(&network, VICTIM, &follower).await["inbound"], true);
}
