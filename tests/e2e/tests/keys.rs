//! Keys and what they signed: files that only their owner can use, passphrases, and a memory that is never lowered.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use heddle_e2e::{DEADLINE, Finished, Network, Signal, heddle, path_text, run, turn};
use serde_json::Value;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A file of mode 0600.
fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    set_mode(path, 0o600);
}

/// Runs a command without a terminal, with this text as its standard input.
async fn run_without_terminal(arguments: &[&str], input: &str) -> Finished {
    let mut child = Command::new("setsid")
        .arg("--wait")
        .arg(heddle())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // A command that does not read it closes it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
    let output = tokio::time::timeout(DEADLINE, child.wait_with_output()).await.expect("an end").unwrap();
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The validator's key and its sign state in a network of one.
fn key_files(network: &Network) -> (PathBuf, PathBuf) {
    let key = network.node_dir(0).join("validator.key");
    (key, network.node_dir(0).join("validator.key.sign-state"))
}

/// Starts node 0, which must end by itself and name each of `words`.
async fn fails_to_start(network: &Network, words: &[&str]) {
    run_without_terminal(&["node", "--config", path_text(&network.config_file(0))], "").await.fails_naming(words);
}

/// Stops node 0 in order.
async fn stop(network: &mut Network) {
    network.process(0).signal(Signal::Interrupt).await;
    network.process(0).ended().await;
    network.forget(0);
}

async fn shown(key: &Path) -> Value {
    run(&["sign-state", "show", "--key", path_text(key)]).await.result()
}

#[tokio::test]
async fn key_files_are_their_owners_alone() {
    let _turn = turn().await;
    let mut network = Network::create(1).await;
    let (key, _) = key_files(&network);
    let node_key = network.node_dir(0).join("node.key");
    assert_eq!([mode(&key), mode(&node_key), mode(network.node_dir(0))], [0o600, 0o600, 0o700]);
    let made = network.scratch().join("new/deep/validator.key");
    run(&["key", "generate", "--out", path_text(&made)]).await.result();
    assert_eq!(
        [mode(&made), mode(made.parent().unwrap()), mode(&network.scratch().join("new"))],
        [0o600, 0o700, 0o700]
    );

    for file in [&key, &node_key] {
        set_mode(file, 0o640);
        fails_to_start(&network, &[&format!("`chmod 600 {}`", file.display()), "640"]).await;
        set_mode(file, 0o600);
        let moved = file.with_extension("moved");
        std::fs::rename(file, &moved).unwrap();
        symlink(&moved, file).unwrap();
        fails_to_start(&network, &[path_text(file), "symbolic link"]).await;
        std::fs::rename(&moved, file).unwrap();
    }
    set_mode(network.node_dir(0), 0o770);
    fails_to_start(&network, &[&format!("`chmod 700 {}`", network.node_dir(0).display())]).await;
    set_mode(network.node_dir(0), 0o700);
    if chown(&key, Some(1), None).is_ok() {
        fails_to_start(&network, &[&format!("`chown 0 {}`", key.display()), "user 1"]).await;
        chown(&key, Some(0), None).unwrap();
    } else {
        println!("foreign owners were not tried: only root can give a file away");
    }
    network.start(0).await;
    network.wait_height(0, 1).await;
}

#[tokio::test]
async fn an_encrypted_key_validates_and_no_output_shows_a_secret() {
    let _turn = turn().await;
    let mut network = Network::create(1).await;
    let (key, _) = key_files(&network);
    let secret = std::fs::read_to_string(&key).unwrap().trim().to_owned();
    let (passphrase, wrong) = (network.scratch().join("passphrase"), network.scratch().join("wrong"));
    write_private(&passphrase, "correct horse\n");
    write_private(&wrong, "battery staple\n");
    let plain = run(&["key", "show", path_text(&key)]).await;

    let encrypt = ["key", "encrypt", path_text(&key), "--passphrase-file", path_text(&passphrase)];
    let encrypted = run(&encrypt).await;
    assert_eq!(encrypted.result()["encrypted"], true);
    assert!(!std::fs::read_to_string(&key).unwrap().contains(&secret));
    assert_eq!(mode(&key), 0o600);
    let again = run(&encrypt).await;
    again.fails_naming(&["encrypted already"]);
    let show = run(&["key", "show", path_text(&key)]).await;
    assert_eq!(show.result()["publicKey"], plain.result()["publicKey"]);

    let config = network.config_file(0);
    let node = ["node", "--config", path_text(&config)];
    let without = run_without_terminal(&node, "").await;
    without.fails_naming(&["terminal", "--validator-key-passphrase-file"]);
    let mistaken = run(&[&node[..], &["--validator-key-passphrase-file", path_text(&wrong)]].concat()).await;
    mistaken.fails_naming(&["wrong passphrase", path_text(&key)]);
    set_mode(&wrong, 0o644);
    let loose = run(&[&node[..], &["--validator-key-passphrase-file", path_text(&wrong)]].concat()).await;
    loose.fails_naming(&[&format!("`chmod 600 {}`", wrong.display())]);

    network.configure(0, |toml| {
        _ = toml.insert("validator-key-passphrase-file".into(), path_text(&passphrase).into());
        _ = toml.insert("log.level".into(), "trace".into());
    });
    network.start(0).await;
    network.wait_height(0, 2).await;
    let log = network.process(0).log();
    for output in [plain, encrypted, again, show, without, mistaken, loose] {
        for text in [&output.stdout, &output.stderr, &log] {
            for word in [&secret, "correct horse", "battery staple"] {
                assert!(!text.contains(word), "a secret is shown");
            }
        }
    }
}

#[tokio::test]
async fn imported_keys_keep_their_form_and_bring_no_sign_state() {
    let _turn = turn().await;
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    let passphrase = at("passphrase");
    write_private(&passphrase, "correct horse");
    let (first, second, third) = (at("first"), at("second"), at("third"));
    let generate = ["key", "generate", "--out", path_text(&first), "--encrypt", "--passphrase-file"];
    let made = run(&[&generate[..], &[path_text(&passphrase)]].concat()).await.result();
    assert!(at("first.sign-state").exists());
    let copied = run(&["key", "import", "--out", path_text(&second), "--in", path_text(&first)]).await;
    assert_eq!(copied.result()["publicKey"], made["publicKey"]);
    assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());

    // RFC 8032, section 7.1, test 1.
    let secret = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let public = "0xd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let import = ["key", "import", "--out", path_text(&third)];
    let typed = run_without_terminal(&import, secret).await;
    assert_eq!(typed.result()["publicKey"], public);
    assert!(typed.stderr.contains("heddle sign-state import") && !typed.stderr.contains(secret));
    assert_eq!(mode(&third), 0o600);
    assert!(!at("second.sign-state").exists() && !at("third.sign-state").exists());

    let half = &secret[..40];
    let mistyped = run_without_terminal(&["key", "import", "--out", path_text(&at("fourth"))], half).await;
    mistyped.fails_naming(&["standard input", "found 40"]);
    assert!(!mistyped.stderr.contains(half) && !at("fourth").exists());
    run_without_terminal(&import, secret).await.fails_naming(&["third", "exists"]);
}

