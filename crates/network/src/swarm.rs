//! Transports, and the sockets they listen on.

use crate::{
    Nat, NetworkConfig, NetworkError, admission::Admission, behaviour::Behaviour, muxer::Multiplexer, names,
    protocol::Protocols,
};
use futures::StreamExt;
use libp2p::{
    Multiaddr, Swarm, SwarmBuilder, core::transport::ListenerId, identity::Keypair, multiaddr::Protocol, noise, quic,
    swarm::SwarmEvent, tcp, yamux,
};
use prometheus_client::registry::Registry;
use std::{
    collections::{BTreeSet, HashMap},
    error::Error,
    io,
    net::{IpAddr, TcpListener},
    time::Duration,
};

/// A connection that no protocol uses is closed after this time. Honest peers keep a stream of gossip open; that of a peer
/// that sends malformed frames is closed, and not opened again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// A dial over TCP, or a handshake, that takes longer comes to nothing; QUIC's own bound is the same. A peer that moved is
/// dialled at its old address too, and the next dial begins when that one has ended.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// QUIC notices a vanished peer after this time; TCP hears of it from the operating system, or from ping.
const QUIC_IDLE_TIMEOUT: Duration = Duration::from_secs(6);
const QUIC_KEEP_ALIVE: Duration = Duration::from_secs(2);
/// Streams that one connection may have open, over all protocols.
const STREAMS_MAX: usize = 128;

/// Builds the swarm and listens on every configured address. libp2p's own metrics go to `registry`.
pub(crate) async fn start(
    config: &NetworkConfig,
    key: Keypair,
    protocols: &Protocols,
    admission: Admission,
    registry: &mut Registry,
) -> Result<Swarm<Behaviour>, NetworkError> {
    let registry = registry.sub_registry_with_prefix("network");
    let (servers, options) = names::resolver(config)?;
    let mut swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, multiplexer)
        .map_err(|error| NetworkError::setup("TCP with Noise", error))?
        .with_quic_config(quic_limits)
        .with_dns_config(servers, options)
        .with_relay_client(noise::Config::new, multiplexer)
        .map_err(|error| NetworkError::setup("relayed connections", error))?
        .with_bandwidth_metrics(registry)
        .with_behaviour(|key, relay_client| {
            Behaviour::new(config, key, protocols, admission, relay_client).map_err(Into::into)
        })
        .map_err(|error| NetworkError::setup("behaviour", error))?
        .with_swarm_config(|swarm| swarm.with_idle_connection_timeout(IDLE_TIMEOUT))
        .with_connection_timeout(CONNECTION_TIMEOUT)
        .build();
    listen(&mut swarm, &config.listen).await?;
    for address in external_addresses(config, swarm.listeners()) {
        swarm.add_external_address(address);
    }
    Ok(swarm)
}

/// The addresses that the operator vouches for: those configured, and the ports listened on at the configured address.
fn external_addresses<'a>(
    config: &NetworkConfig,
    listeners: impl Iterator<Item = &'a Multiaddr>,
) -> BTreeSet<Multiaddr> {
    let mut addresses: BTreeSet<_> = config.external.iter().cloned().collect();
    if let Nat::ExternalIp(external) = config.nat {
        let is_same_family = |ip: &Protocol<'_>| match ip {
            Protocol::Ip4(_) => external.is_ipv4(),
            Protocol::Ip6(_) => external.is_ipv6(),
            _ => false,
        };
        let translate = |listener: &Multiaddr| listener.replace(0, |ip| is_same_family(ip).then(|| external.into()));
        addresses.extend(listeners.filter_map(translate));
    }
    addresses
}

fn multiplexer() -> Multiplexer {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(STREAMS_MAX);
    Multiplexer(config)
}

fn quic_limits(mut config: quic::Config) -> quic::Config {
    config.max_idle_timeout = QUIC_IDLE_TIMEOUT.as_millis() as u32;
    config.keep_alive_interval = QUIC_KEEP_ALIVE;
    config.max_concurrent_stream_limit = STREAMS_MAX as u32;
    config
}

/// Binds the addresses and waits until each names at least one real one, so that a busy port fails the start and
/// the chosen ports are known.
async fn listen(swarm: &mut Swarm<Behaviour>, addresses: &[Multiaddr]) -> Result<(), NetworkError> {
    let mut waiting: HashMap<ListenerId, Multiaddr> = HashMap::new();
    for address in addresses {
        let failed = |error: &dyn Error| NetworkError::Listen { address: address.clone(), reason: reason(error) };
        check_free(address).map_err(|error| failed(&error))?;
        waiting.insert(swarm.listen_on(address.clone()).map_err(|error| failed(&error))?, address.clone());
    }
    while !waiting.is_empty() {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { listener_id, .. } => {
                waiting.remove(&listener_id);
            }
            SwarmEvent::ListenerClosed { listener_id, reason: Err(error), .. }
            | SwarmEvent::ListenerError { listener_id, error } => {
                if let Some(address) = waiting.remove(&listener_id) {
                    return Err(NetworkError::Listen { address, reason: error.to_string() });
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Binds a TCP address for a moment: libp2p's TCP listener shares a busy port with its holder (`SO_REUSEPORT`) instead
/// of failing, and each would get a part of the connections.
fn check_free(address: &Multiaddr) -> io::Result<()> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return Ok(()),
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) => TcpListener::bind((ip, port)).map(drop),
        _ => Ok(()),
    }
}

/// The innermost cause: the outer ones only name libp2p's layers.
fn reason(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_ip_is_reached_at_the_ports_listened_on() {
        let parse = |text: &str| text.parse::<Multiaddr>().unwrap();
        let listeners =
            ["/ip4/127.0.0.1/tcp/7", "/ip4/10.0.0.1/tcp/7", "/ip4/10.0.0.1/udp/8/quic-v1", "/ip6/::1/tcp/7"].map(parse);
        let config = NetworkConfig {
            external: vec![parse("/dns4/node.example/tcp/9")],
            nat: Nat::ExternalIp([192, 0, 2, 1].into()),
            ..NetworkConfig::default()
        };
        let expected = ["/dns4/node.example/tcp/9", "/ip4/192.0.2.1/tcp/7", "/ip4/192.0.2.1/udp/8/quic-v1"].map(parse);
        assert_eq!(external_addresses(&config, listeners.iter()), expected.into());
    }
}
