//! Options of how a node finds its peers, and of whom it takes for one.

use clap::{Args, ValueHint};
use heddle_network::{ConnectionLimits, Multiaddr, Nat, NetworkConfig, PeerFilter, PeerId};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Name of the peer store in the data directory.
const PEER_STORE: &str = "peers.json";

/// Options of `heddle node` about the network; part of [`NodeArgs`](super::NodeArgs).
#[derive(Args, Clone, Debug)]
pub struct NetworkOptions {
    /// Address to listen on for peers.
    #[arg(
        id = "addr",
        long = "addr",
        env = "HEDDLE_ADDR",
        value_name = "IP",
        default_value = "0.0.0.0",
        help_heading = "Network"
    )]
    addr: IpAddr,
    /// Port for peers, TCP and UDP (QUIC); 0 lets the system choose.
    #[arg(
        id = "port",
        long = "port",
        env = "HEDDLE_PORT",
        value_name = "PORT",
        default_value_t = 30303,
        help_heading = "Network"
    )]
    port: u16,
    /// Peers to find others through, as multiaddrs ending in /p2p/<peer id>, separated by commas [default: none].
    #[arg(id = "bootnodes", long = "bootnodes", env = "HEDDLE_BOOTNODES", value_name = "ADDR", value_delimiter = ',', value_parser = parse_peer_address, help_heading = "Network")]
    bootnodes: Vec<Multiaddr>,
    /// Peers to stay connected with, as multiaddrs like those of --bootnodes [default: none].
    ///
    /// They are always redialled, and exempt from every limit.
    #[arg(id = "persistent-peers", long = "persistent-peers", env = "HEDDLE_PERSISTENT_PEERS", value_name = "ADDR", value_delimiter = ',', value_parser = parse_peer_address, help_heading = "Network")]
    persistent_peers: Vec<Multiaddr>,
    /// Connect with the persistent peers only, and look for no others.
    ///
    /// For a validator behind sentries.
    #[arg(id = "reserved-only", long = "reserved-only", env = "HEDDLE_RESERVED_ONLY", help_heading = "Network")]
    reserved_only: bool,
    /// Network key file [default: node.key in the data directory, made at first start].
    #[arg(id = "node-key", long = "node-key", env = "HEDDLE_NODE_KEY", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Network")]
    node_key: Option<PathBuf>,
    /// Most peers at a time, without the persistent ones [1 to 1000].
    #[arg(id = "maxpeers", long = "maxpeers", env = "HEDDLE_MAXPEERS", value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = "Network")]
    maxpeers: u32,
    /// Of those, places that peers who dial this node never get [0 to 1000; default: a quarter].
    #[arg(id = "peers.outbound", long = "peers.outbound", env = "HEDDLE_PEERS_OUTBOUND", value_name = "COUNT", value_parser = clap::value_parser!(u32).range(0..=1000), help_heading = "Network")]
    peers_outbound: Option<u32>,
    /// Most connections with one public IP address [1 to 1000].
    #[arg(id = "peers.per-ip", long = "peers.per-ip", env = "HEDDLE_PEERS_PER_IP", value_name = "COUNT", default_value_t = ConnectionLimits::default().per_ip, value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = "Network")]
    peers_per_ip: u32,
    /// Most connections with one public subnet, /24 of IPv4 or /48 of IPv6 [1 to 1000].
    #[arg(id = "peers.per-subnet", long = "peers.per-subnet", env = "HEDDLE_PEERS_PER_SUBNET", value_name = "COUNT", default_value_t = ConnectionLimits::default().per_subnet, value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = "Network")]
    peers_per_subnet: u32,
    /// The only peers to connect with besides the persistent ones [default: all].
    ///
    /// Peer ids, addresses, or ranges such as 10.0.0.0/8, separated by commas.
    #[arg(
        id = "peers.allow",
        long = "peers.allow",
        env = "HEDDLE_PEERS_ALLOW",
        value_name = "PEER|RANGE",
        value_delimiter = ',',
        help_heading = "Network"
    )]
    peers_allow: Vec<PeerFilter>,
    /// Peers never to connect with, persistent ones included [default: none].
    ///
    /// Named as --peers.allow does; it is the stronger one.
    #[arg(
        id = "peers.deny",
        long = "peers.deny",
        env = "HEDDLE_PEERS_DENY",
        value_name = "PEER|RANGE",
        value_delimiter = ',',
        help_heading = "Network"
    )]
    peers_deny: Vec<PeerFilter>,
    /// How peers reach a node without a public address: none, upnp (ask the router), or extip:ADDRESS (announce it).
    #[arg(id = "nat", long = "nat", env = "HEDDLE_NAT", value_name = "NAT", default_value_t, help_heading = "Network")]
    nat: Nat,
    /// Relays to be reached through when peers cannot dial this node [default: none].
    ///
    /// Multiaddrs like those of --bootnodes. Connections become direct ones where the NATs let holes be punched.
    #[arg(id = "relay.through", long = "relay", env = "HEDDLE_RELAY", value_name = "ADDR", value_delimiter = ',', value_parser = parse_peer_address, help_heading = "Network")]
    relays: Vec<Multiaddr>,
    /// Relay connections of peers that cannot be dialled.
    ///
    /// For a node with a public address.
    #[arg(id = "relay.server", long = "relay.server", env = "HEDDLE_RELAY_SERVER", help_heading = "Network")]
    relay_server: bool,
    /// Find peers on the local network by multicast DNS.
    #[arg(id = "mdns", long = "mdns", env = "HEDDLE_MDNS", help_heading = "Network")]
    mdns: bool,
    /// DNS servers to resolve the names in multiaddrs with, separated by commas [default: the system's].
    #[arg(
        id = "nameservers",
        long = "nameservers",
        env = "HEDDLE_NAMESERVERS",
        value_name = "IP:PORT",
        value_delimiter = ',',
        help_heading = "Network"
    )]
    nameservers: Vec<SocketAddr>,
}

