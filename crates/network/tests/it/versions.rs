//! Peers with another version of the wire: what a network meets while it is upgraded node by node.

use crate::hostile::{Raw, TOPICS, prefix, tcp_address, topic};
use crate::support::{GENESIS, Plan, within};
use futures::StreamExt;
use libp2p::{
    StreamProtocol, Swarm, SwarmBuilder, gossipsub, identify, noise,
    request_response::{self, ProtocolSupport},
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};

#[derive(NetworkBehaviour)]
struct Later {
    identify: identify::Behaviour,
    gossip: gossipsub::Behaviour,
    requests: request_response::Behaviour<Raw>,
    transactions: request_response::Behaviour<Raw>,
}

/// A peer whose newest version is 2, and that serves these.
fn later(versions: &'static [u16]) -> Swarm<Later> {
    let gossip =
        gossipsub::ConfigBuilder::default().validation_mode(gossipsub::ValidationMode::Anonymous).build().unwrap();
    let mut gossip = gossipsub::Behaviour::new(gossipsub::MessageAuthenticity::Anonymous, gossip).unwrap();
    TOPICS.into_iter().for_each(|name| assert!(gossip.subscribe(&topic(name)).unwrap()));
    let [requests, transactions] = ["req", "tx"].map(|name| {
        let protocol = move |version| {
            let name = format!("{}/{name}/{version}", prefix(GENESIS));
            (StreamProtocol::try_from_owned(name).unwrap(), ProtocolSupport::Full)
        };
        request_response::Behaviour::new(versions.iter().map(protocol), Default::default())
    });
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|key| {
            let config = identify::Config::new(format!("{}/2", prefix(GENESIS)), key.public());
            Later { identify: identify::Behaviour::new(config), gossip, requests, transactions }
        })
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(std::time::Duration::from_secs(60)))
        .build()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_serves_the_version_before_its_own_stays() {
    let node = Plan::new().start().await;
    let mut peer = later(&[1, 2]);
    let id = *peer.local_peer_id();
    peer.dial(tcp_address(&node)).unwrap();
    let run = async {
        loop {
            peer.select_next_some().await;
        }
    };
    tokio::select! {
        _ = node.until_peers("the later peer", |peers| peers.iter().any(|peer| peer.peer_id == id)) => {}
        () = run => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_without_a_version_in_common_is_let_go() {
    let node = Plan::new().start().await;
    let mut peer = later(&[2]);
    peer.dial(tcp_address(&node)).unwrap();
    within("the end of the connection", async {
        while !matches!(peer.select_next_some().await, SwarmEvent::ConnectionClosed { .. }) {}
    })
    .await;
    assert_eq!(node.handle.peer_count(), 0);
}
