//! What an operator may choose, and the fixed limits beside it.

mod filter;
mod nat;

pub use filter::{InvalidPeerFilter, PeerFilter};
pub use nat::{InvalidNat, Nat};

use crate::NetworkError;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// Port for TCP and UDP when none is configured (geth's and reth's).
const DEFAULT_PORT: u16 = 30303;

/// The network's settings. Addresses of peers end in `/p2p/<peer id>`; names in them are resolved at every dial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Addresses to listen on (TCP and QUIC); port 0 lets the operating system choose.
    pub listen: Vec<Multiaddr>,
    /// Addresses announced to peers besides those listened on, such as a public one behind a port mapping.
    pub external: Vec<Multiaddr>,
    /// Peers to find others through: dialled at start and redialled for ever. The node's own is ignored.
    pub bootnodes: Vec<Multiaddr>,
    /// Peers always redialled and exempt from every limit, such as a sentry's validator. The node's own is ignored.
    pub persistent_peers: Vec<Multiaddr>,
    /// Whether to connect with persistent peers only, whoever dials, and to look for no others: for a validator behind
    /// sentries.
    pub reserved_only: bool,
    /// The only peers to connect with, when there is any entry; persistent peers always may.
    pub allow: Vec<PeerFilter>,
    /// Peers never to connect with, persistent ones included: stronger than `allow`.
    pub deny: Vec<PeerFilter>,
    /// How peers reach a node whose sockets have no public address.
    pub nat: Nat,
    /// Whether to relay connections of peers that cannot be dialled.
    pub relay_server: bool,
    /// Relays to be reached through when this node cannot be dialled; connections through them are then tried
    /// directly by hole punching. They are redialled for ever.
    pub relays: Vec<Multiaddr>,
    /// File of the peers met, so that a restart needs no bootnodes; written when a peer has come and every
    /// minute. `None` keeps nothing.
    pub peer_store: Option<PathBuf>,
    /// Whether to find peers on the local network by multicast DNS.
    pub mdns: bool,
    /// DNS servers to resolve names with, after the hosts file; the operating system's when empty.
    pub nameservers: Vec<SocketAddr>,
    /// Most peers connected at once (at least 1); persistent peers do not count.
    pub peers_max: u32,
    /// Discovered peers are dialled until this many are connected (and until `peers_outbound_min` are whom we dialled).
    pub peers_target: u32,
    /// How many of `peers_max` places peers that dialled us never get, so that strangers cannot surround the node (at
    /// most `peers_max`); a quarter of `peers_max` when `None`.
    pub peers_outbound_min: Option<u32>,
    /// Limits on the connections of one place.
    pub limits: ConnectionLimits,
    /// How long a request may take until its answer is read, in milliseconds (at least 1).
    pub request_timeout_ms: u64,
    /// Blocks whose transactions' RLP is no longer, in bytes, travel whole; of others only the transactions' short ids do.
    pub whole_block_bytes: usize,
    /// How fast the chain is; what peers' scores and rates are derived from.
    #[serde(skip)]
    pub pace: ChainPace,
}

/// How much a chain says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainPace {
    /// Time from one block to the next while there are transactions, above zero.
    pub block_time: Duration,
    /// How many validators vote.
    pub validators: u32,
}

impl Default for ChainPace {
    /// A block a second by four validators.
    fn default() -> Self {
        Self { block_time: Duration::from_secs(1), validators: 4 }
    }
}

/// Most connections at once, both ways together; each at least 1. Persistent peers do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionLimits {
    /// Of one IP address.
    pub per_ip: u32,
    /// Of one subnet: /24 of IPv4, /48 of IPv6.
    pub per_subnet: u32,
    /// Of one address or subnet that is loopback, private or link-local, in place of the two above: whoever has such an
    /// address is on the operator's own network.
    pub per_local: u32,
    /// That are being established, each way; one address may have a quarter of them.
    pub pending: u32,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { per_ip: 4, per_subnet: 12, per_local: 1024, pending: 64 }
    }
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            listen: Self::listen_on(Ipv4Addr::UNSPECIFIED.into(), DEFAULT_PORT),
            external: Vec::new(),
            bootnodes: Vec::new(),
            persistent_peers: Vec::new(),
            reserved_only: false,
            allow: Vec::new(),
            deny: Vec::new(),
            nat: Nat::None,
            relay_server: false,
            relays: Vec::new(),
            peer_store: None,
            mdns: false,
            nameservers: Vec::new(),
            peers_max: 64,
            peers_target: 16,
            peers_outbound_min: None,
            limits: ConnectionLimits::default(),
            request_timeout_ms: 10_000,
            whole_block_bytes: 4096,
            pace: ChainPace::default(),
        }
    }
}

/// A peer and where to dial it.
pub(crate) type PeerAddress = (PeerId, Multiaddr);

/// The peers that the settings name, without the node itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NamedPeers {
    pub(crate) bootnodes: Vec<PeerAddress>,
    pub(crate) persistent: Vec<PeerAddress>,
    pub(crate) relays: Vec<PeerAddress>,
}

impl NetworkConfig {
    /// The TCP and the QUIC address of one port.
    pub fn listen_on(ip: IpAddr, port: u16) -> Vec<Multiaddr> {
        let host = Multiaddr::from(ip);
        let tcp = host.clone().with(Protocol::Tcp(port));
        let quic = host.with(Protocol::Udp(port)).with(Protocol::QuicV1);
        vec![tcp, quic]
    }

    /// How long a request may take.
    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// Whether the operator says where this node is reached.
    pub(crate) fn names_addresses(&self) -> bool {
        !self.external.is_empty() || matches!(self.nat, Nat::ExternalIp(_))
    }

