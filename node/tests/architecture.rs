//! Holds the workspace against the dependency table of the design: who may depend on whom.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const TABLE: &[(&str, &[&str])] = &[
    ("primitives", &[]),
    ("storage", &[]),
    ("state", &["primitives", "storage"]),
    ("evm", &["primitives"]),
    ("chain", &["primitives", "storage", "state", "evm"]),
    ("mempool", &["primitives"]),
    ("consensus", &["primitives"]),
    ("network", &["primitives"]),
    ("sync", &["primitives"]),
    ("rpc", &["primitives", "chain", "mempool"]),
    ("workload", &["primitives", "evm"]),
];

/// Our crates' normal dependencies on each other, as `cargo metadata` sees them.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let ours = |name: &str| name.strip_prefix("heddle-").map(str::to_owned);
    let mut found = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let in_crates = package["manifest_path"].as_str().unwrap().contains("/crates/");
        let Some(name) = ours(package["name"].as_str().unwrap()).filter(|_| in_crates) else { continue };
        let normal = package["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"].is_null());
        found.insert(name, normal.filter_map(|d| ours(d["name"].as_str().unwrap())).collect());
    }
    found
}

#[test]
fn crates_depend_only_on_what_the_design_allows() {
    let found = dependencies();
    let crates = BTreeSet::from_iter(found.keys().map(String::as_str));
    assert_eq!(crates, TABLE.iter().map(|(name, _)| *name).collect(), "the design's crates and no others");
    for (name, allowed) in TABLE {
        for dependency in &found[*name] {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}
