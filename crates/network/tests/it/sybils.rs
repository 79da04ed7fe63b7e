//! Many identities in few places do not surround a node.

use crate::support::{Node, Plan, tcp, within};
use futures::StreamExt;
use heddle_network::{Multiaddr, PeerState};
use libp2p::{
    Swarm, SwarmBuilder, noise, ping,
    swarm::{SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use std::time::Duration;
use tokio::{task::JoinSet, time::sleep};

/// Identities, and the addresses that they share.
const IDENTITIES: usize = 200;
const ADDRESSES: usize = 4;
/// The victim's places, and those of them that peers who dial it may have: more for each address of the sybils than the
/// honest peers need, who share one address here.
const PEERS_MAX: u32 = 32;
const INBOUND_MAX: usize = 24;
/// How long an identity that was turned away rests.
const REST: Duration = Duration::from_secs(2);

/// Does nothing but hold connections.
async fn sybil(index: usize) -> Swarm<ping::Behaviour> {
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| ping::Behaviour::default())
        .unwrap()
        .build();
    // What it dials comes from where it listens.
    let own = format!("/ip4/127.0.0.{}/tcp/0", 2 + index % ADDRESSES).parse().unwrap();
    swarm.listen_on(own).unwrap();
    while !matches!(swarm.select_next_some().await, SwarmEvent::NewListenAddr { .. }) {}
    swarm
}

/// Dials `victim` again and again.
async fn besiege(mut swarm: Swarm<ping::Behaviour>, victim: Multiaddr) {
    loop {
        swarm.dial(DialOpts::unknown_peer_id().address(victim.clone()).build()).unwrap();
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionClosed { .. } | SwarmEvent::OutgoingConnectionError { .. } => break,
                _ => {}
            }
        }
        sleep(REST).await;
    }
}

async fn until_surrounded(victim: &Node, places: usize) {
    within("the siege", async {
        loop {
            let records = victim.handle.peer_records().await.unwrap();
            if records.iter().filter(|record| record.state == PeerState::Connected).count() >= places {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_sybils_do_not_keep_honest_peers_out() {
    let victim = Plan::new().listen(tcp()).with(|config| config.peers_max = PEERS_MAX).start().await;
    let address = victim.handle.listen_addresses().remove(0);
    let mut siege = JoinSet::new();
    for index in 0..IDENTITIES {
        siege.spawn(besiege(sybil(index).await, address.clone()));
    }
    until_surrounded(&victim, INBOUND_MAX).await;
    let honest = || Plan::new().hidden().bootnodes(&[&victim]).start();
    let honest = [honest().await, honest().await, honest().await];
    let is_there =
        |peers: &[heddle_network::PeerInfo]| honest.iter().all(|one| peers.iter().any(|peer| peer.peer_id == one.id()));
    victim.until_peers("all honest peers", is_there).await;
}
