//! Connections: who comes, who stays, who is dialled.

use super::NetworkService;
use crate::{
    Misbehaviour, PeerInfo,
    admission::Refusal,
    failure::dial_failure,
    metrics::{DialFailureLabel, MisbehaviourLabel},
    names,
    peers::{Connection, Dial, PeerBook},
    place::is_relayed,
    score::SCORE_MIN,
    transactions::Input,
};
use libp2p::{
    Multiaddr, PeerId,
    core::ConnectedPoint,
    gossipsub::TopicHash,
    multiaddr::Protocol,
    ping,
    swarm::{ConnectionId, DialError, ListenError, dial_opts::DialOpts},
};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// A second connection of a peer this long after the first means that the first is dead on its side. Before, both
/// sides may have dialled at once.
const SIMULTANEOUS_DIAL: Duration = Duration::from_secs(2);

impl NetworkService {
    pub(super) fn on_connected(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let now = Instant::now();
        let connection = Connection::new(id, address_of(peer, endpoint), endpoint.is_listener(), now);
        match self.book.connection(&peer) {
            None => self.book.connected(peer, connection, now),
            // A hole was punched: the direct connection takes the place of the relayed one.
            Some(old) if is_relayed(&old.address) && !is_relayed(&connection.address) => {
                tracing::info!(%peer, address = %connection.address, "connected directly, no longer by a relay");
                let relayed = old.id;
                self.book.upgraded(peer, connection);
                self.swarm.close_connection(relayed);
            }
            // It only finds out whether an address is reached.
            Some(_) => {}
        }
    }

    pub(super) fn on_disconnected(&mut self, peer: PeerId) {
        let was_ready = self.book.is_ready(&peer);
        self.book.disconnected(peer, Instant::now());
        self.slow.forget(&peer);
        self.serving.forget(&peer);
        self.exchange_ended(peer);
        if was_ready {
            tracing::info!(%peer, "peer lost");
            self.publish_peers();
        }
    }

    /// A peer that restarted dials us before its old connection is known to be dead, and is refused as a second
    /// connection. Closing the old one lets its next dial in.
    pub(super) fn on_inbound_refused(&mut self, peer: Option<PeerId>, error: &ListenError) {
        tracing::debug!(?peer, %error, "inbound connection refused");
        let (Some(peer), ListenError::Denied { cause }) = (peer, error) else { return };
        if cause.downcast_ref() == Some(&Refusal::Second)
            && self.book.connection(&peer).is_some_and(|old| old.since.elapsed() >= SIMULTANEOUS_DIAL)
        {
            self.disconnect(peer);
        }
    }

    pub(super) fn on_subscribed(&mut self, peer: PeerId, topic: &TopicHash) {
        if let Some(topic) = self.protocols.topic(topic) {
            self.update_readiness(peer, |book| book.subscribed(peer, topic));
        }
    }

    /// No correct node leaves a topic. A peer that came and went on one connection would cost us work each time that
    /// it comes: a connection of its own is its price.
    pub(super) fn on_unsubscribed(&mut self, peer: PeerId, topic: &TopicHash) {
        if self.protocols.topic(topic).is_some() {
            self.penalise(peer, Misbehaviour::InvalidGossip);
            self.disconnect(peer);
        }
    }

    /// Applies `update` and publishes the list of peers if this one came or went by it.
    pub(super) fn update_readiness(&mut self, peer: PeerId, update: impl FnOnce(&mut PeerBook)) {
        let was_ready = self.book.is_ready(&peer);
        update(&mut self.book);
        let is_ready = self.book.is_ready(&peer);
        if was_ready != is_ready {
            let now = Instant::now();
            self.walks.hurry(now);
            self.saving.iter_mut().for_each(|saving| saving.hurry(now));
            tracing::info!(%peer, is_ready, "peer");
            if is_ready {
                self.relay(Input::Joined(peer));
            }
            self.publish_peers();
        }
    }

    pub(super) fn on_ping(&mut self, event: &ping::Event) {
        match &event.result {
            Ok(_) => self.book.answered(event.peer, Instant::now()),
            Err(ping::Failure::Timeout | ping::Failure::Other { .. }) => {
                tracing::debug!(peer = %event.peer, "no answer to ping");
                self.swarm.close_connection(event.connection);
            }
            // Such a connection becomes silent.
            Err(ping::Failure::Unsupported) => {}
        }
    }

    /// Starts the dials that are due and closes the connections that never became ready.
    pub(super) fn tend_links(&mut self) {
        let now = Instant::now();
        for Dial { peer, addresses } in self.book.dials_due(now) {
            // A port of its own: one shared with the listener could still be held by the connection just lost.
            let addresses = names::look_up_hosts(addresses);
            let dial = DialOpts::peer_id(peer).addresses(addresses).allocate_new_port().build();
            match self.swarm.dial(dial) {
                // Kademlia is dialling it, and that dial's outcome will be told.
                Ok(()) | Err(DialError::DialPeerConditionFalse(_)) => {}
                Err(error) => self.on_dial_failed(peer, &error),
            }
        }
        for probe in self.swarm.behaviour_mut().limits.overdue_probes(now) {
            self.swarm.close_connection(probe);
        }
        for peer in self.book.overdue(now) {
            tracing::debug!(%peer, "not identified and subscribed in time, or silent");
            self.disconnect(peer);
        }
        self.walk_when_due(now);
        self.tend_relays(now);
        self.save_when_due(now);
    }

