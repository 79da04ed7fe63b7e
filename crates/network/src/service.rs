//! The loop: feeds the pure parts with what the swarm, the handles and the clock bring, and carries out what they
//! decide.

mod discovery;
mod gossip;
mod operator;
mod peers;
mod requests;
mod transactions;
mod urgent;

use crate::{
    GossipValidator, NetworkConfig, NetworkError, NetworkHandle, NodeKey, RequestServer, TransactionPool,
    admission::Admission,
    behaviour::{Behaviour, BehaviourEvent},
    handle::{Command, Inbox},
    metrics::NetworkMetrics,
    peers::{Goals, PeerBook},
    protocol::Protocols,
    rate::RateLimiter,
    repeats::{Heard, Repeats},
    slow::SlowPeers,
    store::{Moment, PeerStore},
    swarm,
    transactions::Input,
};
use alloy_primitives::B256;
use discovery::{Reservations, VersionWarning, Walks};
use futures::StreamExt;
use gossip::Validations;
use libp2p::{Multiaddr, PeerId, Swarm, swarm::SwarmEvent};
use operator::Saving;
use prometheus_client::registry::Registry;
use requests::{Pending, Serving};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval};
use transactions::Transactions;

/// How often dials that are due and connections that are overdue are looked for.
const LINKS_TICK: Duration = Duration::from_millis(100);
/// How often scores, budgets and bans are brought up to date.
const SCORES_TICK: Duration = Duration::from_secs(1);

/// Starts a node's network.
#[derive(Debug)]
pub struct Network;

impl Network {
    /// Binds every listen address and returns before any peer is dialled; [`NetworkService::run`] does the rest.
    ///
    /// # Errors
    /// [`NetworkError::Config`] names the setting, [`NetworkError::Listen`] the address that cannot be listened on.
    pub async fn start(
        config: NetworkConfig,
        key: NodeKey,
        genesis_hash: B256,
        validator: Arc<dyn GossipValidator>,
        server: Arc<dyn RequestServer>,
        pool: Arc<dyn TransactionPool>,
        registry: &mut Registry,
    ) -> Result<(NetworkHandle, NetworkService), NetworkError> {
        let local = key.peer_id();
        let mut named = config.check(local)?;
        if config.reserved_only {
            named.bootnodes.clear();
            named.persistent.extend_from_slice(&named.relays);
        }
        let protocols = Protocols::new(genesis_hash);
        let admission = Admission::new(&config, named.persistent.iter().map(|(peer, _)| *peer));
        let metrics = NetworkMetrics::new(registry);
        let swarm = swarm::start(&config, key.keypair(), &protocols, admission, registry).await?;
        let (handle, inbox) = NetworkHandle::new(local, listen_addresses(&swarm), metrics.clone());
        let now = Instant::now();
        let reservations = Reservations::new(named.relays.clone(), now);
        let mut book = PeerBook::new(local, goals(&config), named, now);
        let store = config.peer_store.clone().map(PeerStore::new);
        let store = store.filter(|store| store.load(&mut book, Moment::now()));
        let mut service = NetworkService {
            swarm,
            protocols,
            inbox,
            book,
            limiter: RateLimiter::new(config.pace),
            repeats: Repeats::new(),
            heard: Heard::new(),
            validations: Validations::new(validator),
            serving: Serving::new(server, config.request_timeout()),
            slow: SlowPeers::default(),
            pending: Pending::default(),
            transactions: Transactions::new(pool, metrics.transactions.clone()),
            walks: Walks::new(now),
            version_warning: VersionWarning::default(),
            reservations,
            saving: store.map(|store| Saving::new(store, now)),
            metrics,
        };
        service.apply_bans();
        Ok((handle, service))
    }
}

/// The loop that owns the swarm.
pub struct NetworkService {
    swarm: Swarm<Behaviour>,
    protocols: Protocols,
    inbox: Inbox,
    book: PeerBook,
    limiter: RateLimiter,
    repeats: Repeats,
    heard: Heard,
    validations: Validations,
    serving: Serving,
    slow: SlowPeers,
    pending: Pending,
    transactions: Transactions,
    walks: Walks,
    version_warning: VersionWarning,
    reservations: Reservations,
    saving: Option<Saving>,
    metrics: NetworkMetrics,
}

