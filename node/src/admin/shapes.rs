//! The node and its peers in go-ethereum's shapes, with what is the network's own beside. There is no `enode`: nobody could
//! dial it.

use heddle_chain::Chain;
use heddle_network::{Multiaddr, NetworkHandle, PeerRecord, PeerState, client_version};
use serde_json::{Value, json};

/// The node itself, as others would add it.
pub(super) fn node_info(network: &NetworkHandle, chain: &Chain) -> Value {
    let addresses = network.listen_addresses();
    let own = addresses.iter().find_map(socket);
    let (ip, port) = own.as_ref().map_or(("", 0), |(ip, port)| (ip.as_str(), *port));
    let (genesis, head) = (chain.genesis(), chain.head());
    json!({
        "id": network.local_peer_id().to_string(),
        "name": client_version(),
        "ip": ip,
        "ports": { "discovery": port, "listener": port },
        "listenAddr": own.as_ref().map(host_and_port).unwrap_or_default(),
        "listenAddresses": addresses,
        "protocols": {
            "eth": {
                "network": genesis.chain_id(),
                "difficulty": 0,
                "genesis": genesis.hash(),
                "config": genesis.config(),
                "head": head.hash(),
            },
        },
    })
}

/// What is known of a peer. Those that are kept are what go-ethereum calls static and trusted: redialled always, and
/// exempt from limits.
pub(super) fn peer(record: &PeerRecord) -> Value {
    json!({
        "id": record.peer_id.to_string(),
        "name": record.agent,
        "caps": if record.state == PeerState::Ready { &["heddle/1"][..] } else { &[] },
        "network": {
            "localAddress": null,
            "remoteAddress": record.addresses.iter().find_map(socket).as_ref().map(host_and_port),
            "inbound": record.inbound,
            "trusted": record.persistent,
            "static": record.persistent,
        },
        "protocols": protocols(record.state),
        "addresses": record.addresses,
        "state": record.state.to_string(),
        "inbound": record.inbound,
        "persistent": record.persistent,
        "score": record.score,
        "bannedForSeconds": record.banned_for.map(|time| time.as_secs()),
        "lastSeenSecondsAgo": record.last_seen.map(|time| time.as_secs()),
    })
}

/// Whether a peer is one of those that go-ethereum would list.
pub(super) fn is_connected(record: &PeerRecord) -> bool {
    matches!(record.state, PeerState::Ready | PeerState::Connected)
}

fn protocols(state: PeerState) -> Value {
    match state {
        PeerState::Ready => json!({ "heddle": { "version": 1 } }),
        PeerState::Connected => json!({ "heddle": "handshake" }),
        PeerState::Dialing | PeerState::Idle => json!({}),
    }
}

/// The host and the port of an address such as `/ip4/192.0.2.1/tcp/30303`, or of one by QUIC.
fn socket(address: &Multiaddr) -> Option<(String, u16)> {
    let text = address.to_string();
    let mut parts = text.split('/').skip(1);
    let (_kind, host, transport, port) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if matches!(transport, "tcp" | "udp") { Some((host.to_owned(), port.parse().ok()?)) } else { None }
}

fn host_and_port((host, port): &(String, u16)) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heddle_network::PeerId;
    use std::time::Duration;

    #[test]
    fn addresses_are_shown_as_go_ethereum_does() {
        for (address, shown) in [
            ("/ip4/192.0.2.1/tcp/30303", Some("192.0.2.1:30303")),
            ("/ip6/2001:db8::1/udp/7/quic-v1", Some("[2001:db8::1]:7")),
            ("/dns4/node.example.org/tcp/1", Some("node.example.org:1")),
            ("/ip4/192.0.2.1", None),
            ("/memory/7", None),
        ] {
            let socket = socket(&address.parse().unwrap());
            assert_eq!(socket.as_ref().map(host_and_port).as_deref(), shown, "{address}");
        }
    }

    #[test]
    fn a_peer_has_the_fields_of_both() {
        let record = PeerRecord {
            peer_id: PeerId::random(),
            addresses: vec!["/ip4/192.0.2.1/tcp/30303".parse().unwrap()],
            state: PeerState::Ready,
            inbound: true,
            persistent: true,
            score: 1.5,
            banned_for: None,
            last_seen: Some(Duration::ZERO),
            agent: "heddle/v1".to_owned(),
        };
        let shown = peer(&record);
        let network = json!({
            "localAddress": null, "remoteAddress": "192.0.2.1:30303", "inbound": true, "trusted": true, "static": true,
        });
        assert_eq!((&shown["network"], &shown["caps"]), (&network, &json!(["heddle/1"])));
        assert_eq!((&shown["state"], &shown["persistent"]), (&json!("ready"), &json!(true)));
        let idle = PeerRecord { state: PeerState::Idle, ..record };
        assert!(!is_connected(&idle) && peer(&idle)["protocols"] == json!({}));
    }
}
