//! Who is let in.

use crate::{
    names::NameServer,
    support::{Node, Plan, within},
};
use heddle_network::{NodeKey, PeerFilter};
use hickory_proto::rr::{RData, rdata::TXT};
use prometheus_client::encoding::text::encode;

/// `unwelcome` never becomes a peer of `host`, which meanwhile connects with `welcome`.
async fn only_one_is_let_in(host: &Node, welcome: &Node, unwelcome: &Node) {
    let unwelcome_sees = unwelcome.handle.watch_peers();
    host.until_connected(welcome).await;
    welcome.until_connected(host).await;
    assert!(!unwelcome_sees.has_changed().unwrap(), "it never had a peer");
    assert!(host.handle.peers().iter().all(|peer| peer.peer_id == welcome.id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reserved_connect_with_each_other_only() {
    let friend = Plan::new().start().await;
    let host = Plan::new().persistent(&[&friend]).with(|config| config.reserved_only = true).start().await;
    let stranger = Plan::new().hidden().bootnodes(&[&host]).start().await;
    only_one_is_let_in(&host, &friend, &stranger).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reserved_node_does_not_dial_bootnodes() {
    let (friend, bootnode) = (Plan::new().start().await, Plan::new().start().await);
    let host = Plan::new().persistent(&[&friend]).bootnodes(&[&bootnode]).with(|config| config.reserved_only = true);
    let host = host.hidden().start().await;
    only_one_is_let_in(&host, &friend, &bootnode).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_denied_are_refused() {
    let foe = Plan::new().hidden();
    let denied = PeerFilter::Peer(foe.key.peer_id());
    let host = Plan::new().with(|config| config.deny = vec![denied]).start().await;
    let foe = foe.bootnodes(&[&host]).start().await;
    let friend = Plan::new().hidden().bootnodes(&[&host]).start().await;
    only_one_is_let_in(&host, &friend, &foe).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_refused_whoever_dials() {
    let loopback: PeerFilter = "127.0.0.0/8".parse().unwrap();
    let (outside, inside) = (Plan::new().start().await, Plan::new().start().await);
    let host = Plan::new().bootnodes(&[&outside]).with(|config| config.deny = vec![loopback]).start().await;
    let dialling = Plan::new().bootnodes(&[&host, &inside]).start().await;
    let host_sees = host.handle.watch_peers();
    dialling.until_connected(&inside).await;
    assert!(!host_sees.has_changed().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persistent_peer_finds_room_where_there_is_none() {
    let hub = Plan::new().with(|config| config.peers_max = 1).start().await;
    let stranger = Plan::new().hidden().bootnodes(&[&hub]).start().await;
    hub.until_connected(&stranger).await;
    let second = Plan::new().hidden().bootnodes(&[&hub]).start().await;
    let friend = Plan::new().start().await;
    hub.handle.add_peer(friend.handle.listen_addresses().remove(0)).await.unwrap();
    hub.until_connected(&friend).await;
    assert!(hub.handle.peers().iter().all(|peer| peer.peer_id != second.id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_dials_are_counted_by_cause() {
    // It knows texts only.
    let names = NameServer::start(RData::TXT(TXT::new(Vec::new()))).await;
    let listening = Plan::new().start().await;
    let address = listening.handle.listen_addresses().remove(0);
    let somebody = NodeKey::generate().peer_id();
    let mut nobody = address.clone();
    nobody.pop();
    let plan = Plan::new().hidden().with(|config| {
        config.nameservers = vec![names.address];
        config.bootnodes = vec![
            nobody.with_p2p(somebody).unwrap(),
            format!("/ip4/127.0.0.1/tcp/1/p2p/{}", NodeKey::generate().peer_id()).parse().unwrap(),
            format!("/dns4/node.example/tcp/1/p2p/{}", NodeKey::generate().peer_id()).parse().unwrap(),
        ];
    });
    let node = plan.start().await;
    for cause in ["WrongPeer", "Refused", "Name"] {
        let counted = format!("dial_failures_total{{cause=\"{cause}\"}}");
        within(cause, async {
            loop {
                let mut text = String::new();
                encode(&mut text, &node.registry).unwrap();
                if text.contains(&counted) {
                    break;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    drop(node);
}
