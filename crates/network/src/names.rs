//! Names in addresses, resolved anew at every dial: pods move.
//!
//! The transport asks DNS and remembers no answer. It would read the hosts file once, when the node starts; what that
//! file says is looked up here instead, before the dial.

use crate::{NetworkConfig, NetworkError};
use hickory_resolver::{
    Hosts,
    config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
    system_conf::read_system_conf,
};
use libp2p::{Multiaddr, multiaddr::Protocol};
use std::net::{IpAddr, SocketAddr};

/// Which servers to ask, and how.
pub(crate) fn resolver(config: &NetworkConfig) -> Result<(ResolverConfig, ResolverOpts), NetworkError> {
    let (servers, mut options) = if config.nameservers.is_empty() {
        read_system_conf().map_err(|error| NetworkError::setup("DNS", error))?
    } else {
        let servers = config.nameservers.iter().map(nameserver).collect();
        (ResolverConfig::from_parts(None, Vec::new(), servers), ResolverOpts::default())
    };
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    Ok((servers, options))
}

fn nameserver(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

/// Replaces the names that the hosts file knows now; the others are left to DNS.
pub(crate) fn look_up_hosts(addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
    if !addresses.iter().any(|address| name_in(address).is_some()) {
        return addresses;
    }
    // No hosts file is as good as an empty one.
    let hosts = Hosts::from_system().unwrap_or_default();
    addresses.into_iter().flat_map(|address| look_up(&hosts, address)).collect()
}

fn look_up(hosts: &Hosts, address: Multiaddr) -> Vec<Multiaddr> {
    let Some((index, name, types)) = name_in(&address) else { return vec![address] };
    let answers = types.iter().filter_map(|kind| hosts.lookup_static_host(&Query::query(name.clone(), *kind)));
    let ips: Vec<_> = answers
        .flat_map(|found| found.answers().iter().filter_map(|one| one.data.ip_addr()).collect::<Vec<_>>())
        .collect();
    let at = |ip: IpAddr| address.replace(index, |_| Some(ip.into()));
    if ips.is_empty() { vec![address] } else { ips.into_iter().filter_map(at).collect() }
}

/// The first name of an address, where it stands, and the kinds of addresses asked for.
fn name_in(address: &Multiaddr) -> Option<(usize, Name, &'static [RecordType])> {
    address.iter().enumerate().find_map(|(index, part)| {
        let (name, types): (_, &[RecordType]) = match part {
            Protocol::Dns(name) => (name, &[RecordType::A, RecordType::AAAA]),
            Protocol::Dns4(name) => (name, &[RecordType::A]),
            Protocol::Dns6(name) => (name, &[RecordType::AAAA]),
            _ => return None,
        };
        Some((index, Name::from_utf8(&name).ok()?, types))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked_up(hosts: &Hosts, address: &str) -> Vec<String> {
        look_up(hosts, address.parse().unwrap()).iter().map(Multiaddr::to_string).collect()
    }

    #[test]
    fn the_hosts_file_answers_for_the_names_it_knows() {
        let mut hosts = Hosts::default();
        hosts.read_hosts_conf("192.0.2.7 node.example\n2001:db8::7 node.example\n".as_bytes()).unwrap();
        assert_eq!(looked_up(&hosts, "/dns4/node.example/tcp/1"), ["/ip4/192.0.2.7/tcp/1"]);
        assert_eq!(looked_up(&hosts, "/dns6/node.example/udp/1/quic-v1"), ["/ip6/2001:db8::7/udp/1/quic-v1"]);
        assert_eq!(looked_up(&hosts, "/dns/node.example/tcp/1").len(), 2);
        for untouched in ["/dns4/other.example/tcp/1", "/dnsaddr/node.example", "/ip4/192.0.2.1/tcp/1"] {
            assert_eq!(looked_up(&hosts, untouched), [untouched]);
        }
    }

    #[test]
    fn no_answer_is_remembered() {
        let config = NetworkConfig { nameservers: vec![([127, 0, 0, 1], 5353).into()], ..NetworkConfig::default() };
        let (servers, options) = resolver(&config).unwrap();
        assert_eq!((options.cache_size, options.use_hosts_file), (0, ResolveHosts::Never));
        let server = &servers.name_servers()[0];
        assert!(server.connections.iter().all(|connection| connection.port == 5353));
    }
}
