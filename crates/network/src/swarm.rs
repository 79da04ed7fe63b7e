//! Transports, and the sockets they listen on.

use crate::{NetworkConfig, NetworkError, behaviour::Behaviour, muxer::Multiplexer, protocol::Protocols};
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, core::transport::ListenerId, identity::Keypair, multiaddr::Protocol, noise,
    quic, swarm::SwarmEvent, tcp, yamux,
};
use std::{
    collections::HashMap,
    error::Error,
    io,
    net::{IpAddr, TcpListener},
    time::Duration,
};

/// A connection that no protocol uses is closed after this time. Honest peers keep a stream of gossip open; that of a peer
/// that sends malformed frames is closed, and not opened again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// QUIC notices a vanished peer after this time; TCP hears of it from the operating system, or from ping.
const QUIC_IDLE_TIMEOUT: Duration = Duration::from_secs(6);
const QUIC_KEEP_ALIVE: Duration = Duration::from_secs(2);
/// Streams that one connection may have open, over all protocols.
const STREAMS_MAX: usize = 128;

/// Builds the swarm and listens on every configured address.
pub(crate) async fn start(
    config: &NetworkConfig,
    key: Keypair,
    protocols: &Protocols,
    bootnodes: impl Iterator<Item = PeerId>,
) -> Result<Swarm<Behaviour>, NetworkError> {
    let behaviour = Behaviour::new(config, &key, protocols, bootnodes)?;
    let mut swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, multiplexer)
        .map_err(|error| NetworkError::setup("TCP with Noise", error))?
        .with_quic_config(quic_limits)
        .with_dns()
        .map_err(|error| NetworkError::setup("DNS", error))?
        .with_behaviour(|_| behaviour)
        .map_err(|error| NetworkError::setup("behaviour", error))?
        .with_swarm_config(|swarm| swarm.with_idle_connection_timeout(IDLE_TIMEOUT))
        .build();
    for address in &config.external {
        swarm.add_external_address(address.clone());
    }
    listen(&mut swarm, &config.listen).await?;
    Ok(swarm)
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
