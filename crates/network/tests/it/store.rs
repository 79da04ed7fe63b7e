//! What a restart remembers.

use crate::support::{Plan, within};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_reconnects_without_bootnodes() {
    let directory = tempfile::tempdir().unwrap();
    let friend = Plan::new().start().await;
    let plan = Plan::new().hidden().with(|config| config.peer_store = Some(directory.path().join("peers.json")));
    let node = plan.clone().bootnodes(&[&friend]).start().await;
    node.until_connected(&friend).await;
    let id = node.id();
    node.stop().await;
    friend.until_lost(id).await;

    let node = plan.start().await;
    node.until_connected(&friend).await;
    friend.until_connected(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let foe = Plan::new().start().await;
    let plan = Plan::new().with(|config| config.peer_store = Some(directory.path().join("peers.json")));
    let node = plan.clone().bootnodes(&[&foe]).start().await;
    node.until_connected(&foe).await;
    node.handle.ban_peer(foe.id(), Duration::from_secs(3600)).await.unwrap();
    node.until_lost(foe.id()).await;
    node.stop().await;

    let node = plan.bootnodes(&[&foe]).start().await;
    let records = node.handle.peer_records().await.unwrap();
    let record = records.iter().find(|record| record.peer_id == foe.id()).unwrap();
    assert!(record.banned_for.is_some_and(|time| time > Duration::from_secs(3000)));
    assert!(node.handle.unban_peer(foe.id()).await.unwrap());
    node.until_connected(&foe).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_stops_no_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("peers.json");
    std::fs::write(&path, "{ \"version\": 1, \"peers\": [").unwrap();
    let friend = Plan::new().start().await;
    let plan = Plan::new().hidden().with(|config| config.peer_store = Some(path.clone()));
    let node = plan.bootnodes(&[&friend]).start().await;
    node.until_connected(&friend).await;
    within("the end of the node", node.stop()).await;
    assert!(std::fs::read_to_string(&path).unwrap().contains(&friend.id().to_string()));
}
