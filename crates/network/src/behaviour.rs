//! The protocols that one swarm speaks.

use crate::{
    NetworkConfig, NetworkError,
    codec::{ChainExchange, Exchange, RlpCodec, TransactionExchange},
    gossip,
    guard::GuardedGossip,
    protocol::Protocols,
};
use libp2p::{
    PeerId, StreamProtocol, allow_block_list,
    connection_limits::{self, ConnectionLimits},
    identify,
    identity::Keypair,
    kad, mdns, ping, request_response,
    swarm::{InvalidProtocol, NetworkBehaviour, behaviour::toggle::Toggle},
};
use std::time::Duration;

/// Connections that may be negotiating at once, each way.
const PENDING_MAX: u32 = 32;
/// Streams of the request protocol that one connection may have open.
const REQUEST_STREAMS_MAX: usize = 16;
/// Streams of the exchange of transactions that one connection may have open: an announcement, a push and four fetches
/// each way, and what is closing.
const TRANSACTION_STREAMS_MAX: usize = 24;
/// How long an announcement, a push or a fetch of transactions may take; after that the next peer is asked.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection without an answer to a ping for this long is dead.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Limits come first: what they refuse, the others never see.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) blocked: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
    one_a_peer: connection_limits::Behaviour,
    total: connection_limits::Behaviour,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) gossip: GuardedGossip,
    pub(crate) requests: request_response::Behaviour<RlpCodec<ChainExchange>>,
    pub(crate) transactions: request_response::Behaviour<RlpCodec<TransactionExchange>>,
    pub(crate) kademlia: kad::Behaviour<kad::store::MemoryStore>,
    pub(crate) mdns: Toggle<mdns::tokio::Behaviour>,
}

impl Behaviour {
    pub(crate) fn new(
        config: &NetworkConfig,
        key: &Keypair,
        protocols: &Protocols,
        bootnodes: impl Iterator<Item = PeerId>,
    ) -> Result<Self, NetworkError> {
        let local = key.public().to_peer_id();
        Ok(Self {
            blocked: allow_block_list::Behaviour::default(),
            one_a_peer: connection_limits::Behaviour::new(
                ConnectionLimits::default().with_max_established_per_peer(Some(1)),
            ),
            total: total_limits(config, bootnodes),
            identify: identify(key, protocols),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT)),
            gossip: GuardedGossip::new(gossip::behaviour(protocols, &config.pace)?, protocols, &config.pace),
            requests: requests(protocols.request(), config.request_timeout(), REQUEST_STREAMS_MAX)?,
            transactions: requests(protocols.transactions(), TRANSACTION_TIMEOUT, TRANSACTION_STREAMS_MAX)?,
            kademlia: kademlia(local, protocols)?,
            mdns: multicast(config, local).into(),
        })
    }
}

/// Bootnodes are always let in: otherwise strangers could take every place and cut validators from each other.
fn total_limits(config: &NetworkConfig, bootnodes: impl Iterator<Item = PeerId>) -> connection_limits::Behaviour {
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_MAX))
        .with_max_pending_outgoing(Some(PENDING_MAX))
        .with_max_established_incoming(Some(config.inbound_max()))
        .with_max_established(Some(config.peers_max));
    let mut behaviour = connection_limits::Behaviour::new(limits);
    for peer in bootnodes {
        behaviour.bypass_peer_id(&peer);
    }
    behaviour
}

fn identify(key: &Keypair, protocols: &Protocols) -> identify::Behaviour {
    let config = identify::Config::new(protocols.identity(), key.public())
        .with_agent_version(concat!("heddle/", env!("CARGO_PKG_VERSION")).into())
        // The peer book remembers addresses.
        .with_cache_size(0);
    identify::Behaviour::new(config)
}

fn requests<E: Exchange>(
    protocol: Result<StreamProtocol, InvalidProtocol>,
    timeout: Duration,
    streams_max: usize,
) -> Result<request_response::Behaviour<RlpCodec<E>>, NetworkError>
where
    RlpCodec<E>: Default,
{
    let protocol = protocol.map_err(|error| NetworkError::setup("request protocol", error))?;
    let limits =
        request_response::Config::default().with_request_timeout(timeout).with_max_concurrent_streams(streams_max);
    Ok(request_response::Behaviour::new([(protocol, request_response::ProtocolSupport::Full)], limits))
}

/// Kademlia finds peers and stores nothing.
fn kademlia(local: PeerId, protocols: &Protocols) -> Result<kad::Behaviour<kad::store::MemoryStore>, NetworkError> {
    let protocol = protocols.kademlia().map_err(|error| NetworkError::setup("Kademlia", error))?;
    let mut config = kad::Config::new(protocol);
    config.set_query_timeout(Duration::from_secs(10)).set_record_filtering(kad::StoreInserts::FilterBoth);
    let mut behaviour = kad::Behaviour::with_config(local, kad::store::MemoryStore::new(local), config);
    behaviour.set_mode(Some(kad::Mode::Server));
    Ok(behaviour)
}

fn multicast(config: &NetworkConfig, local: PeerId) -> Option<mdns::tokio::Behaviour> {
    let start = || mdns::tokio::Behaviour::new(mdns::Config::default(), local);
    config
        .mdns
        .then(start)?
        .inspect_err(|error| tracing::warn!(%error, "no multicast here: going on without mDNS"))
        .ok()
}
