//! Finding peers, and being found.

use super::NetworkService;
use crate::{
    Misbehaviour,
    config::PeerAddress,
    peers::{Connection, FOREIGN_BAN},
    place::{is_relayed, scope},
    protocol::{Kinship, WIRE_VERSION},
    reachability::AutoNatEvent,
};
use libp2p::{Multiaddr, PeerId, core::transport::ListenerId, identify, kad, mdns, multiaddr::Protocol, upnp};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Most characters kept of what a peer says it runs.
const AGENT_CHARACTERS: usize = 64;
/// Least time between two warnings of peers with another version of the wire.
const VERSION_WARNING_INTERVAL: Duration = Duration::from_secs(60);
/// Shortest and longest time between two random walks while peers are wanted.
const WALK_MIN: Duration = Duration::from_secs(1);
const WALK_MAX: Duration = Duration::from_secs(30);
/// How long to wait before a relay that has no place is asked again.
const RESERVE_AGAIN: Duration = Duration::from_secs(3);

/// When to walk: often after a peer was found, then ever less often.
pub(super) struct Walks {
    next: Instant,
    period: Duration,
}

impl Walks {
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now, period: WALK_MIN }
    }

    /// Whether a walk is due; if so it counts as made.
    fn take(&mut self, now: Instant) -> bool {
        let is_due = now >= self.next;
        if is_due {
            self.next = now + self.period;
            self.period = (self.period * 2).min(WALK_MAX);
        }
        is_due
    }

    /// A peer was found: it may know others.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.period = WALK_MIN;
        self.next = self.next.min(now + WALK_MIN);
    }
}

/// Tells the operator of peers that cannot be talked with, once in a while: a peer can say what it likes.
#[derive(Default)]
pub(super) struct VersionWarning(Option<Instant>);

impl VersionWarning {
    fn tell(&mut self, peer: PeerId, theirs: u16, agent: &str, now: Instant) {
        if self.0.is_none_or(|told| now.duration_since(told) >= VERSION_WARNING_INTERVAL) {
            self.0 = Some(now);
            let (ours, older) = (WIRE_VERSION, if theirs < WIRE_VERSION { "that peer" } else { "this node" });
            tracing::warn!(%peer, agent, "the peer speaks version {theirs} of the wire, this node version {ours}, and neither the other's: upgrade {older}");
        }
    }
}

/// What a peer says it runs.
fn agent(info: &identify::Info) -> String {
    info.agent_version.chars().filter(|c| !c.is_control()).take(AGENT_CHARACTERS).collect()
}

/// The relays to be reached through, and the places held there.
pub(super) struct Reservations {
    relays: Vec<PeerAddress>,
    held: HashMap<ListenerId, PeerId>,
    retry_at: Instant,
}

impl Reservations {
    pub(super) fn new(relays: Vec<PeerAddress>, now: Instant) -> Self {
        Self { relays, held: HashMap::new(), retry_at: now }
    }

    /// A listener closed; whether it was a place at a relay.
    pub(super) fn lost(&mut self, listener: ListenerId) -> bool {
        self.held.remove(&listener).is_some()
    }
}

