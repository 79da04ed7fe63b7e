//! The recorded exchanges of ethereum/execution-apis among the fixtures, against a node that has imported their chain.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use heddle_e2e::{Process, Rpc, eventually, free_port, has_program, run, turn};
use serde_json::json;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// What cannot apply here, each with its reason.
const EXCEPTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rpc-compat-exceptions.txt");

/// The exchanges with the program that judges them, if they are there.
fn fixture() -> Option<PathBuf> {
    let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures"));
    let fixtures = std::env::var_os("HEDDLE_FIXTURES").map_or_else(default, PathBuf::from);
    let fixture = fixtures.join("rpc-compat");
    let is_there = fixture.join("run.py").exists();
    if !is_there {
        println!("skipped: no fixtures");
    }
    is_there.then_some(fixture)
}

/// What the judge says of the exchanges that `choice` leaves, and whether all passed.
async fn judge(fixture: &Path, rpc: &Rpc, choice: &str) -> (bool, String) {
    let mut command = Command::new("python3");
    command.arg(fixture.join("run.py")).args(["--url", &rpc.url(), choice, EXCEPTIONS]);
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

/// A node that serves the fixture's chain, and nobody else.
async fn serve(fixture: &Path, dir: &Path) -> (Process, Rpc) {
    let [genesis, blocks] = ["tests/genesis.json", "tests/chain.rlp"].map(|file| fixture.join(file));
    let (genesis, blocks, data) = (genesis.to_str().unwrap(), blocks.to_str().unwrap(), dir.join("data"));
    let chain = ["--chain", genesis, "--datadir", data.to_str().unwrap()];
    let imported = run(&[&["import"], &chain[..], &[blocks]].concat()).await.result();
    assert_eq!(imported["number"], 54, "{imported}");

    let port = free_port();
    let http = ["--http", "--http.port", &port.to_string()];
    let mut process = Process::spawn(&dir.join("node.log"), &[&["node"], &chain[..], &http].concat());
    let rpc = Rpc::new(port);
    eventually("an answer", async || {
        assert!(!process.has_ended(), "{}", process.log());
        rpc.try_height().await
    })
    .await;
    (process, rpc)
}

#[tokio::test]
async fn the_recorded_exchanges_pass() {
    let _turn = turn().await;
    let Some(fixture) = fixture() else { return };
    if !has_program("python3").await {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (_process, rpc) = serve(&fixture, dir.path()).await;
    let (passed, said) = judge(&fixture, &rpc, "--skip").await;
    println!("{said}");
    assert!(passed, "{said}");

    let (_, said) = judge(&fixture, &rpc, "--only").await;
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("0 passed"), "these pass, so they are no exceptions any more: {said}");
}

/// Of the same chain's blocks, before and from the fork that brought what is asked for.
#[tokio::test]
async fn a_block_refuses_what_its_fork_does_not_know() {
    let _turn = turn().await;
    let Some(fixture) = fixture() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (_process, rpc) = serve(&fixture, dir.path()).await;
    for (fork, asked, reason) in [
        (24, json!({ "accessList": [] }), "transaction type not supported: access list tx"),
        (27, json!({ "maxPriorityFeePerGas": "0x0" }), "are not valid before London is active"),
        (42, json!({ "maxFeePerBlobGas": "0x1" }), "transaction type not supported: blob tx"),
    ] {
        for method in ["eth_call", "eth_estimateGas", "eth_createAccessList"] {
            let at = |number: u64| json!([asked, format!("{number:#x}")]);
            let error = format!("{:?}", rpc.try_call(method, at(fork - 1)).await.unwrap_err());
            assert!(error.contains(reason), "{method} {asked}: {error}");
            rpc.call(method, at(fork)).await;
        }
    }
}

#[test]
fn the_exceptions_are_few_and_have_reasons() {
    let text = std::fs::read_to_string(EXCEPTIONS).unwrap();
    let lines = Vec::from_iter(text.lines());
    let pairs = Vec::from_iter(lines.chunks(2));
    assert!(
        pairs.iter().all(|pair| pair.len() == 2 && pair[0].starts_with("# ") && !pair[1].starts_with('#')),
        "{text}"
    );
    assert!(pairs.len() <= 5, "{text}");
}
