//! The protocols that one swarm speaks.

use crate::{
    Nat, NetworkConfig, NetworkError,
    admission::{Admission, Limits},
    candidates::{CandidateFilter, Filtered},
    codec::{ChainExchange, Exchange, RlpCodec, TransactionExchange},
    gossip,
    guard::GuardedGossip,
    place::{Scope, scope},
    probes::Probes,
    protocol::Protocols,
    reachability::{self, Reachability},
};
use libp2p::{
    PeerId, StreamProtocol, dcutr, identify,
    identity::Keypair,
    kad, mdns, ping, relay, request_response,
    swarm::{InvalidProtocol, NetworkBehaviour, behaviour::toggle::Toggle},
    upnp,
};
use std::time::Duration;

/// Streams of the request protocol that one connection may have open.
const REQUEST_STREAMS_MAX: usize = 16;
/// Streams of the exchange of transactions that one connection may have open: an announcement, a push and four fetches
/// each way, and what is closing.
const TRANSACTION_STREAMS_MAX: usize = 24;
/// How long an announcement, a push or a fetch of transactions may take; after that the next peer is asked.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a peer is asked whether it is there; the peer book counts the answers, for ping itself forgives the first
/// that is missing.
const PING_INTERVAL: Duration = Duration::from_secs(2);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Peers that a relay holds a place for, and peers connected through it at once.
const RELAY_RESERVATIONS: usize = 64;
const RELAY_CIRCUITS: usize = 16;
/// What one peer may have of these.
const RELAY_CIRCUITS_PER_PEER: usize = 4;
/// A relayed connection ends after this time or this many bytes each way, whichever comes first; its peers connect
/// anew if they could not become direct in the meantime.
const RELAY_TIME: Duration = Duration::from_secs(60 * 60);
const RELAY_BYTES: u64 = 256 * 1024 * 1024;

/// Limits come first: what they refuse, the others never see.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) limits: Limits,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) gossip: GuardedGossip,
    pub(crate) requests: request_response::Behaviour<RlpCodec<ChainExchange>>,
    pub(crate) transactions: request_response::Behaviour<RlpCodec<TransactionExchange>>,
    pub(crate) kademlia: Toggle<kad::Behaviour<kad::store::MemoryStore>>,
    pub(crate) mdns: Toggle<mdns::tokio::Behaviour>,
    reachability: Toggle<Reachability>,
    upnp: Toggle<upnp::tokio::Behaviour>,
    relay_server: Toggle<relay::Behaviour>,
    relay_client: relay::client::Behaviour,
    hole_punching: Filtered<dcutr::Behaviour>,
}

impl Behaviour {
    pub(crate) fn new(
        config: &NetworkConfig,
        key: &Keypair,
        protocols: &Protocols,
        admission: Admission,
        relay_client: relay::client::Behaviour,
    ) -> Result<Self, NetworkError> {
        let (local, probes) = (key.public().to_peer_id(), Probes::default());
        // Whoever connects with named peers only neither looks for others nor is looked for.
        let is_open = !config.reserved_only;
        Ok(Self {
            limits: Limits::new(admission, probes.clone()),
            identify: identify(key, protocols),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT)),
            gossip: GuardedGossip::new(gossip::behaviour(protocols, &config.pace)?, protocols, &config.pace),
            requests: requests(protocols.request(), config.request_timeout(), REQUEST_STREAMS_MAX)?,
            transactions: requests(protocols.transactions(), TRANSACTION_TIMEOUT, TRANSACTION_STREAMS_MAX)?,
            kademlia: is_open.then(|| kademlia(local, protocols)).transpose()?.into(),
            mdns: multicast(config, local).into(),
            reachability: is_open.then(|| reachability::behaviour(probes, !config.names_addresses())).into(),
            upnp: (config.nat == Nat::Upnp).then(upnp::tokio::Behaviour::default).into(),
            relay_server: config.relay_server.then(|| relay::Behaviour::new(local, relay_limits())).into(),
            relay_client,
            hole_punching: hole_punching(config, local),
        })
    }
}

/// A peer from afar refuses to dial any address nearer than we are to it, and then dials none: what is nearer than the
/// nearest peer that the operator named is not told.
fn hole_punching(config: &NetworkConfig, local: PeerId) -> Filtered<dcutr::Behaviour> {
    let named = config.relays.iter().chain(&config.bootnodes).chain(&config.persistent_peers);
    let nearest = named.map(scope).min().unwrap_or(Scope::Global);
    Filtered::new(dcutr::Behaviour::new(local), CandidateFilter::not_nearer_than(nearest))
}

fn relay_limits() -> relay::Config {
    relay::Config {
        max_reservations: RELAY_RESERVATIONS,
        max_circuits: RELAY_CIRCUITS,
        max_circuits_per_peer: RELAY_CIRCUITS_PER_PEER,
        max_circuit_duration: RELAY_TIME,
        max_circuit_bytes: RELAY_BYTES,
        ..relay::Config::default()
    }
}

fn identify(key: &Keypair, protocols: &Protocols) -> identify::Behaviour {
    let config = identify::Config::new(protocols.identity(), key.public())
        .with_agent_version(crate::client_version())
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

/// Kademlia finds peers and stores nothing. It serves others as long as there is a confirmed external address.
fn kademlia(local: PeerId, protocols: &Protocols) -> Result<kad::Behaviour<kad::store::MemoryStore>, NetworkError> {
    let protocol = protocols.kademlia().map_err(|error| NetworkError::setup("Kademlia", error))?;
    let mut config = kad::Config::new(protocol);
    config.set_query_timeout(Duration::from_secs(10)).set_record_filtering(kad::StoreInserts::FilterBoth);
    Ok(kad::Behaviour::with_config(local, kad::store::MemoryStore::new(local), config))
}

fn multicast(config: &NetworkConfig, local: PeerId) -> Option<mdns::tokio::Behaviour> {
    let start = || mdns::tokio::Behaviour::new(mdns::Config::default(), local);
    (config.mdns && !config.reserved_only)
        .then(start)?
        .inspect_err(|error| tracing::warn!(%error, "no multicast here: going on without mDNS"))
        .ok()
}
