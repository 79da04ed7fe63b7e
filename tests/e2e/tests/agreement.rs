//! Four validators in four processes agree.

use heddle_e2e::{Network, turn};
use std::collections::BTreeSet;

#[tokio::test]
async fn four_nodes_reach_height_20_and_agree_on_every_hash() {
    let _turn = turn().await;
    let mut network = Network::create(4).await;
    network.start_all().await;
    network.wait_heights(0..4, 20).await;
    network.check_agreement(0..4, 20).await;

    let mut proposers = BTreeSet::new();
    for number in 1..=20 {
        let block = network.rpc(0).block(number).await;
        assert_eq!(block["parentHash"].as_str(), Some(&*network.rpc(0).hash(number - 1).await.to_string()));
        proposers.insert(block["miner"].as_str().map(str::to_owned));
    }
    assert_eq!(proposers.len(), 4, "each validator proposes in turn: {proposers:?}");
}
