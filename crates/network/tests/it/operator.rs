//! What an operator asks while the network runs.

use crate::support::Plan;
use heddle_network::{Multiaddr, PeerCommandError, PeerId, PeerState};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_connected_and_parted() {
    let (a, b) = (Plan::new().start().await, Plan::new().start().await);
    let address = b.handle.listen_addresses().remove(0);
    a.handle.add_peer(address).await.unwrap();
    a.until_connected(&b).await;
    b.until_connected(&a).await;
    let records = a.handle.peer_records().await.unwrap();
    let record = records.iter().find(|record| record.peer_id == b.id()).unwrap();
    assert_eq!((record.state, record.persistent, record.inbound), (PeerState::Ready, true, false));
    assert_eq!((record.last_seen, record.banned_for), (Some(Duration::ZERO), None));
    assert!(record.agent.starts_with("heddle/") && !record.addresses.is_empty());

    assert!(a.handle.remove_peer(b.id()).await.unwrap());
    a.until_lost(b.id()).await;
    assert!(!a.handle.remove_peer(PeerId::random()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_banned_peer_is_gone_until_it_is_pardoned() {
    let a = Plan::new().start().await;
    let b = Plan::new().hidden().bootnodes(&[&a]).start().await;
    a.until_connected(&b).await;
    a.handle.ban_peer(b.id(), Duration::from_secs(3600)).await.unwrap();
    a.until_lost(b.id()).await;
    let refused = a.handle.add_peer(format!("/ip4/127.0.0.1/tcp/1/p2p/{}", b.id()).parse().unwrap()).await;
    assert!(matches!(&refused, Err(PeerCommandError::Refused { peer, .. }) if *peer == b.id()), "{refused:?}");
    assert!(a.handle.unban_peer(b.id()).await.unwrap());
    assert!(!a.handle.unban_peer(b.id()).await.unwrap());
    a.until_connected(&b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_must_say_who_is_there_and_be_anothers() {
    let a = Plan::new().start().await;
    let nobody: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
    assert_eq!(a.handle.add_peer(nobody.clone()).await, Err(PeerCommandError::NoPeerId(nobody)));
    let own = a.handle.listen_addresses().remove(0);
    assert_eq!(a.handle.add_peer(own).await, Err(PeerCommandError::Own));
}