#[tokio::test]
async fn a_sign_state_moves_and_is_never_lowered() {
    let _turn = turn().await;
    let mut network = Network::create(1).await;
    let (key, sign_state) = key_files(&network);
    let (early, late) = (network.scratch().join("early.json"), network.scratch().join("late.json"));
    let export = async |to: &Path| run(&["sign-state", "export", "--key", path_text(&key), path_text(to)]).await;
    let import = async |from: &Path| run(&["sign-state", "import", "--key", path_text(&key), path_text(from)]).await;
    assert_eq!(shown(&key).await["height"], Value::Null);
    network.start(0).await;
    network.wait_height(0, 2).await;
    assert!(shown(&key).await["height"].as_u64() >= Some(2));
    export(&early).await.fails_naming(&[path_text(&sign_state), "in use by another process"]);
    stop(&mut network).await;
    export(&early).await.result();
    export(&early).await.fails_naming(&[path_text(&early), "exists"]);
    network.start(0).await;
    network.wait_blocks(0, 3).await;
    stop(&mut network).await;
    export(&late).await.result();
    let last = shown(&key).await;
    assert_eq!(last, serde_json::from_slice::<Value>(&std::fs::read(&late).unwrap()).unwrap());

    // An old export changes nothing, whether the file is here or was brought by a newer one.
    assert_eq!(import(&early).await.result(), last);
    std::fs::remove_file(&sign_state).unwrap();
    assert_ne!(import(&early).await.result(), last);
    assert_eq!(import(&late).await.result(), last);
    assert_eq!(import(&early).await.result(), last);
    assert_eq!(shown(&key).await, last);

    let other = network.scratch().join("other/validator.key");
    run(&["key", "generate", "--out", path_text(&other)]).await.result();
    let foreign = run(&["sign-state", "import", "--key", path_text(&other), path_text(&late)]).await;
    foreign.fails_naming(&[path_text(&late), "of the key"]);
    network.start(0).await;
    network.wait_blocks(0, 2).await;
}