    /// Places that peers who dialled us never get.
    pub(crate) fn outbound_min(&self) -> u32 {
        self.peers_outbound_min.unwrap_or(self.peers_max / 4)
    }

    /// Most connections that peers dialled.
    pub(crate) fn inbound_max(&self) -> u32 {
        self.peers_max.saturating_sub(self.outbound_min())
    }

    /// Checks the numbers and splits the addresses of named peers, leaving out `local`.
    pub(crate) fn check(&self, local: PeerId) -> Result<NamedPeers, NetworkError> {
        for (key, value) in [
            ("peers_max", u64::from(self.peers_max)),
            ("limits.per_ip", self.limits.per_ip.into()),
            ("limits.per_subnet", self.limits.per_subnet.into()),
            ("limits.per_local", self.limits.per_local.into()),
            ("limits.pending", self.limits.pending.into()),
            ("request_timeout_ms", self.request_timeout_ms),
        ] {
            if value == 0 {
                return Err(NetworkError::Config { key, value: "0".into(), accepted: "at least 1" });
            }
        }
        if self.outbound_min() > self.peers_max {
            let value = self.outbound_min().to_string();
            return Err(NetworkError::Config { key: "peers_outbound_min", value, accepted: "at most peers_max" });
        }
        let named = |key, addresses| split_all(key, addresses, local);
        Ok(NamedPeers {
            bootnodes: named("bootnodes", &self.bootnodes)?,
            persistent: named("persistent_peers", &self.persistent_peers)?,
            relays: named("relays", &self.relays)?,
        })
    }
}

/// Splits addresses into peer and address, without those of `local`.
fn split_all(key: &'static str, addresses: &[Multiaddr], local: PeerId) -> Result<Vec<PeerAddress>, NetworkError> {
    let split = |address| {
        split_peer_id(address).ok_or_else(|| NetworkError::Config {
            key,
            value: address.to_string(),
            accepted: "an address that ends in /p2p/<peer id>",
        })
    };
    let others = addresses.iter().map(split).filter(|split| !matches!(split, Ok((peer, _)) if *peer == local));
    others.collect()
}

/// Takes the trailing `/p2p/<peer id>` off an address.
pub(crate) fn split_peer_id(address: &Multiaddr) -> Option<PeerAddress> {
    let mut dialable = address.clone();
    match dialable.pop() {
        Some(Protocol::P2p(peer)) if !dialable.is_empty() => Some((peer, dialable)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut NetworkConfig)) -> String {
        let mut config = NetworkConfig::default();
        change(&mut config);
        config.check(PeerId::random()).unwrap_err().to_string()
    }

    #[test]
    fn named_peers_need_a_peer_id_and_exclude_ourselves() {
        let (local, other) = (PeerId::random(), PeerId::random());
        let bare: Multiaddr = "/dns4/node.example.org/tcp/1".parse().unwrap();
        for (key, error) in [
            ("bootnodes", refused(|config| config.bootnodes = vec![bare.clone()])),
            ("persistent_peers", refused(|config| config.persistent_peers = vec![bare.clone()])),
            ("relays", refused(|config| config.relays = vec![bare.clone()])),
        ] {
            assert!(error.contains(key) && error.contains("node.example.org"), "{error}");
        }
        let both = [local, other].map(|peer| bare.clone().with(Protocol::P2p(peer))).to_vec();
        let config = NetworkConfig {
            bootnodes: both.clone(),
            persistent_peers: both.clone(),
            relays: both,
            ..NetworkConfig::default()
        };
        let one = vec![(other, bare)];
        let named = NamedPeers { bootnodes: one.clone(), persistent: one.clone(), relays: one };
        assert_eq!(config.check(local).unwrap(), named);
    }

    #[test]
    fn zeroes_are_refused() {
        assert!(refused(|config| config.peers_max = 0).contains("peers_max"));
        assert!(refused(|config| config.request_timeout_ms = 0).contains("request_timeout_ms"));
        assert!(refused(|config| config.limits.per_ip = 0).contains("limits.per_ip"));
        assert!(refused(|config| config.limits.per_subnet = 0).contains("limits.per_subnet"));
        assert!(refused(|config| config.limits.per_local = 0).contains("limits.per_local"));
        assert!(refused(|config| config.limits.pending = 0).contains("limits.pending"));
    }

    #[test]
    fn one_place_in_four_is_kept_for_peers_we_choose_unless_another_number_is_set() {
        let inbound = |peers_max| NetworkConfig { peers_max, ..NetworkConfig::default() }.inbound_max();
        assert_eq!([1, 2, 4, 64].map(inbound), [1, 2, 3, 48]);
        let outbound_only = NetworkConfig { peers_max: 8, peers_outbound_min: Some(8), ..NetworkConfig::default() };
        assert_eq!(outbound_only.inbound_max(), 0);
        outbound_only.check(PeerId::random()).unwrap();
        assert!(refused(|config| config.peers_outbound_min = Some(65)).contains("peers_outbound_min"));
    }

    #[test]
    fn settings_survive_being_written() {
        let config = NetworkConfig {
            allow: vec!["10.0.0.0/8".parse().unwrap()],
            deny: vec![PeerFilter::Peer(PeerId::random())],
            nat: Nat::ExternalIp([192, 0, 2, 1].into()),
            nameservers: vec![([127, 0, 0, 1], 53).into()],
            ..NetworkConfig::default()
        };
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<NetworkConfig>(&text).unwrap(), config);
    }
}
