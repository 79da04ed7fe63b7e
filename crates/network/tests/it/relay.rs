//! Peers that cannot be dialled are reached through a relay, and directly where that comes to be possible.

use crate::support::{Node, Plan, within};
use alloy_primitives::Bytes;
use heddle_network::{Multiaddr, Topic};
use heddle_primitives::Request;
use libp2p::multiaddr::Protocol;

fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

async fn relay() -> Node {
    Plan::new().with(|config| config.relay_server = true).start().await
}

fn reached_through(relay: &Node, plan: Plan) -> Plan {
    plan.with(|config| config.relays = vec![relay.handle.listen_addresses().remove(0)])
}

/// Waits until the relay holds a place; the address there.
async fn until_reserved(node: &Node) -> Multiaddr {
    let mut addresses = node.handle.watch_listen_addresses();
    let reserved =
        within("a place at the relay", addresses.wait_for(|addresses| addresses.iter().any(is_relayed))).await;
    reserved.unwrap().iter().find(|address| is_relayed(address)).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_cannot_be_dialled_connect_through_a_relay() {
    let relay = relay().await;
    let hidden = reached_through(&relay, Plan::new().hidden()).start().await;
    let address = until_reserved(&hidden).await;
    let other = Plan::new().hidden().with(|config| config.bootnodes = vec![address]).start().await;
    let seen = other.until_connected(&hidden).await;
    assert!(is_relayed(&seen.address) && !seen.inbound, "{seen:?}");
    let seen = hidden.until_connected(&other).await;
    assert!(is_relayed(&seen.address) && seen.inbound, "{seen:?}");
    let answer = within("an answer", other.handle.request(hidden.id(), Request::Status)).await;
    assert!(answer.is_ok(), "{answer:?}");
    let message = Bytes::from_static(b"through the relay");
    hidden.handle.publish(Topic::Consensus, message.clone()).await.unwrap();
    other.until_seen(&message).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relayed_connection_becomes_a_direct_one() {
    let relay = relay().await;
    let node = reached_through(&relay, Plan::new()).start().await;
    let address = until_reserved(&node).await;
    let other = Plan::new().bootnodes(&[&relay]).with(|config| config.bootnodes.push(address)).start().await;
    let is_direct = |id| {
        move |peers: &[heddle_network::PeerInfo]| {
            peers.iter().any(|peer| peer.peer_id == id && !is_relayed(&peer.address))
        }
    };
    other.until_peers("a direct connection", is_direct(node.id())).await;
    node.until_peers("a direct connection", is_direct(other.id())).await;
    // Where both dialled at once one connection gives way to the other, and a request may fall between them.
    let answered = async {
        while other.handle.request(node.id(), Request::Status).await.is_err() {
            other.until_peers("a direct connection", is_direct(node.id())).await;
        }
    };
    within("an answer", answered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_no_relay_gives_no_place() {
    let no_relay = Plan::new().start().await;
    let hidden = reached_through(&no_relay, Plan::new().hidden()).start().await;
    hidden.until_connected(&no_relay).await;
    let friend = Plan::new().hidden().bootnodes(&[&no_relay]).start().await;
    no_relay.until_connected(&friend).await;
    assert!(hidden.handle.listen_addresses().is_empty());
}
