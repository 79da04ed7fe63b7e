//! What a network brings along, made as `config/kubernetes/README.md` says, for whoever makes it by hand.

use heddle_e2e::kubernetes::Manifests;
use heddle_e2e::{path_text, run};
use std::fmt::Write;
use std::fs::{copy, read_to_string, write};
use std::path::Path;
use tempfile::TempDir;
use toml::Table;

/// How many validators there are.
pub const VALIDATORS: usize = 4;

/// The ConfigMaps and Secrets of a network called `heddle` with [`VALIDATORS`] validators, a full node and an RPC node.
pub async fn identities() -> Manifests {
    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join("made");
    let create = ["genesis", "create", "--validators", &VALIDATORS.to_string(), "--out", path_text(&made)];
    run(&create).await.result();
    copy(made.join("genesis.json"), dir.path().join("genesis.json")).unwrap();
    let peers = validators(&made);
    for node in 0..VALIDATORS {
        let (from, name) = (made.join(format!("node{node}")), format!("validator-{node}"));
        copy(from.join("node.key"), dir.path().join(format!("{name}.node.key"))).unwrap();
        copy(from.join("validator.key"), dir.path().join(format!("{name}.validator.key"))).unwrap();
        let shown = run(&["sign-state", "show", "--key", path_text(&from.join("validator.key"))]).await;
        write(dir.path().join(format!("{name}.sign-state.json")), shown.stdout).unwrap();
        let own = "validator-key = '/keys/node/validator.key'\nsign-state = '/data/keys/sign-state'\n";
        write_config(&dir, &name, &format!("persistent-peers = {peers:?}\n{own}"));
    }
    for (name, byte, http) in [("full-0", "f0", ""), ("rpc-0", "f1", "[http]\nenabled = true\naddr = '0.0.0.0'\n")] {
        write(dir.path().join(format!("{name}.node.key")), byte.repeat(32)).unwrap();
        write_config(&dir, name, &format!("bootnodes = {peers:?}\n{http}"));
    }
    render(&dir)
}

/// Where the validators are, by the addresses that `genesis create` has given them on one machine.
fn validators(made: &Path) -> Vec<String> {
    let mut addresses = vec![String::new(); VALIDATORS];
    for node in 0..VALIDATORS {
        let file = made.join(format!("node{node}/node.toml"));
        let toml: Table = read_to_string(file).unwrap().parse().unwrap();
        for peer in toml["persistent-peers"].as_array().unwrap() {
            let mut parts = peer.as_str().unwrap().rsplit('/');
            let (id, _, port) = (parts.next().unwrap(), parts.next(), parts.next().unwrap());
            let number = port.parse::<usize>().unwrap() - 30303;
            let name = format!("heddle-validator-{number}.heddle-validator.heddle.svc");
            addresses[number] = format!("/dns4/{name}/tcp/30303/p2p/{id}");
        }
    }
    addresses
}

fn write_config(dir: &TempDir, name: &str, more: &str) {
    let common = "chain = 'genesis.json'\ndatadir = '/data/node'\nnode-key = '/keys/node/node.key'\n";
    let text = format!("{common}addr = '0.0.0.0'\nport = 30303\nmetrics = '0.0.0.0:9001'\n{more}");
    write(dir.path().join(format!("{name}.toml")), text).unwrap();
}

/// What stands in the directory, as objects.
fn render(dir: &TempDir) -> Manifests {
    let mut text =
        "namespace: heddle\nnamePrefix: heddle-\ngeneratorOptions:\n  disableNameSuffixHash: true\n".to_owned();
    text += "configMapGenerator:\n  - { name: genesis, files: [genesis.json] }\n";
    let files = |role: &str, is_config: bool| {
        let names =
            std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let names = names.filter(|name| name.starts_with(&format!("{role}-")) && name.ends_with(".toml") == is_config);
        Vec::from_iter(names).join(", ")
    };
    for (generator, suffix, is_config) in [("", "config", true), ("secretGenerator:\n", "keys", false)] {
        text += generator;
        for role in ["validator", "full", "rpc"] {
            writeln!(text, "  - {{ name: {role}-{suffix}, files: [{}] }}", files(role, is_config)).unwrap();
        }
    }
    write(dir.path().join("kustomization.yaml"), text).unwrap();
    Manifests::kustomize(dir.path())
}
