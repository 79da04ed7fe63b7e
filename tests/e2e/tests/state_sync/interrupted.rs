//! Nodes that are stopped in the middle of a state, in every way.

use crate::fixture::{BEGUN, add_joiner, check_database, check_follows, slow_network, wait_state};
use heddle_e2e::{Network, SmallDisk, eventually, turn};

/// The bytes of all answers that a node took since its start.
const ANSWERS: &str = "heddle_sync_state_response_bytes_total";

/// Waits until a node that begins with a state has fetched so many bytes of it; returns how many, or none when it has all.
async fn fetched(network: &mut Network, node: usize, bytes: u64) -> Option<u64> {
    eventually("bytes of the state", async || {
        let process = network.process(node);
        assert!(!process.has_ended(), "node {node} ended:\n{}", process.log());
        if process.log().contains(BEGUN) {
            return Some(None);
        }
        let fetched = network.metric(node, "heddle_sync_state_bytes").await;
        fetched.filter(|fetched| *fetched >= bytes).map(Some)
    })
    .await
}

/// A network of which one validator serves states: slow enough to be interrupted.
async fn slowest_network() -> Network {
    let mut network = slow_network().await;
    network.stop(1).await;
    network.configure(1, |toml| _ = toml.insert("snapshot.interval".into(), 0.into()));
    network.start(1).await;
    network
}

#[tokio::test]
async fn killed_again_and_again_it_goes_on_with_what_it_had() {
    let _turn = turn().await;
    let mut network = slowest_network().await;
    let node = add_joiner(&mut network);
    let (mut at_kill, mut answers, mut kills) = (0, 0, 0);
    network.launch(node);
    while let Some(fetched_now) = fetched(&mut network, node, at_kill + 400_000).await {
        answers += network.metric(node, ANSWERS).await.unwrap();
        network.kill9(node).await;
        network.launch(node);
        let left = fetched(&mut network, node, 1).await.unwrap_or(fetched_now);
        // A newer state replaces a few rows, whose pieces are fetched again.
        assert!(left >= fetched_now / 10 * 8, "of {fetched_now} bytes a kill left {left}");
        (at_kill, kills) = (fetched_now.max(left), kills + 1);
    }
    assert!(kills >= 2, "{kills} kills before the state was whole");
    let began = wait_state(&mut network, node).await;
    answers += network.metric(node, ANSWERS).await.unwrap();
    let bytes = network.metric(node, "heddle_sync_state_bytes").await.unwrap();
    let moves = network.process(node).log().matches("fetching the state").count() as u64;
    assert!(answers < bytes / 10 * (11 + moves), "{answers} bytes of answers in {moves} plans for {bytes} of state");
    check_follows(&mut network, node, began).await;
    network.stop(node).await;
    assert!(check_database(&network, node).await > began);

    // As a kill leaves it that comes when the chain has its state, and what was staged is not removed yet.
    std::fs::create_dir_all(network.datadir(node).join("state-sync/db")).unwrap();
    network.start(node).await;
    check_follows(&mut network, node, began).await;
}

#[tokio::test]
async fn a_full_disk_ends_it_and_room_lets_it_go_on() {
    let _turn = turn().await;
    let mut network = slowest_network().await;
    let node = add_joiner(&mut network);
    std::fs::create_dir(network.datadir(node)).unwrap();
    let Some(disk) = SmallDisk::over(&network.datadir(node), 96) else { return };
    network.launch(node);
    fetched(&mut network, node, 400_000).await.expect("a state that is not whole");
    disk.fill();
    let process = network.process(node);
    eventually("the end of the node without room", async || {
        // RocksDB may give room back while it closes files.
        disk.fill();
        process.has_ended().then_some(())
    })
    .await;
    let (status, _) = process.ended().await;
    let log = network.process(node).log();
    assert_eq!(status.code(), Some(1), "{status}:\n{log}");
    let cause = log.lines().last().unwrap_or_default();
    assert!(cause.contains("No space left"), "{cause}");
    network.forget(node);
    disk.free();
    assert_eq!(check_database(&network, node).await, 0, "genesis and nothing else");

    network.start(node).await;
    let began = wait_state(&mut network, node).await;
    check_follows(&mut network, node, began).await;
    network.stop(node).await;
    assert!(check_database(&network, node).await > began);
}