    pub(super) fn on_dial_failed(&mut self, peer: PeerId, error: &DialError) {
        tracing::debug!(%peer, %error, "dial failed");
        if let Some(cause) = dial_failure(error) {
            self.metrics.dial_failures.get_or_create(&DialFailureLabel { cause }).inc();
        }
        self.book.dial_failed(peer, Instant::now());
    }

    /// Lets penalties, budgets and bans fade, and bans the peers that gossipsub no longer listens to.
    pub(super) fn tend_scores(&mut self) {
        let now = Instant::now();
        self.limiter.sweep(now);
        self.serving.sweep(now);
        self.swarm.behaviour_mut().gossip.sweep(now);
        self.book.sweep(now);
        self.apply_bans();
        let named_ips = self.book.named_ips();
        let behaviour = self.swarm.behaviour_mut();
        let mut scores = HashMap::new();
        for (peer, _) in self.book.ready() {
            behaviour.gossip.set_application_score(&peer, -self.book.penalty(&peer, now));
            scores.extend(behaviour.gossip.peer_score(&peer).map(|score| (peer, score)));
        }
        scores.iter().for_each(|(peer, score)| self.book.rate(peer, *score));
        let unwanted: Vec<_> = scores.iter().filter(|(_, score)| **score < SCORE_MIN).map(|(peer, _)| *peer).collect();
        behaviour.limits.admission().set_scores(scores);
        behaviour.limits.admission().set_named_ips(named_ips);
        for peer in unwanted {
            self.ban(peer);
        }
        self.count_mesh();
        self.publish_peers();
    }

    pub(super) fn penalise(&mut self, peer: PeerId, misbehaviour: Misbehaviour) {
        tracing::debug!(%peer, ?misbehaviour, "misbehaviour");
        self.metrics.misbehaviours.get_or_create(&MisbehaviourLabel { kind: misbehaviour }).inc();
        let now = Instant::now();
        if self.book.penalise(peer, misbehaviour, now) {
            return self.ban(peer);
        }
        let penalty = self.book.penalty(&peer, now);
        self.swarm.behaviour_mut().gossip.set_application_score(&peer, -penalty);
    }

    fn ban(&mut self, peer: PeerId) {
        let now = Instant::now();
        // What it did before it was banned is told late and earns no second ban.
        if self.book.bans.remaining(&peer, now).is_some() {
            return;
        }
        let time = self.book.punish(peer, now);
        tracing::warn!(%peer, ?time, "peer banned");
        self.metrics.bans.inc();
        self.apply_bans();
    }

    /// Disconnects a peer and refuses it for a time, whatever it did.
    pub(super) fn exclude(&mut self, peer: PeerId, time: Duration) {
        self.book.bans.exclude(peer, time, Instant::now());
        self.apply_bans();
    }

    /// Refuses from now on whoever is banned now, and disconnects those who are connected.
    pub(super) fn apply_bans(&mut self) {
        let (now, bans) = (Instant::now(), &self.book.bans);
        let admission = self.swarm.behaviour_mut().limits.admission();
        admission.set_banned(bans.banned_peers(now), bans.banned_ips(now));
        for peer in admission.unwanted() {
            self.disconnect(peer);
        }
    }

    pub(super) fn disconnect(&mut self, peer: PeerId) {
        // An error means that it is not connected, which is what is wanted.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    /// Tells the handles who is ready, if that changed.
    fn publish_peers(&mut self) {
        let gossip = &self.swarm.behaviour().gossip;
        let info = |(peer_id, connection): (PeerId, &Connection)| PeerInfo {
            peer_id,
            address: connection.address.clone(),
            inbound: connection.inbound,
            agent: connection.agent().into(),
            score: gossip.peer_score(&peer_id).unwrap_or_default(),
        };
        let mut peers: Vec<_> = self.book.ready().map(info).collect();
        peers.sort_by_key(|peer| peer.peer_id);
        self.metrics.peers.set(peers.len() as i64);
        self.metrics.show_scores(peers.iter().map(|peer| peer.score).collect());
        self.inbox.peers.send_if_modified(|current| {
            let changed = **current != *peers;
            if changed {
                *current = Arc::from(peers);
            }
            changed
        });
    }
}

/// Where a peer is: the address dialled, the one it comes from, or the one at the relay in between.
fn address_of(peer: PeerId, endpoint: &ConnectedPoint) -> Multiaddr {
    match endpoint {
        ConnectedPoint::Listener { local_addr, .. } if endpoint.is_relayed() => {
            local_addr.clone().with(Protocol::P2p(peer))
        }
        _ => endpoint.get_remote_address().clone(),
    }
}
