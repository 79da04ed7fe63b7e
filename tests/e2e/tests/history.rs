//! A node that keeps the states of a few blocks only.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use heddle_e2e::{CallError, Network, account, ether, eventually, path_text, run, turn};
use serde_json::json;

#[tokio::test]
async fn old_states_are_pruned_while_blocks_are_committed_and_over_a_kill() {
    let _turn = turn().await;
    let mut network = Network::create_with(1, &["--block-time", "100ms"]).await;
    network.configure(0, |toml| {
        toml.insert("history".into(), "full(3)".into());
    });
    network.start(0).await;
    network.wait_blocks(0, 3).await;
    network.kill9(0).await;
    network.start(0).await;

    let rpc = network.rpc(0);
    let message = eventually("an answer that the state of block 5 is pruned", async || {
        match rpc.try_call("eth_getBalance", json!([account(0).address(), "0x5"])).await {
            Err(CallError::Rejected { message, .. }) if message.contains("pruned") => Some(message),
            _ => None,
        }
    })
    .await;
    let oldest: u64 = message.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(oldest > 5, "{message}");
    assert!(!rpc.block(1).await.is_null(), "blocks are kept");
    assert_eq!(rpc.balance(account(0).address()).await, ether(10_000));

    // What a kill leaves can be pruned further, to the block.
    network.kill9(0).await;
    let datadir = network.node_dir(0).join("data");
    let prune = ["db", "prune", "--datadir", path_text(&datadir), "--history", "full:3"];
    let result = run(&prune).await.result();
    assert_eq!(result["oldest"].as_u64().unwrap(), result["head"].as_u64().unwrap() - 3);
    assert_eq!(run(&prune).await.result()["blocks"], 0);
}