#[tokio::test]
async fn a_key_without_its_own_sign_state_signs_nothing_unless_told() {
    let _turn = turn().await;
    let mut network = Network::create(1).await;
    let (_, sign_state) = key_files(&network);
    network.start(0).await;
    network.wait_height(0, 2).await;
    stop(&mut network).await;
    let moved = network.scratch().join("moved.sign-state");
    std::fs::rename(&sign_state, &moved).unwrap();
    fails_to_start(&network, &[path_text(&sign_state), "heddle sign-state import", "--unsafe-init-sign-state"]).await;
    assert!(!sign_state.exists());

    // That of the same key on another chain, and that of another key.
    let another = Network::create(1).await;
    std::fs::copy(&moved, &sign_state).unwrap();
    std::fs::copy(another.genesis(), network.genesis()).unwrap();
    std::fs::rename(network.node_dir(0).join("data"), network.node_dir(0).join("kept")).unwrap();
    fails_to_start(&network, &[path_text(&sign_state), "genesis hash"]).await;
    let (_, theirs) = key_files(&another);
    std::fs::copy(theirs, &sign_state).unwrap();
    fails_to_start(&network, &[path_text(&sign_state), "of the key"]).await;
}

#[tokio::test]
async fn a_key_told_to_forget_starts_again_and_remembers_from_there() {
    let _turn = turn().await;
    let mut network = Network::create(1).await;
    let (key, sign_state) = key_files(&network);
    network.start(0).await;
    network.wait_height(0, 2).await;
    stop(&mut network).await;
    std::fs::remove_file(&sign_state).unwrap();
    network.configure(0, |toml| _ = toml.insert("unsafe-init-sign-state".into(), true.into()));
    network.start(0).await;
    let height = network.wait_blocks(0, 2).await;
    stop(&mut network).await;
    network.configure(0, |toml| _ = toml.remove("unsafe-init-sign-state"));
    assert!(shown(&key).await["height"].as_u64() >= Some(height));
    network.start(0).await;
    network.wait_blocks(0, 2).await;
}

#[tokio::test]
async fn damaged_files_are_named_with_their_repair() {
    let _turn = turn().await;
    let mut network = Network::create(1).await;
    network.start(0).await;
    network.wait_height(0, 2).await;
    stop(&mut network).await;
    let database = network.node_dir(0).join("data/db");
    // The database first: once it opens, its manifest has another name.
    let current = std::fs::read_to_string(database.join("CURRENT")).unwrap();
    let manifest = format!("data/db/{}", current.trim());
    for (file, repair) in [
        ("data/db/heddle.sequence", "restore it from a copy"),
        ("data/db/CURRENT", "restore it from a copy"),
        (&manifest, "restore it from a copy"),
        ("validator.key.sign-state", "heddle sign-state import"),
        ("data/consensus.log", "move it away"),
    ] {
        let path = network.node_dir(0).join(file);
        let good = std::fs::read(&path).unwrap();
        let mut flipped = good.clone();
        flipped[5] ^= 0x10;
        for damaged in [&flipped[..], &good[..good.len() / 2]] {
            std::fs::write(&path, damaged).unwrap();
            let named = if file.starts_with("data/db") { &database } else { &path };
            fails_to_start(&network, &[path_text(named), repair]).await;
        }
        std::fs::write(&path, good).unwrap();
    }
    // The log's repair, as it is told.
    let log = network.node_dir(0).join("data/consensus.log");
    std::fs::write(&log, "damage").unwrap();
    std::fs::rename(&log, network.scratch().join("away")).unwrap();
    network.start(0).await;
    network.wait_blocks(0, 2).await;
}
