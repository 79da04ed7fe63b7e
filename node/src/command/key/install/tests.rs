#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use crate::keys::SignStateStore;
use heddle_consensus::SignStateRecord;
use heddle_primitives::ConsensusKey;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use tempfile::TempDir;

/// A mount as Kubernetes makes one: links to files that a group can read.
fn mount(files: &[(&str, String)]) -> TempDir {
    let mount = tempfile::tempdir().unwrap();
    std::fs::create_dir(mount.path().join("..data")).unwrap();
    for (name, content) in files {
        let file = mount.path().join("..data").join(name);
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o440)).unwrap();
        symlink(&file, mount.path().join(name)).unwrap();
    }
    mount
}

/// The sign state of a key that has signed at `height`, as `heddle sign-state export` writes it.
fn export(key: &ConsensusKey, height: Option<u64>) -> String {
    let [zero, some] = [0, 1].map(alloy_primitives::B256::repeat_byte);
    json!({
        "format": "heddle-sign-state/1",
        "publicKey": format!("0x{}", hex::encode(key.public_key().as_bytes())),
        "genesisHash": if height.is_some() { some } else { zero },
        "height": height,
        "round": height.map(|_| 0),
        "step": height.map(|_| "prevote"),
        "digest": height.map(|_| some),
    })
    .to_string()
}

fn validator(key: &ConsensusKey, height: Option<u64>) -> TempDir {
    let node_key = NodeKey::from_hex(&"11".repeat(32)).unwrap();
    mount(&[
        ("node.key", node_key.to_hex().to_string()),
        ("validator.key", key.to_hex().to_string()),
        ("sign-state.json", export(key, height)),
    ])
}

fn install_from(mount: &TempDir, pod: &TempDir) -> Result<Value, Box<dyn Error>> {
    let (to, sign_state) = (pod.path().join("keys"), pod.path().join("data/keys/sign-state"));
    run(&InstallArgs { from: mount.path().into(), to, sign_state })
}

fn sign_state(pod: &TempDir) -> SignStateRecord {
    SignStateStore::read(&pod.path().join("data/keys/sign-state")).unwrap().unwrap()
}

#[test]
fn a_validator_finds_files_that_it_accepts_at_every_start() {
    let (key, pod) = (ConsensusKey::generate(), tempfile::tempdir().unwrap());
    for _ in 0..2 {
        let installed = install_from(&validator(&key, None), &pod).unwrap();
        assert_eq!(installed["validator"]["height"], Value::Null);
        let file = KeyFile::read(&pod.path().join("keys/validator.key")).unwrap();
        assert_eq!(file.public_key(), key.public_key());
        let node_key = keys::load_or_create_node_key(&pod.path().join("keys/node.key")).unwrap();
        assert_eq!(installed["peerId"], node_key.peer_id().to_string());
        assert_eq!(sign_state(&pod), SignStateRecord::fresh(key.public_key().to_bytes()));
    }
}

#[test]
fn a_sign_state_is_raised_and_never_lowered() {
    let (key, pod) = (ConsensusKey::generate(), tempfile::tempdir().unwrap());
    for (mounted, expected) in [(Some(7), 7), (None, 7), (Some(5), 7), (Some(9), 9)] {
        install_from(&validator(&key, mounted), &pod).unwrap();
        assert_eq!(sign_state(&pod).last.unwrap().height.as_u64(), expected, "{mounted:?}");
    }
}

#[test]
fn a_node_without_a_validators_key_has_no_sign_state() {
    let pod = tempfile::tempdir().unwrap();
    let mount = mount(&[("node.key", "22".repeat(32))]);
    assert_eq!(install_from(&mount, &pod).unwrap()["validator"], Value::Null);
    assert!(!pod.path().join("data").exists());
}

#[test]
fn what_is_missing_or_another_key_is_named_and_nothing_is_replaced() {
    let (key, pod) = (ConsensusKey::generate(), tempfile::tempdir().unwrap());
    let refused = |mount: &TempDir| install_from(mount, &pod).unwrap_err().to_string();
    assert!(refused(&mount(&[])).contains("node.key does not exist"));
    assert!(refused(&mount(&[("node.key", "no key".into())])).contains("node.key: "));
    let without_key = mount(&[]);
    std::fs::create_dir(without_key.path().join("node.key")).unwrap();
    assert!(refused(&without_key).contains("node.key is a directory: the Secret has no key of this name"));
    let without_state = mount(&[("node.key", "11".repeat(32)), ("validator.key", key.to_hex().to_string())]);
    assert!(refused(&without_state).contains("sign-state.json"));
    install_from(&validator(&key, Some(3)), &pod).unwrap();
    assert!(refused(&validator(&ConsensusKey::generate(), None)).contains("exists already"));
    let file = KeyFile::read(&pod.path().join("keys/validator.key")).unwrap();
    assert_eq!(file.public_key(), key.public_key());
}
