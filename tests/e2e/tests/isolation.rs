//! Chains of different genesis files do not meet.

use heddle_e2e::{Network, eventually, turn};

#[tokio::test]
async fn nodes_of_different_genesis_files_never_exchange_a_block() {
    let _turn = turn().await;
    let mut ours = Network::create(2).await;
    let mut theirs = Network::create(2).await;
    let (our_addresses, their_addresses) = (ours.addresses(), theirs.addresses());
    for node in 0..2 {
        // Each is told that the other chain's nodes are its peers.
        ours.configure(node, |toml| _ = toml.insert("bootnodes".into(), their_addresses.clone().into()));
        theirs.configure(node, |toml| _ = toml.insert("bootnodes".into(), our_addresses.clone().into()));
    }
    // A follower without blocks of its own would take any that it is given.
    let follower = ours.add_follower();
    ours.configure(follower, |toml| toml["bootnodes"] = their_addresses.clone().into());

    ours.start(follower).await;
    theirs.start_all().await;
    theirs.wait_heights(0..2, 10).await;
    assert_eq!(ours.rpc(follower).height().await, 0);
    assert_eq!(ours.rpc(follower).peer_count().await, 0);

    ours.start_all().await;
    ours.wait_heights(0..2, 10).await;
    for network in [&ours, &theirs] {
        network.check_agreement(0..2, 10).await;
        for node in 0..2 {
            eventually("the one peer of this chain", async || {
                let peers = network.rpc(node).peer_count().await;
                assert!(peers <= 2, "{peers} peers on a chain of three nodes");
                (peers >= 1).then_some(())
            })
            .await;
        }
    }
    for number in 0..=10 {
        assert_ne!(ours.rpc(0).hash(number).await, theirs.rpc(0).hash(number).await, "block {number}");
    }
    assert!(theirs.rpc(0).peer_count().await <= 1, "a node of another chain is counted as a peer");
}
