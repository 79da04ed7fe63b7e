//! Peers that have the state.

use crate::fixture::{INTERVAL, add_joiner, check_database, check_follows, network, wait_state};
use heddle_e2e::{Network, turn};
use heddle_network::NodeKey;

/// Where peers reach a node that has been started.
fn address(network: &Network, node: usize) -> String {
    let port = network.configuration(node)["port"].clone();
    let key = std::fs::read_to_string(network.datadir(node).join("node.key")).unwrap();
    format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", NodeKey::from_hex(key.trim()).unwrap().peer_id())
}

#[tokio::test]
async fn a_new_node_begins_with_a_state_and_gives_it_to_the_next_one() {
    let _turn = turn().await;
    let mut network = network().await;
    let first = add_joiner(&mut network);
    network.start(first).await;
    let began = wait_state(&mut network, first).await;
    let interval = u64::from(INTERVAL);
    assert!(began > 0 && began.is_multiple_of(interval), "{began}");
    check_follows(&mut network, first, began).await;
    let rpc = network.rpc(first);
    assert!(rpc.block(3).await.is_null(), "it never had the block");

    // Nobody else is left to ask, and it has the state of a height that it reached by itself.
    network.wait_height(first, began + interval).await;
    for validator in 0..2 {
        network.stop(validator).await;
    }
    let height = rpc.height().await;
    let address = address(&network, first);
    let second = add_joiner(&mut network);
    network.configure(second, |toml| _ = toml.insert("bootnodes".into(), vec![address.clone()].into()));
    network.start(second).await;
    let began_second = wait_state(&mut network, second).await;
    network.wait_height(second, height).await;
    for validator in 0..2 {
        network.start(validator).await;
    }
    check_follows(&mut network, second, began_second).await;
    check_follows(&mut network, first, began).await;

    // Of the two that a node knows that computes everything, one never had what it begins with.
    let full = network.add_follower();
    let known = vec![address, network.addresses()[0].as_str().unwrap().to_owned()];
    network.configure(full, |toml| _ = toml.insert("bootnodes".into(), known.into()));
    network.start(full).await;
    let height = network.wait_blocks(0, 2).await;
    network.wait_heights([first, second, full], height).await;
    network.check_agreement([0, full], height).await;

    for node in [first, second, full] {
        network.stop(node).await;
        assert!(check_database(&network, node).await >= height);
    }
}
