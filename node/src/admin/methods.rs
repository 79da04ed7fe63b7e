//! The methods, named as go-ethereum's where it has them. Peers are named by id, addresses are multiaddrs.

use heddle_network::{NetworkHandle, PeerInfo};
use jsonrpsee::RpcModule;
use jsonrpsee::server::RegisterMethodError;
use serde_json::{Value, json};

/// All of them, about the peers of `network`.
pub(super) fn module(network: NetworkHandle) -> Result<RpcModule<NetworkHandle>, RegisterMethodError> {
    let mut module = RpcModule::new(network);
    module.register_method("admin_nodeInfo", |_, network, _| node_info(network))?;
    module.register_method("admin_peers", |_, network, _| Value::from_iter(network.peers().iter().map(peer)))?;
    Ok(module)
}

/// The node itself, as others would add it.
fn node_info(network: &NetworkHandle) -> Value {
    json!({
        "id": network.local_peer_id().to_string(),
        "name": format!("heddle/v{}", env!("CARGO_PKG_VERSION")),
        "listenAddresses": network.listen_addresses(),
    })
}

fn peer(peer: &PeerInfo) -> Value {
    json!({
        "id": peer.peer_id.to_string(),
        "name": peer.agent,
        "addresses": [peer.address],
        "state": "ready",
        "inbound": peer.inbound,
        "score": peer.score,
    })
}
