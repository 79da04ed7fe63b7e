//! Real clients do real work: the scripts and projects in `tests/clients`, run against nodes by Node.js and Python.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod install;
mod long_chain;

use heddle_e2e::{Devnet, Network, path_text, turn};
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// The scripts' accounts are one file's each (see `devnet.mjs`), so that files do not wait for each other.
const DEVNET: [&str; 4] = ["--accounts", "21", "--block-time", "100ms"];

#[tokio::test]
async fn clients_for_javascript_and_foundry_work_against_a_devnet() {
    let _turn = turn().await;
    let Some(scripts) = install::scripts().await else { return };
    let devnet = Devnet::start(&DEVNET).await;
    succeeds(node_tests(&scripts, "", &["--test-concurrency=2"]).env("HEDDLE_URL", devnet.rpc.url())).await;
}

#[tokio::test]
async fn the_tests_of_a_hardhat_project_pass_on_a_devnet() {
    let _turn = turn().await;
    let Some((project, path)) = install::hardhat().await else { return };
    let devnet = Devnet::start(&DEVNET).await;
    let mut hardhat = Command::new(project.join("node_modules/.bin/hardhat"));
    hardhat.args(["test", "nodejs"]).current_dir(&project);
    hardhat.env("PATH", path).env("HARDHAT_DISABLE_TELEMETRY", "true").env("HEDDLE_URL", devnet.rpc.url());
    succeeds(&mut hardhat).await;
}

#[tokio::test]
async fn web3_py_works_against_a_devnet() {
    let _turn = turn().await;
    let Some((directory, interpreter)) = install::web3py().await else { return };
    let devnet = Devnet::start(&DEVNET).await;
    let mut python = Command::new(interpreter);
    python.args(["-m", "unittest", "test_web3"]).current_dir(directory).env("HEDDLE_URL", devnet.rpc.url());
    succeeds(&mut python).await;
}

/// One validator with a Unix socket, which only operators have.
#[tokio::test]
async fn cast_and_web3_py_work_over_the_unix_socket() {
    let _turn = turn().await;
    let Some(scripts) = install::scripts().await else { return };
    let mut network = Network::create_with(1, &["--block-time", "100ms", "--dev-accounts", "20"]).await;
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("heddle.ipc");
    network.configure(0, |toml| drop(toml.insert("ipcpath".to_owned(), path_text(&socket).into())));
    network.start(0).await;
    succeeds(node_tests(&scripts, "ipc", &[]).env("HEDDLE_IPC", &socket)).await;
    let Some((directory, interpreter)) = install::web3py().await else { return };
    let mut python = Command::new(interpreter);
    succeeds(python.args(["-m", "unittest", "test_ipc"]).current_dir(directory).env("HEDDLE_IPC", &socket)).await;
}

#[tokio::test]
async fn logs_are_asked_for_over_ten_thousand_blocks() {
    let _turn = turn().await;
    let Some(scripts) = install::scripts().await else { return };
    let chain = long_chain::LongChain::start().await;
    succeeds(node_tests(&scripts, "long-chain", &[]).env("HEDDLE_URL", chain.url())).await;
}

/// One validator that makes a block for each transaction and none without: blocks have the numbers that Anvil gives them.
#[tokio::test]
async fn answers_are_those_of_anvil() {
    let _turn = turn().await;
    let Some(scripts) = install::scripts().await else { return };
    let mut network = Network::create_with(1, &["--block-time", "10ms", "--empty-block-time", "1h"]).await;
    network.configure(0, |toml| {
        let apis = ["eth", "net", "web3", "txpool", "debug", "trace"];
        toml["http"]["api"] = toml::Value::from(Vec::from(apis));
    });
    network.start(0).await;
    let genesis = network.genesis();
    let mut tests = node_tests(&scripts, "anvil", &[]);
    succeeds(tests.env("HEDDLE_URL", network.rpc(0).url()).env("HEDDLE_GENESIS", genesis)).await;
}

#[tokio::test]
async fn the_registrys_code_is_what_its_source_compiles_to() {
    let _turn = turn().await;
    let Some(packages) = install::scripts().await else { return };
    let contracts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/primitives/contracts");
    let target = tempfile::tempdir().unwrap();
    succeeds(Command::new("node").arg(contracts.join("compile.mjs")).args([target.path(), &packages])).await;
    let code = |directory: &Path| std::fs::read_to_string(directory.join("ValidatorRegistry.hex")).unwrap();
    assert!(code(&contracts) == code(target.path()), "run compile.mjs and commit what it writes");
}

/// Node.js with the tests of a directory of the scripts, not of those below it.
fn node_tests(scripts: &Path, directory: &str, options: &[&str]) -> Command {
    // What there is in the sources: copies of tests that are no more stay where they were.
    let names = std::fs::read_dir(install::source().join(directory)).unwrap().map(|entry| entry.unwrap().file_name());
    let tests = names.filter(|name| name.to_string_lossy().ends_with(".test.mjs"));
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec"]).args(options).args(tests).current_dir(scripts.join(directory));
    node
}

async fn succeeds(command: &mut Command) {
    let status = command.kill_on_drop(true).stdin(Stdio::null()).status().await.unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
