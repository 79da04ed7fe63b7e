//! A block that the operator knows from elsewhere.

use crate::fixture::{add_joiner, check_database, check_follows, network, wait_state};
use alloy_primitives::B256;
use heddle_e2e::{Network, turn};

/// Before every state that is offered.
const HEIGHT: u64 = 5;

fn set_checkpoint(network: &mut Network, node: usize, hash: B256) {
    network.configure(node, |toml| _ = toml.insert("checkpoint".into(), format!("{HEIGHT}:{hash}").into()));
}

/// Starts a node that must end with a sentence that names both blocks, and be at a height before the checkpoint then.
async fn ends_naming(network: &mut Network, node: usize, hashes: [B256; 2]) {
    network.launch(node);
    let (status, _) = network.process(node).ended().await;
    let log = network.process(node).log();
    assert_eq!(status.code(), Some(1), "{status}:\n{log}");
    let cause = log.lines().last().unwrap_or_default();
    for hash in hashes {
        assert!(cause.contains(&hash.to_string()), "{hash} is not in {cause:?}");
    }
    network.forget(node);
    assert!(check_database(network, node).await < HEIGHT);
}

#[tokio::test]
async fn only_the_chain_with_the_checkpoint_is_followed() {
    let _turn = turn().await;
    let mut network = network().await;
    let (right, wrong) = (network.rpc(0).hash(HEIGHT).await, network.rpc(0).hash(HEIGHT + 1).await);

    let node = add_joiner(&mut network);
    set_checkpoint(&mut network, node, wrong);
    ends_naming(&mut network, node, [right, wrong]).await;
    set_checkpoint(&mut network, node, right);
    network.start(node).await;
    let began = wait_state(&mut network, node).await;
    check_follows(&mut network, node, began).await;

    let node = network.add_follower();
    set_checkpoint(&mut network, node, wrong);
    ends_naming(&mut network, node, [right, wrong]).await;
    set_checkpoint(&mut network, node, right);
    network.start(node).await;
    let height = network.wait_blocks(0, 2).await;
    network.wait_height(node, height).await;
    network.check_agreement([0, node], height).await;
    // What it has contradicts what it is told now.
    network.stop(node).await;
    set_checkpoint(&mut network, node, wrong);
    network.launch(node);
    let (status, _) = network.process(node).ended().await;
    let log = network.process(node).log();
    assert_eq!(status.code(), Some(1), "{status}:\n{log}");
    for hash in [right, wrong] {
        assert!(log.lines().last().unwrap_or_default().contains(&hash.to_string()), "{log}");
    }
}