impl NetworkService {
    pub(super) fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received { peer_id: peer, info, .. } = event else { return };
        if !self.book.allow_introduction(peer, Instant::now()) {
            self.penalise(peer, Misbehaviour::Flooding);
            return self.disconnect(peer);
        }
        match self.protocols.kinship(&info.protocol_version) {
            Kinship::SameVersion => {}
            Kinship::OtherVersion(_) if self.protocols.are_spoken(&info.protocols) => {}
            Kinship::OtherVersion(theirs) => {
                self.version_warning.tell(peer, theirs, &agent(&info), Instant::now());
                return self.exclude(peer, FOREIGN_BAN);
            }
            Kinship::OtherChain => {
                tracing::debug!(%peer, theirs = ?info.protocol_version, ours = self.protocols.identity(), "other chain");
                return self.exclude(peer, FOREIGN_BAN);
            }
        }
        let Some(connection) = self.book.connection(&peer).cloned() else { return };
        let addresses = dialable(&connection, info.listen_addrs.clone());
        self.route(peer, &info.protocols, &addresses);
        self.book.claimed(peer, addresses);
        if !connection.is_identified() {
            let agent = agent(&info);
            self.confirm_listener(&connection, info.observed_addr);
            self.update_readiness(peer, |book| book.identified(peer, agent));
        }
    }

    /// Puts a peer that serves Kademlia into the table, once a connection: it cannot push addresses without end.
    fn route(&mut self, peer: PeerId, protocols: &[libp2p::StreamProtocol], addresses: &[Multiaddr]) {
        let Some(kademlia) = self.swarm.behaviour_mut().kademlia.as_mut() else { return };
        let serves = kademlia.protocol_names().iter().any(|name| protocols.contains(name));
        if serves && self.book.route(peer) {
            for address in addresses {
                kademlia.add_address(&peer, address.clone());
            }
        }
    }

    /// A peer that dialled us says which address it dialled. If that is one we listen on, and no nearer than the peer
    /// is, it is reached from there: so a network on one machine or behind one router finds itself.
    fn confirm_listener(&mut self, connection: &Connection, observed: Multiaddr) {
        let dialled: Multiaddr = observed.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect();
        let is_direct = connection.inbound && !is_relayed(&connection.address);
        let is_near = scope(&dialled) == scope(&connection.address);
        if is_direct && is_near && self.swarm.listeners().any(|listener| *listener == dialled) {
            self.swarm.add_external_address(dialled);
        }
    }

    pub(super) fn on_kademlia(&mut self, event: kad::Event) {
        let now = Instant::now();
        match event {
            kad::Event::RoutingUpdated { peer, addresses, .. } => self.book.hear(peer, addresses.into_vec(), now),
            kad::Event::OutboundQueryProgressed { result: kad::QueryResult::GetClosestPeers(Ok(found)), .. } => {
                for info in found.peers {
                    self.book.hear(info.peer_id, info.addrs, now);
                }
            }
            _ => {}
        }
    }

    pub(super) fn on_multicast(&mut self, event: mdns::Event) {
        if let mdns::Event::Discovered(found) = event {
            for (peer, address) in found {
                self.book.discover(peer, [address], Instant::now());
            }
        }
    }

    pub(super) fn on_reachability(&mut self, event: &AutoNatEvent) {
        match event {
            AutoNatEvent::Client(event) => {
                tracing::debug!(address = %event.tested_addr, server = %event.server, result = ?event.result, "reached?");
            }
            // What the connection was for is done.
            AutoNatEvent::Server(event) => {
                for id in self.swarm.behaviour_mut().limits.dial_backs(event.client) {
                    self.swarm.close_connection(id);
                }
            }
        }
    }

    pub(super) fn on_port_mapping(&mut self, event: &upnp::Event) {
        match event {
            upnp::Event::NewExternalAddr { external_addr, .. } => {
                tracing::info!(address = %external_addr, "the router maps a port");
            }
            upnp::Event::ExpiredExternalAddr { external_addr, .. } => {
                tracing::warn!(address = %external_addr, "the router maps a port no longer");
            }
            upnp::Event::GatewayNotFound | upnp::Event::NonRoutableGateway => {
                tracing::warn!(?event, "no router maps ports by UPnP: peers may not reach this node");
            }
        }
    }

    /// Asks Kademlia for the peers near a random place.
    pub(super) fn walk_when_due(&mut self, now: Instant) {
        let Some(kademlia) = self.swarm.behaviour_mut().kademlia.as_mut() else { return };
        if self.book.wants_more() && self.walks.take(now) {
            kademlia.get_closest_peers(PeerId::random());
        }
    }

    /// Asks the relays that are connected for a place, where we have none.
    pub(super) fn tend_relays(&mut self, now: Instant) {
        if now < self.reservations.retry_at {
            return;
        }
        let is_held = |relay: &PeerId| self.reservations.held.values().any(|held| held == relay);
        let is_there = |relay: &PeerId| {
            self.book.connection(relay).is_some_and(|link| link.is_identified() && !is_relayed(&link.address))
        };
        let missing = self.reservations.relays.iter().filter(|(relay, _)| !is_held(relay) && is_there(relay));
        for (relay, address) in missing.cloned().collect::<Vec<_>>() {
            let circuit = address.with(Protocol::P2p(relay)).with(Protocol::P2pCircuit);
            match self.swarm.listen_on(circuit) {
                Ok(listener) => drop(self.reservations.held.insert(listener, relay)),
                Err(error) => tracing::warn!(%relay, %error, "cannot ask a relay for a place"),
            }
            self.reservations.retry_at = now + RESERVE_AGAIN;
        }
    }
}

/// What of a peer's addresses may be dialled: those that are no nearer than the peer is. A private address of a peer
/// from afar is another machine, if any.
fn dialable(connection: &Connection, addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
    let from = scope(&connection.address);
    addresses.into_iter().filter(|address| scope(address) >= from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_become_rarer_until_a_peer_is_found() {
        let mut now = Instant::now();
        let mut walks = Walks::new(now);
        let mut waits = Vec::new();
        for _ in 0..7 {
            let start = now;
            while !walks.take(now) {
                now += Duration::from_secs(1);
            }
            waits.push((now - start).as_secs());
        }
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 30]);
        walks.hurry(now);
        assert!(!walks.take(now) && walks.take(now + WALK_MIN));
    }
}
