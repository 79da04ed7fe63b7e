//! Who connects to whom.

use crate::support::{Doomed, GENESIS, Node, OTHER_GENESIS, Plan, quic, tcp, within, without_peer_id};
use alloy_primitives::Bytes;
use heddle_network::{Multiaddr, Topic};
use heddle_primitives::Request;
use libp2p::multiaddr::Protocol;

async fn two_nodes_connect(listen: Vec<Multiaddr>, transport: &str) {
    let a = Plan::new().listen(listen.clone()).start().await;
    let b = Plan::new().listen(listen).bootnodes(&[&a]).start().await;
    let seen_by_a = a.until_connected(&b).await;
    let seen_by_b = b.until_connected(&a).await;
    assert!(seen_by_a.inbound && !seen_by_b.inbound);
    assert!(seen_by_b.address.to_string().contains(transport), "{}", seen_by_b.address);
    assert!(seen_by_b.agent.starts_with("heddle/"), "{}", seen_by_b.agent);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_connect_over_tcp() {
    two_nodes_connect(tcp(), "/tcp/").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_connect_over_quic() {
    two_nodes_connect(quic(), "/quic-v1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_nodes_find_each_other_through_one_bootnode() {
    let bootnode = Plan::new().start().await;
    let mut nodes = vec![bootnode];
    for _ in 0..3 {
        let node = Plan::new().bootnodes(&[&nodes[0]]).start().await;
        nodes.push(node);
    }
    for node in &nodes {
        node.until_peers("three peers", |peers| peers.len() == 3).await;
    }
}

/// A TCP address on a port that was free a moment ago.
fn free_address() -> Multiaddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_dial_each_other_at_once_end_with_one_connection() {
    let [a, b] = [(); 2].map(|()| (Plan::new(), free_address()));
    let dialling = |(plan, own): &(Plan, Multiaddr), (other, address): &(Plan, Multiaddr)| {
        let mut plan = plan.clone().listen(vec![own.clone()]);
        plan.config.bootnodes = vec![address.clone().with(Protocol::P2p(other.key.peer_id()))];
        plan.start()
    };
    let (a, b) = tokio::join!(dialling(&a, &b), dialling(&b, &a));
    a.until_connected(&b).await;
    b.until_connected(&a).await;
    let answer = within("an answer", a.handle.request(b.id(), Request::Status)).await;
    assert!(answer.is_ok(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_port_is_an_error_that_names_the_address() {
    let first = Plan::new().listen(tcp()).start().await;
    let address = without_peer_id(&first.handle.listen_addresses());
    let error = Plan::new().listen(address.clone()).try_start().await.err().unwrap().to_string();
    assert!(error.contains(&address[0].to_string()) && error.contains("in use"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_another_genesis_never_become_peers() {
    let a = Plan::new().start().await;
    let stranger = Plan::new().genesis(OTHER_GENESIS).bootnodes(&[&a]).start().await;
    let friend = Plan::new().genesis(GENESIS).bootnodes(&[&a, &stranger]).start().await;
    let changes_of_stranger = stranger.handle.watch_peers();
    a.until_connected(&friend).await;
    friend.until_connected(&a).await;
    let message = Bytes::from_static(b"for this chain only");
    friend.handle.publish(Topic::Consensus, message.clone()).await.unwrap();
    a.until_seen(&message).await;
    assert!(!stranger.has_seen(&message));
    assert_eq!(stranger.handle.peer_count(), 0);
    assert!(!changes_of_stranger.has_changed().unwrap(), "it never had a peer");
    assert!(a.handle.peers().iter().all(|peer| peer.peer_id != stranger.id()));
}

/// `plan` again, on the port that `node` had, which may be held for a moment after its end.
async fn restart(plan: Plan, addresses: &[Multiaddr]) -> Node {
    let plan = plan.listen(without_peer_id(addresses));
    within("the port to be free", async {
        loop {
            match plan.clone().try_start().await {
                Ok(node) => return node,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootnode_is_redialled_after_it_restarts() {
    let plan = Plan::new().listen(tcp());
    let bootnode = plan.clone().start().await;
    let addresses = bootnode.handle.listen_addresses();
    let node = Plan::new().hidden().bootnodes(&[&bootnode]).start().await;
    node.until_connected(&bootnode).await;

    let id = bootnode.id();
    bootnode.stop().await;
    node.until_lost(id).await;
    let bootnode = restart(plan, &addresses).await;
    node.until_connected(&bootnode).await;
    bootnode.until_connected(&node).await;
}

async fn a_killed_node_comes_back(listen: Vec<Multiaddr>) {
    let survivor = Plan::new().listen(listen.clone()).start().await;
    let plan = Plan::new().listen(listen).bootnodes(&[&survivor]);
    let victim = Doomed::start(plan.clone()).await;
    survivor.until_connected(&victim.node).await;
    let addresses = victim.node.handle.listen_addresses();
    victim.kill();

    // It dials while the survivor may still believe in the old connection.
    let victim = restart(plan, &addresses).await;
    victim.until_connected(&survivor).await;
    let message = Bytes::from_static(b"back again");
    victim.handle.publish(Topic::Consensus, message.clone()).await.unwrap();
    survivor.until_seen(&message).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_comes_back_over_tcp() {
    a_killed_node_comes_back(tcp()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_comes_back_over_quic() {
    a_killed_node_comes_back(quic()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_peers_than_allowed_and_a_free_place_is_taken() {
    let mut hub = Plan::new();
    hub.config.peers_max = 2;
    let hub = hub.start().await;
    let mut changes = hub.handle.watch_peers();
    let most = tokio::spawn(async move {
        let mut most = 0;
        while changes.changed().await.is_ok() {
            most = most.max(changes.borrow_and_update().len());
        }
        most
    });
    let spoke = || Plan::new().hidden().bootnodes(&[&hub]).start();
    let mut spokes = [spoke().await, spoke().await, spoke().await];
    let two = hub.until_peers("two peers", |peers| peers.len() == 2).await;
    spokes.sort_by_key(|spoke| two.iter().all(|peer| peer.peer_id != spoke.id()));
    let [first, _second, refused] = spokes;
    assert!(two.iter().all(|peer| peer.peer_id != refused.id()));

    first.stop().await;
    refused.until_connected(&hub).await;
    hub.until_connected(&refused).await;
    hub.stop().await;
    assert_eq!(within("the end of the hub", most).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_ends_with_its_last_handle() {
    let (handle, service, ..) = Plan::new().parts().await.unwrap();
    let service = tokio::spawn(service.run());
    drop(handle);
    within("the end of the service", service).await.unwrap().unwrap();
}
