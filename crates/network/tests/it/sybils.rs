//! Many identities in few places do not surround a node.

use crate::support::{Node, Plan, tcp, within};
use futures::StreamExt;
use heddle_network::{Multiaddr, PeerState};
use libp2p::{
    Swarm, SwarmBuilder,
    multiaddr::Protocol,
    noise, ping,
    swarm::{SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use std::time::Duration;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpSocket},
    task::JoinSet,
    time::sleep,
};

/// Identities, and the addresses that they share.
const IDENTITIES: usize = 200;
const ADDRESSES: usize = 4;
/// The victim's places, and those of them that peers who dial it may have: more for each address of the sybils than the
/// honest peers need, who share one address here.
const PEERS_MAX: u32 = 32;
const INBOUND_MAX: usize = 24;
/// How long an identity that was turned away rests.
const REST: Duration = Duration::from_secs(2);

/// Where to dial to reach the victim, which listens at `port`, from the address of this index and not from the one
/// where the honest peers are: libp2p leaves to the system what it dials from.
async fn way_from(index: usize, port: u16) -> Multiaddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let way = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port()).parse().unwrap();
    let (from, victim) = ([127, 0, 0, 2 + index as u8], ([127, 0, 0, 1], port));
    tokio::spawn(async move {
        while let Ok((mut sybil, _)) = listener.accept().await {
            tokio::spawn(async move {
                let socket = TcpSocket::new_v4()?;
                socket.bind((from, 0).into())?;
                copy_bidirectional(&mut sybil, &mut socket.connect(victim.into()).await?).await
            });
        }
    });
    way
}

/// Does nothing but hold connections.
fn sybil() -> Swarm<ping::Behaviour> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| ping::Behaviour::default())
        .unwrap()
        .build()
}

/// Dials the victim again and again.
async fn besiege(mut swarm: Swarm<ping::Behaviour>, way: Multiaddr) {
    loop {
        swarm.dial(DialOpts::unknown_peer_id().address(way.clone()).build()).unwrap();
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
    let port_in = |address: &Multiaddr| {
        address.iter().find_map(|part| if let Protocol::Tcp(port) = part { Some(port) } else { None })
    };
    let port = victim.handle.listen_addresses().first().and_then(port_in).unwrap();
    let mut siege = JoinSet::new();
    let mut ways = Vec::new();
    for index in 0..ADDRESSES {
        ways.push(way_from(index, port).await);
    }
    for way in ways.iter().cycle().take(IDENTITIES) {
        siege.spawn(besiege(sybil(), way.clone()));
    }
    until_surrounded(&victim, INBOUND_MAX).await;
    let honest = || Plan::new().hidden().bootnodes(&[&victim]).start();
    let honest = [honest().await, honest().await, honest().await];
    let is_there =
        |peers: &[heddle_network::PeerInfo]| honest.iter().all(|one| peers.iter().any(|peer| peer.peer_id == one.id()));
    victim.until_peers("all honest peers", is_there).await;
}