impl NetworkOptions {
    /// File of the network key, for a node with this data directory.
    pub fn node_key_file(&self, datadir: &Path) -> PathBuf {
        self.node_key.clone().unwrap_or_else(|| datadir.join("node.key"))
    }

    /// Where the node listens for peers.
    pub fn listen_address(&self) -> SocketAddr {
        SocketAddr::new(self.addr, self.port)
    }

    /// What the network is started with, on a node with this data directory.
    ///
    /// # Errors
    /// When two options contradict each other.
    pub fn config(self, datadir: &Path) -> Result<NetworkConfig, String> {
        if let Some(outbound) = self.peers_outbound.filter(|outbound| *outbound > self.maxpeers) {
            return Err(format!("--peers.outbound is {outbound}: expected at most --maxpeers, {}", self.maxpeers));
        }
        Ok(NetworkConfig {
            listen: NetworkConfig::listen_on(self.addr, self.port),
            bootnodes: self.bootnodes,
            persistent_peers: self.persistent_peers,
            reserved_only: self.reserved_only,
            allow: self.peers_allow,
            deny: self.peers_deny,
            nat: self.nat,
            relay_server: self.relay_server,
            relays: self.relays,
            peer_store: Some(datadir.join(PEER_STORE)),
            mdns: self.mdns,
            nameservers: self.nameservers,
            peers_max: self.maxpeers,
            peers_outbound_min: self.peers_outbound,
            limits: ConnectionLimits {
                per_ip: self.peers_per_ip,
                per_subnet: self.peers_per_subnet,
                ..ConnectionLimits::default()
            },
            ..NetworkConfig::default()
        })
    }
}

/// Parses the address of a peer: where it is, and who.
///
/// # Errors
/// Names what is missing.
pub fn parse_peer_address(text: &str) -> Result<Multiaddr, String> {
    let expected = "expected a multiaddr such as /ip4/192.0.2.7/tcp/30303/p2p/<peer id>, or /dns4/NAME/..";
    let address: Multiaddr = text.parse().map_err(|error| format!("{error}; {expected}"))?;
    let peer = text.rsplit_once("/p2p/").filter(|(dialable, _)| !dialable.is_empty());
    match peer.is_some_and(|(_, id)| id.parse::<PeerId>().is_ok()) {
        true => Ok(address),
        false => Err(format!("the peer's id is missing at its end; {expected}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_where_and_who() {
        let peer = PeerId::random();
        for good in ["/ip4/192.0.2.7/tcp/30303", "/dns4/node.example.org/udp/30303/quic-v1", "/dnsaddr/example.org"] {
            assert!(parse_peer_address(&format!("{good}/p2p/{peer}")).is_ok(), "{good}");
            assert!(parse_peer_address(good).unwrap_err().contains("id is missing"), "{good}");
        }
        let circuit = format!("/ip4/192.0.2.7/tcp/1/p2p/{peer}/p2p-circuit");
        for bad in ["", "192.0.2.7:30303", "/ip4/192.0.2.7", &format!("/p2p/{peer}"), &circuit] {
            assert!(parse_peer_address(bad).is_err(), "{bad}");
        }
    }
}