impl NetworkService {
    /// Runs until every handle is dropped; dropping the future closes every connection and socket.
    ///
    /// # Errors
    /// [`NetworkError::HandlerPanicked`] when a validator or request server panicked.
    pub async fn run(mut self) -> Result<(), NetworkError> {
        let [mut links, mut scores] = [LINKS_TICK, SCORES_TICK].map(|period| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            ticks
        });
        loop {
            let relay_due = self.transactions.due();
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                Some(judged) = self.validations.next() => self.finish_validation(judged?),
                Some(served) = self.serving.next() => self.send_response(served?),
                message = self.inbox.outgoing.next() => match message {
                    Some((topic, message)) => self.publish(topic, message),
                    None => return Ok(()),
                },
                Some(command) = self.inbox.commands.recv() => self.on_command(command),
                Some(answer) = self.transactions.next() => self.on_pool_answer(answer?),
                Some((transactions, announcement)) = self.inbox.announcements.recv() => {
                    self.relay(Input::Pending { transactions, announcement });
                }
                () = relay_due => self.relay(Input::Tick),
                _ = links.tick() => self.tend_links(),
                _ = scores.tick() => self.tend_scores(),
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Request { peer, request, reply } => self.send_request(peer, request, reply),
            Command::Report { peer, misbehaviour } => self.penalise(peer, misbehaviour),
            Command::Operator(command) => self.on_operator(command),
        }
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, cause, .. } => {
                tracing::debug!(peer = %peer_id, ?cause, "disconnected");
                self.on_disconnected(peer_id);
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
                self.on_dial_failed(peer, &error);
            }
            SwarmEvent::IncomingConnectionError { peer_id, error, .. } => self.on_inbound_refused(peer_id, &error),
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.swarm.remove_external_address(&address);
                self.publish_listen_addresses();
            }
            SwarmEvent::NewListenAddr { .. } => self.publish_listen_addresses(),
            SwarmEvent::ExternalAddrConfirmed { address } => tracing::info!(%address, "peers reach us"),
            SwarmEvent::ExternalAddrExpired { address } => tracing::info!(%address, "peers reach us no longer"),
            SwarmEvent::ListenerClosed { listener_id, reason, .. } if self.reservations.lost(listener_id) => {
                tracing::info!(?reason, "a relay holds no place for us any more");
            }
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::warn!(?addresses, ?reason, "listener closed");
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "listener"),
            _ => {}
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Requests(event) => self.on_request_event(event),
            BehaviourEvent::Transactions(event) => self.on_transaction_event(event),
            BehaviourEvent::Identify(event) => self.on_identify(event),
            BehaviourEvent::Ping(event) => self.on_ping(&event),
            BehaviourEvent::Kademlia(event) => self.on_kademlia(event),
            BehaviourEvent::Mdns(event) => self.on_multicast(event),
            BehaviourEvent::Reachability(event) => self.on_reachability(&event),
            BehaviourEvent::Upnp(event) => self.on_port_mapping(&event),
            BehaviourEvent::RelayServer(event) => tracing::debug!(?event, "relaying"),
            BehaviourEvent::RelayClient(event) => tracing::debug!(?event, "relayed"),
            BehaviourEvent::HolePunching(event) => tracing::debug!(?event, "hole punching"),
        }
    }

    fn publish_listen_addresses(&mut self) {
        let addresses = listen_addresses(&self.swarm);
        tracing::info!(?addresses, "listening");
        self.inbox.listen_addresses.send_replace(addresses.into());
    }
}

/// How many connections are wanted: none of strangers where only named peers are let in.
fn goals(config: &NetworkConfig) -> Goals {
    if config.reserved_only {
        return Goals { connected: 0, outbound: 0 };
    }
    Goals { connected: config.peers_target as usize, outbound: config.outbound_min() as usize }
}

/// The addresses that the swarm listens on, each with our peer id.
fn listen_addresses(swarm: &Swarm<Behaviour>) -> Vec<Multiaddr> {
    let local: PeerId = *swarm.local_peer_id();
    // The address at a relay ends in our peer id already.
    let with_own = |address: &Multiaddr| address.clone().with_p2p(local).unwrap_or_else(|address| address);
    swarm.listeners().map(with_own).collect()
}
