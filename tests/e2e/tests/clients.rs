//! Real clients do real work: the scripts in `tests/clients`, run by Node.js against a devnet.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use heddle_e2e::{Devnet, path_text, turn};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

#[tokio::test]
async fn ethers_and_cast_work_against_a_devnet() {
    let _turn = turn().await;
    let Some(directory) = install().await else { return };
    let devnet = Devnet::start(&[]).await;
    let mut node = Command::new("node");
    node.args(["--test", "--test-concurrency=1"]).current_dir(&directory).env("HEDDLE_URL", devnet.rpc.url());
    let status = node.kill_on_drop(true).stdin(Stdio::null()).status().await.unwrap();
    assert!(status.success(), "the clients failed: {status}");
}

#[tokio::test]
async fn the_registrys_code_is_what_its_source_compiles_to() {
    let _turn = turn().await;
    let Some(packages) = install().await else { return };
    let contracts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/primitives/contracts");
    let target = tempfile::tempdir().unwrap();
    let mut node = Command::new("node");
    node.arg(contracts.join("compile.mjs")).args([target.path(), &packages]);
    let status = node.kill_on_drop(true).stdin(Stdio::null()).status().await.unwrap();
    assert!(status.success(), "the compiler failed: {status}");
    let code = |directory: &Path| std::fs::read_to_string(directory.join("ValidatorRegistry.hex")).unwrap();
    assert!(code(&contracts) == code(target.path()), "run compile.mjs and commit what it writes");
}

/// Copies the scripts into the target directory and installs their packages there, once a version of the lock file.
/// `None` where that cannot be done, with the reason printed.
async fn install() -> Option<PathBuf> {
    let directory = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("clients");
    std::fs::create_dir_all(&directory).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("clients");
    let lock = "package-lock.json";
    let same_packages =
        std::fs::read(source.join(lock)).unwrap() == std::fs::read(directory.join(lock)).unwrap_or_default();
    for entry in std::fs::read_dir(&source).unwrap() {
        let file = entry.unwrap().path();
        if file.is_file() {
            std::fs::copy(&file, directory.join(file.file_name().unwrap())).unwrap();
        }
    }
    let marker = directory.join("node_modules").join(".package-lock.json");
    if same_packages && marker.exists() {
        return Some(directory);
    }
    // Not `npm ci`: the lock file may lack the binaries of other platforms, which `install` adds.
    let install = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", path_text(&directory)];
    match npm(&install).await {
        Ok(_) => Some(directory),
        Err(error) => match npm(&["ping"]).await {
            Ok(_) => panic!("npm install failed, though the registry answers: {error}"),
            Err(error) => skipped(&error),
        },
    }
}

async fn npm(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("npm").args(arguments).stdin(Stdio::null()).output().await;
    match output.map_err(|error| format!("npm cannot be run: {error}"))? {
        output if output.status.success() => Ok(()),
        output => Err(format!("npm {arguments:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

fn skipped(reason: &str) -> Option<PathBuf> {
    println!("skipped: {reason}");
    None
}
