//! What callers, operators and disks do wrong: an error that names it, and a node that still serves or ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use heddle_e2e::{Devnet, Network, eventually, free_port, path_text, run, run_with, turn};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;

#[tokio::test]
async fn garbage_http_bodies_are_refused_and_the_node_still_serves() {
    let _turn = turn().await;
    let devnet = Devnet::start(&["--validators", "1"]).await;
    let nested = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    let bodies: [(&str, Vec<u8>); 8] = [
        ("nothing", Vec::new()),
        ("half an object", b"{\"jsonrpc\":".to_vec()),
        ("bytes", (0..=255).collect()),
        ("a number", b"7".to_vec()),
        ("an empty batch", b"[]".to_vec()),
        ("deep nesting", nested),
        ("no method", b"{\"jsonrpc\":\"2.0\",\"id\":1}".to_vec()),
        ("20 MB", vec![b' '; 20_000_000]),
    ];
    for (name, body) in bodies {
        // The server may also close the connection on a body that it does not read to its end.
        if let Ok((status, answer)) = devnet.rpc.send(Method::POST, body).await {
            let answer = String::from_utf8_lossy(&answer);
            assert!(status.is_client_error() || answer.contains("error"), "{name}: {status} {answer}");
        }
        devnet.rpc.height().await;
    }
    let (status, _) = devnet.rpc.send(Method::DELETE, "").await.unwrap();
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    check_errors(&devnet).await;
    let height = devnet.rpc.height().await;
    eventually("the next block", async || (devnet.rpc.height().await > height).then_some(())).await;
}

async fn check_errors(devnet: &Devnet) {
    let cases = [
        ("eth_noSuchMethod", json!([]), -32601),
        ("eth_getBalance", json!(["not an address", "latest"]), -32602),
        ("eth_getBalance", json!([]), -32602),
        ("eth_getBlockByNumber", json!(["0x0"]), -32602),
        ("eth_sendRawTransaction", json!(["0x01020304"]), -32000),
        ("eth_sendRawTransaction", json!(["0x"]), -32000),
        ("eth_sendRawTransaction", json!(["garbage"]), -32602),
    ];
    for (method, params, expected) in cases {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (_, body) = devnet.rpc.send(Method::POST, request.to_string()).await.unwrap();
        let response: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(response["error"]["code"], expected, "{request}: {response}");
    }
}

/// Runs node 0 of a new network after `spoil`; it must end by itself and name each of `words`.
async fn fails_to_start(spoil: impl FnOnce(&mut toml::Table), words: &[&str]) {
    let mut network = Network::create(1).await;
    network.configure(0, spoil);
    run(&["node", "--config", path_text(&network.config_file(0))]).await.fails_naming(words);
}

#[tokio::test]
async fn configuration_mistakes_are_named() {
    let _turn = turn().await;
    fails_to_start(|toml| _ = toml.insert("prot".into(), 30303.into()), &["`prot`", "port", "datadir"]).await;
    fails_to_start(|toml| _ = toml.insert("port".into(), 70_000.into()), &["port", "70000", "65535"]).await;
    fails_to_start(|toml| _ = toml.insert("port".into(), "many".into()), &["port", "many"]).await;
    fails_to_start(|toml| toml["http"]["enabled"] = "perhaps".into(), &["http.enabled", "perhaps", "true or false"])
        .await;
    fails_to_start(
        |toml| _ = toml.insert("http.api".into(), vec!["eth", "mining"].into()),
        &["http.api", "mining", "web3"],
    )
    .await;
    fails_to_start(
        |toml| _ = toml.insert("bootnodes".into(), vec!["127.0.0.1:30303"].into()),
        &["bootnodes", "127.0.0.1:30303"],
    )
    .await;
    fails_to_start(|toml| _ = toml.insert("nat".into(), "pmp".into()), &["nat", "pmp", "extip:ADDRESS"]).await;
    fails_to_start(
        |toml| _ = toml.insert("peers.deny".into(), vec!["10.0.0.0/33"].into()),
        &["peers.deny", "10.0.0.0/33", "peer id"],
    )
    .await;
    fails_to_start(|toml| toml["chain"] = "/nowhere/genesis.json".into(), &["/nowhere/genesis.json"]).await;
    fails_to_start(|toml| toml["validator-key"] = "/nowhere/key".into(), &["/nowhere/key"]).await;
}

