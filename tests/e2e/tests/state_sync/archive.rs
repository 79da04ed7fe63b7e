//! A state in a file.

use crate::fixture::{check_database, check_follows, network};
use heddle_e2e::{Finished, Network, path_text, run, turn};
use std::path::Path;

async fn verify(genesis: &Path, file: &Path) -> Finished {
    run(&["snapshot", "verify", "--chain", path_text(genesis), path_text(file)]).await
}

async fn restore(genesis: &Path, datadir: &Path, file: &Path) -> Finished {
    let (genesis, datadir) = (path_text(genesis), path_text(datadir));
    run(&["snapshot", "restore", "--chain", genesis, "--datadir", datadir, path_text(file)]).await
}

/// A copy of a file with another byte in its middle.
fn damaged(file: &Path) -> std::path::PathBuf {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let copy = file.with_extension("damaged");
    std::fs::write(&copy, bytes).unwrap();
    copy
}

#[tokio::test]
async fn a_file_written_beside_a_running_node_begins_a_chain() {
    let _turn = turn().await;
    let mut network = network().await;
    let genesis = network.genesis();
    let file = network.scratch().join("state.heddle");
    let before = network.rpc(0).height().await;
    let created = run(&["snapshot", "create", "--datadir", path_text(&network.datadir(0)), path_text(&file)]).await;
    let created = created.result();
    let number = created["number"].as_u64().unwrap();
    assert!(number >= before, "{created}");
    assert_eq!(created["hash"], network.rpc(0).block(number).await["hash"]);
    network.wait_blocks(0, 1).await;
    let verified = verify(&genesis, &file).await.result();
    for key in ["number", "hash", "stateRoot", "accounts", "slots", "codes", "chunks", "bytes"] {
        assert_eq!(verified[key], created[key], "{key}");
    }

    refuses(&network, &file).await;

    let restored = network.add_follower();
    let result = restore(&genesis, &network.datadir(restored), &file).await.result();
    assert_eq!(result["hash"], created["hash"]);
    assert_eq!(check_database(&network, restored).await, number);
    let from_file = network.add_follower();
    network.configure(from_file, |toml| {
        toml.insert("sync".into(), "from-file".into());
        toml.insert("snapshot.file".into(), path_text(&file).into());
    });
    for node in [restored, from_file] {
        network.start(node).await;
        check_follows(&mut network, node, number).await;
        network.stop(node).await;
        assert!(check_database(&network, node).await > number);
    }
}

/// A file that is damaged, or of another chain, begins nothing.
async fn refuses(network: &Network, file: &Path) {
    let (genesis, damaged) = (network.genesis(), damaged(file));
    let empty = network.scratch().join("empty");
    let words = [path_text(&damaged), "chunk", "SHA-256"];
    verify(&genesis, &damaged).await.fails_naming(&words);
    restore(&genesis, &empty, &damaged).await.fails_naming(&words);
    let checked = run(&["db", "check", "--datadir", path_text(&empty)]).await.result();
    assert_eq!((&checked["head"], &checked["findings"]), (&0.into(), &0.into()), "genesis and nothing else");

    let other = network.scratch().join("other.json");
    let text = std::fs::read_to_string(&genesis).unwrap();
    std::fs::write(&other, text.replacen("\"timestamp\":\"0x0\"", "\"timestamp\":\"0x1\"", 1)).unwrap();
    let words = [path_text(file), "is of the chain with genesis"];
    verify(&other, file).await.fails_naming(&words);
    restore(&other, &network.scratch().join("of-other"), file).await.fails_naming(&words);
}
