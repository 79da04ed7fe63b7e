//! The target `processes`: nodes of one machine, each with ports of its own on the loopback address.

use super::description::Ports;
use super::files::write_public;
use super::network::{Layout, Network, Node, Role};
use super::node_file::NodeFile;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// Writes a configuration a node, and returns the files.
///
/// # Errors
/// When the ports do not suffice, or a file cannot be written.
pub fn write(network: &Network) -> Result<Vec<PathBuf>, String> {
    let nodes = network.nodes()?;
    refuse_shared_ports(network, &nodes)?;
    nodes.iter().map(|node| write_node(network, node)).collect()
}

fn refuse_shared_ports(network: &Network, nodes: &[Node<'_>]) -> Result<(), String> {
    let mut taken = BTreeSet::new();
    for node in nodes {
        let Ports { p2p, http, metrics } = ports(network, node)?;
        if let Some(port) = [p2p, http, metrics].into_iter().find(|port| !taken.insert(*port)) {
            return Err(format!(
                "port {port} would be that of two processes: they count up from those of the first, so leave room between \
                 p2p, http and metrics"
            ));
        }
    }
    Ok(())
}

fn write_node(network: &Network, node: &Node<'_>) -> Result<PathBuf, String> {
    let name = &node.identity.name;
    let (directory, chain, keys) = match network.layout {
        Layout::Flat => (network.out.join(name), "../genesis.json", String::new()),
        Layout::ByTarget => {
            (network.out.join("processes").join(name), "../../genesis.json", format!("../../keys/{name}/"))
        }
    };
    let address = |other: &Node<'_>| Ok(format!("/ip4/127.0.0.1/tcp/{}", ports(network, other)?.p2p));
    let file = directory.join("node.toml");
    let content = NodeFile {
        chain,
        datadir: "data",
        keys: &keys,
        is_validator: node.role == Role::Validator,
        sign_state: None,
        ports: ports(network, node)?,
        persistent_peers: &network.peers_of(node, address)?,
        metrics_addr: Ipv4Addr::LOCALHOST.into(),
        http_addr: Ipv4Addr::LOCALHOST.into(),
        group: node.group,
    };
    write_public(&file, &content.text())?;
    Ok(file)
}

/// The ports of a node follow from when it came: whoever comes later moves nobody's.
fn ports(network: &Network, node: &Node<'_>) -> Result<Ports, String> {
    let Ports { p2p, http, metrics } = network.description.ports;
    let port = |first: u16| first.checked_add(node.place).ok_or("the ports of the last nodes exceed 65535");
    Ok(Ports { p2p: port(p2p)?, http: port(http)?, metrics: port(metrics)? })
}
