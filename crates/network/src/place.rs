//! Where an address is.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use libp2p::{Multiaddr, multiaddr::Protocol};
use std::net::IpAddr;

/// The IP address that a connection comes from or goes to; the relay's when it is relayed. `None` for names.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(IpAddr::from(ip).to_canonical()),
        _ => None,
    })
}

/// The network that one owner usually has whole: /24 of IPv4, /48 of IPv6.
pub(crate) fn subnet_of(ip: IpAddr) -> IpNet {
    match ip {
        IpAddr::V4(ip) => Ipv4Net::new_assert(ip, 24).trunc().into(),
        IpAddr::V6(ip) => Ipv6Net::new_assert(ip, 48).trunc().into(),
    }
}

/// How many of the places that we fill by dialling one subnet may have: a quarter, so that no single owner fills them.
/// Loopback and the operator's own network are exempt.
pub(crate) fn subnet_share(places: usize) -> usize {
    (places / 4).max(1)
}

/// How far away an address can be and still be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// This machine only.
    Loopback,
    /// The operator's own network: private, link-local or unique local addresses.
    Local,
    /// Everywhere, as far as the address tells.
    Global,
}

/// The scope of an IP address.
pub(crate) fn scope_of(ip: IpAddr) -> Scope {
    let is_local = match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    match ip {
        _ if ip.is_loopback() => Scope::Loopback,
        _ if is_local => Scope::Local,
        _ => Scope::Global,
    }
}

/// The scope of an address; names are taken to be global.
pub(crate) fn scope(address: &Multiaddr) -> Scope {
    ip_of(address).map_or(Scope::Global, scope_of)
}

/// Whether an address leads through a relay.
pub(crate) fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_off_addresses() {
        let peer = libp2p::PeerId::random();
        for (text, ip, subnet, expected) in [
            ("/ip4/192.0.2.77/tcp/1", "192.0.2.77", "192.0.2.0/24", Scope::Global),
            ("/ip4/10.1.2.3/udp/1/quic-v1", "10.1.2.3", "10.1.2.0/24", Scope::Local),
            ("/ip4/127.0.0.9/tcp/1", "127.0.0.9", "127.0.0.0/24", Scope::Loopback),
            ("/ip6/2001:db8:7:8::1/tcp/1", "2001:db8:7:8::1", "2001:db8:7::/48", Scope::Global),
            ("/ip6/fd00::1/tcp/1", "fd00::1", "fd00::/48", Scope::Local),
            ("/ip6/::ffff:192.0.2.1/tcp/1", "192.0.2.1", "192.0.2.0/24", Scope::Global),
        ] {
            let address: Multiaddr = text.parse().unwrap();
            let found = ip_of(&address).unwrap();
            assert_eq!((found.to_string(), subnet_of(found).to_string()), (ip.into(), subnet.into()));
            assert_eq!(scope(&address), expected);
            assert!(!is_relayed(&address));
            let relayed = address.with(Protocol::P2p(peer)).with(Protocol::P2pCircuit);
            assert!(is_relayed(&relayed) && ip_of(&relayed) == Some(found));
        }
        assert_eq!(ip_of(&"/dns4/example.org/tcp/1".parse().unwrap()), None);
    }
}
