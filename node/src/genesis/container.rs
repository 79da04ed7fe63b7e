//! What every container of a node is like, whoever starts it.

use super::network::{Network, Node, Role};
use super::node_file::NodeFile;
use std::net::{IpAddr, Ipv4Addr};

/// User and group of the image.
pub const USER: u32 = 10_001;
/// Where a node's configuration is.
pub const CONFIG: &str = "/config/node.toml";

/// Where a container has what a node reads and writes.
pub struct Paths {
    /// The data directory.
    pub datadir: &'static str,
    /// The directory of the keys.
    pub keys: &'static str,
    /// What a validator's key signed last; beside the key when absent.
    pub sign_state: Option<&'static str>,
}

/// The configuration of a node in a container, which finds another at the name that `host` gives.
///
/// # Errors
/// When a node has no identity.
pub fn node_file(
    network: &Network,
    node: &Node<'_>,
    paths: &Paths,
    host: impl Fn(&Node<'_>) -> String,
) -> Result<String, String> {
    let ports = network.description.ports;
    let address = |other: &Node<'_>| Ok(format!("/dns4/{}/tcp/{}", host(other), ports.p2p));
    let content = NodeFile {
        chain: "genesis.json",
        datadir: paths.datadir,
        keys: &format!("{}/", paths.keys),
        is_validator: node.role == Role::Validator,
        sign_state: paths.sign_state,
        ports,
        persistent_peers: &network.peers_of(node, address)?,
        metrics_addr: Ipv4Addr::UNSPECIFIED.into(),
        http_addr: http_addr(node.role),
        group: node.group,
    };
    Ok(content.text())
}

/// JSON-RPC is a node's own, for commands that run beside it in its container, unless it is there to serve it.
fn http_addr(role: Role) -> IpAddr {
    match role {
        Role::Rpc => Ipv4Addr::UNSPECIFIED.into(),
        Role::Validator | Role::Full => Ipv4Addr::LOCALHOST.into(),
    }
}
