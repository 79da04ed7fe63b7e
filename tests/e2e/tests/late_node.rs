//! Nodes that come late, or were away, catch up.

use heddle_e2e::{Network, Signal, turn};

#[tokio::test]
async fn a_fifth_node_joins_at_height_50_and_follows() {
    let _turn = turn().await;
    let mut network = Network::create_with(4, &["--block-time", "200ms"]).await;
    network.start_all().await;
    network.wait_height(0, 50).await;

    let late = network.add_follower();
    network.start(late).await;
    let height = network.rpc(0).height().await;
    network.wait_height(late, height).await;
    // It does not only catch up, it stays.
    let height = network.wait_blocks(0, 5).await;
    network.wait_heights([0, late], height).await;
    network.check_agreement([0, late], height).await;
    let syncing = network.rpc(late).call("eth_syncing", serde_json::json!([])).await;
    assert!(syncing == false || syncing["currentBlock"].is_string(), "{syncing}");
}

#[tokio::test]
async fn a_validator_that_was_cut_off_catches_up_and_votes_again() {
    let _turn = turn().await;
    let mut network = Network::create_with(4, &["--block-time", "200ms"]).await;
    network.start_all().await;
    network.wait_heights(0..4, 3).await;

    network.process(3).signal(Signal::Stop).await;
    network.wait_blocks(0, 20).await;
    network.process(3).signal(Signal::Continue).await;
    let height = network.wait_blocks(0, 5).await;
    network.wait_height(3, height).await;

    // Without another one, the others need its votes.
    network.kill9(2).await;
    let height = network.wait_blocks(0, 5).await;
    network.wait_height(3, height).await;
    network.check_agreement([0, 1, 3], height).await;
}
