//! What an operator may choose, and the fixed limits beside it.

use crate::NetworkError;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

/// Port for TCP and UDP when none is configured (geth's and reth's).
const DEFAULT_PORT: u16 = 30303;

/// The network's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Addresses to listen on (TCP and QUIC); port 0 lets the operating system choose.
    pub listen: Vec<Multiaddr>,
    /// Addresses announced to peers besides those listened on, such as a public one behind a port mapping.
    pub external: Vec<Multiaddr>,
    /// Peers dialled at start and redialled for ever; each address ends in `/p2p/<peer id>`. The node's own is ignored.
    pub bootnodes: Vec<Multiaddr>,
    /// Whether to find peers on the local network by multicast DNS.
    pub mdns: bool,
    /// Most peers connected at once (at least 1); three quarters of them may be peers that dialled us.
    pub peers_max: u32,
    /// Discovered peers are dialled until this many are connected.
    pub peers_target: u32,
    /// How long a request may take until its answer is read, in milliseconds (at least 1).
    pub request_timeout_ms: u64,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            listen: Self::listen_on(Ipv4Addr::UNSPECIFIED.into(), DEFAULT_PORT),
            external: Vec::new(),
            bootnodes: Vec::new(),
            mdns: false,
            peers_max: 64,
            peers_target: 16,
            request_timeout_ms: 10_000,
        }
    }
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

    /// Most connections that peers dialled: a quarter is kept for those that we choose, so that strangers cannot
    /// take every place.
    pub(crate) fn inbound_max(&self) -> u32 {
        (self.peers_max - self.peers_max / 4).max(1)
    }

    /// Checks the numbers and splits the bootnodes into peer and address, without `local`.
    pub(crate) fn check(&self, local: PeerId) -> Result<Vec<(PeerId, Multiaddr)>, NetworkError> {
        if self.peers_max == 0 {
            return Err(NetworkError::Config { key: "peers_max", value: "0".into(), accepted: "at least 1" });
        }
        if self.request_timeout_ms == 0 {
            return Err(NetworkError::Config { key: "request_timeout_ms", value: "0".into(), accepted: "at least 1" });
        }
        let mut bootnodes = Vec::with_capacity(self.bootnodes.len());
        for address in &self.bootnodes {
            let (peer, dialable) = split_peer_id(address).ok_or_else(|| NetworkError::Config {
                key: "bootnodes",
                value: address.to_string(),
                accepted: "an address that ends in /p2p/<peer id>",
            })?;
            if peer != local {
                bootnodes.push((peer, dialable));
            }
        }
        Ok(bootnodes)
    }
}

/// Takes the trailing `/p2p/<peer id>` off an address.
fn split_peer_id(address: &Multiaddr) -> Option<(PeerId, Multiaddr)> {
    let mut dialable = address.clone();
    match dialable.pop() {
        Some(Protocol::P2p(peer)) if !dialable.is_empty() => Some((peer, dialable)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bootnodes_need_a_peer_id_and_exclude_ourselves() {
        let (local, other) = (PeerId::random(), PeerId::random());
        let bare: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let mut config = NetworkConfig { bootnodes: vec![bare.clone()], ..NetworkConfig::default() };
        let error = config.check(local).unwrap_err().to_string();
        assert!(error.contains("bootnodes") && error.contains("/ip4/127.0.0.1/tcp/1"), "{error}");

        config.bootnodes = [local, other].map(|peer| bare.clone().with(Protocol::P2p(peer))).to_vec();
        assert_eq!(config.check(local).unwrap(), vec![(other, bare)]);
    }

    #[test]
    fn zeroes_are_refused() {
        let local = PeerId::random();
        let no_peers = NetworkConfig { peers_max: 0, ..NetworkConfig::default() };
        assert!(no_peers.check(local).unwrap_err().to_string().contains("peers_max"));
        let no_time = NetworkConfig { request_timeout_ms: 0, ..NetworkConfig::default() };
        assert!(no_time.check(local).unwrap_err().to_string().contains("request_timeout_ms"));
    }

    #[test]
    fn one_place_in_four_is_kept_for_peers_we_choose() {
        let inbound = |peers_max| NetworkConfig { peers_max, ..NetworkConfig::default() }.inbound_max();
        assert_eq!([1, 2, 4, 64].map(inbound), [1, 2, 3, 48]);
    }
}