#[tokio::test]
async fn flags_and_environment_are_checked_like_the_file() {
    let _turn = turn().await;
    let network = Network::create(1).await;
    let config = network.config_file(0);
    let node = ["node", "--config", path_text(&config)];
    run(&[&node[..], &["--http.port", "http"]].concat()).await.fails_naming(&["--http.port", "http"]);
    run(&[&node[..], &["--maxpeers", "0"]].concat()).await.fails_naming(&["--maxpeers", "0", "1..="]);
    let outbound = run(&[&node[..], &["--maxpeers", "5", "--peers.outbound", "6"]].concat()).await;
    outbound.fails_naming(&["--peers.outbound", "6", "--maxpeers, 5"]);
    run(&[&node[..], &["--no-such-flag"]].concat()).await.fails_naming(&["--no-such-flag"]);
    run_with(&[("HEDDLE_HTTP_PORT", "http")], &node).await.fails_naming(&["http.port", "http"]);
    run(&["node"]).await.fails_naming(&["--chain", "--datadir"]);
    run(&["node", "--config", "/nowhere/node.toml"]).await.fails_naming(&["/nowhere/node.toml"]);
    let out = network.scratch().join("net");
    let again = run(&["genesis", "create", "--validators", "1", "--out", path_text(&out)]).await;
    again.fails_naming(&["genesis.json", "exists"]);
    let other = network.scratch().join("other");
    for (governance, words) in [("boss", "admin:ADDRESS"), ("admin:me", "`me`"), ("staking:0:me", "at least 1 wei")] {
        let create = ["genesis", "create", "--out", path_text(&other), "--registry", governance];
        run(&create).await.fails_naming(&["--registry", words]);
    }
}

#[tokio::test]
async fn an_invalid_genesis_is_refused() {
    let _turn = turn().await;
    /// How the file is spoilt, and what the error names.
    type Case = (fn(&mut Value), &'static [&'static str]);
    let network = Network::create(2).await;
    let good: Value = serde_json::from_slice(&std::fs::read(network.genesis()).unwrap()).unwrap();
    let cases: [Case; 6] = [
        (|g| validators(g)[1] = validators(g)[0].clone(), &["listed twice"]),
        (|g| validators(g)[1]["power"] = 0.into(), &["voting power 0"]),
        (|g| validators(g).clear(), &["at least one validator"]),
        (|g| g["config"]["heddle"]["blockTime"] = 5.into(), &["blockTime"]),
        (|g| g["config"]["heddle"]["blockTimeMs"] = 1.into(), &["blockTimeMs", "is 1,"]),
        (|g| g["gasLimit"] = "0x1".into(), &["gasLimit", "5000"]),
    ];
    for (spoil, words) in cases {
        let mut genesis = good.clone();
        spoil(&mut genesis);
        std::fs::write(network.genesis(), genesis.to_string()).unwrap();
        run(&["node", "--config", path_text(&network.config_file(0))]).await.fails_naming(words);
    }
}

fn validators(genesis: &mut Value) -> &mut Vec<Value> {
    genesis["config"]["heddle"]["validators"].as_array_mut().unwrap()
}

#[tokio::test]
async fn a_busy_port_is_named() {
    let _turn = turn().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (number, text) = (i64::from(port), port.to_string());
    fails_to_start(|toml| toml["http"]["port"] = number.into(), &[&text, "--http.port"]).await;
    fails_to_start(|toml| toml["port"] = number.into(), &[&text, "--port"]).await;
    fails_to_start(|toml| toml["metrics"] = format!("127.0.0.1:{port}").into(), &[&text, "--metrics"]).await;
    fails_to_start(|toml| _ = toml.insert("admin.port".into(), number.into()), &[&text, "--admin.port"]).await;
}

#[tokio::test]
async fn a_data_directory_belongs_to_one_process() {
    let _turn = turn().await;
    let mut network = Network::create(1).await;
    network.start(0).await;
    let config = network.config_file(0);
    let (port, http_port) = (free_port().to_string(), free_port().to_string());
    let arguments = ["node", "--config", path_text(&config), "--port", &port, "--http.port", &http_port];
    run(&arguments).await.fails_naming(&[
        path_text(network.node_dir(0)),
        "in use by another process",
        "pid",
        "stop that process",
    ]);
    network.wait_blocks(0, 2).await;
}

#[tokio::test]
async fn a_data_directory_of_another_chain_is_refused() {
    let _turn = turn().await;
    let (network, other) = (Network::create(1).await, Network::create(1).await);
    let (ours, theirs) = (network.genesis(), other.genesis());
    let data = network.scratch().join("data");
    let first = run(&["init", "--chain", path_text(&ours), "--datadir", path_text(&data)]).await.result();
    let hash = first["genesisHash"].as_str().unwrap().to_owned();
    run(&["init", "--chain", path_text(&theirs), "--datadir", path_text(&data)]).await.fails_naming(&[&hash]);
}

#[tokio::test]
async fn a_validator_that_cannot_write_what_it_signs_stops() {
    let _turn = turn().await;
    for file in ["validator.key.sign-state", "data/consensus.log"] {
        let mut network = Network::create(1).await;
        network.start(0).await;
        network.wait_height(0, 2).await;
        let replacement = network.node_dir(0).join(format!("{file}.new"));
        fill_disk(&replacement).await;

        let (status, _) = network.process(0).ended().await;
        let log = network.process(0).log();
        assert!(!matches!(status.code(), Some(0) | None), "{file}: {status}\n{log}");
        assert!(log.contains("No space left") && log.contains(file), "{file}:\n{log}");

        std::fs::remove_file(&replacement).unwrap();
        network.forget(0);
        network.start(0).await;
        network.wait_blocks(0, 3).await;
    }
}

/// Makes every write to `path` fail as on a full disk. The node makes and renames the same file all the time, so this
/// has to hit a moment without it.
async fn fill_disk(path: &Path) {
    eventually("a moment without the file", async || std::os::unix::fs::symlink("/dev/full", path).ok()).await;
}
