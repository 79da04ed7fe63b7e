//! Connections: who comes, who stays, who is dialled.

use super::NetworkService;
use crate::{
    Misbehaviour, PeerInfo,
    metrics::MisbehaviourLabel,
    peers::{BAN, Connection, Dial, FOREIGN_BAN, PeerBook},
    score::SCORE_MIN,
    transactions::Input,
};
use libp2p::{
    Multiaddr, PeerId,
    core::ConnectedPoint,
    gossipsub::TopicHash,
    identify, kad, mdns,
    multiaddr::Protocol,
    ping,
    swarm::{DialError, ListenError, dial_opts::DialOpts},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Most characters kept of what a peer says it runs.
const AGENT_CHARACTERS: usize = 64;
/// A second connection of a peer this long after the first means that the first is dead on its side. Before, both
/// sides may have dialled at once.
const SIMULTANEOUS_DIAL: Duration = Duration::from_secs(2);

impl NetworkService {
    pub(super) fn on_connected(&mut self, peer: PeerId, endpoint: &ConnectedPoint) {
        let address = endpoint.get_remote_address().clone();
        self.book.connected(peer, address, endpoint.is_listener(), Instant::now());
    }

    pub(super) fn on_disconnected(&mut self, peer: PeerId) {
        let was_ready = self.book.is_ready(&peer);
        self.book.disconnected(peer, Instant::now());
        self.slow.forget(&peer);
        self.serving.forget(&peer);
        self.relay(Input::Left(peer));
        if was_ready {
            tracing::info!(%peer, "peer lost");
            self.publish_peers();
        }
    }

    /// A peer that restarted dials us before its old connection is known to be dead, and is refused as a second
    /// connection. Closing the old one lets its next dial in.
    pub(super) fn on_inbound_refused(&mut self, peer: Option<PeerId>, error: &ListenError) {
        tracing::debug!(?peer, %error, "inbound connection refused");
        let (Some(peer), ListenError::Denied { .. }) = (peer, error) else { return };
        if self.book.connection(&peer).is_some_and(|old| old.since.elapsed() >= SIMULTANEOUS_DIAL) {
            self.disconnect(peer);
        }
    }

    pub(super) fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received { peer_id: peer, info, .. } = event else { return };
        if info.protocol_version != self.protocols.identity() {
            tracing::debug!(%peer, theirs = ?info.protocol_version, ours = self.protocols.identity(), "other chain");
            return self.expel(peer, FOREIGN_BAN);
        }
        // Only the first one counts, otherwise a peer could push addresses without end.
        if self.book.connection(&peer).is_none_or(Connection::is_identified) {
            return;
        }
        let addresses = self.dialable(peer, info.listen_addrs);
        for address in &addresses {
            self.swarm.behaviour_mut().kademlia.add_address(&peer, address.clone());
        }
        self.book.discover(peer, addresses, Instant::now());
        let agent = info.agent_version.chars().filter(|c| !c.is_control()).take(AGENT_CHARACTERS).collect();
        self.update_readiness(peer, |book| book.identified(peer, agent));
    }

    pub(super) fn on_subscription(&mut self, peer: PeerId, topic: &TopicHash, subscribed: bool) {
        if let Some(topic) = self.protocols.topic(topic) {
            self.update_readiness(peer, |book| book.subscribed(peer, topic, subscribed));
        }
    }

    /// Applies `update` and publishes the list of peers if this one came or went by it.
    fn update_readiness(&mut self, peer: PeerId, update: impl FnOnce(&mut PeerBook)) {
        let was_ready = self.book.is_ready(&peer);
        update(&mut self.book);
        let is_ready = self.book.is_ready(&peer);
        if was_ready != is_ready {
            tracing::info!(%peer, is_ready, "peer");
            if is_ready {
                self.relay(Input::Joined(peer));
            }
            self.publish_peers();
        }
    }

    /// What of an identified peer's addresses may be dialled: its loopback addresses only when it is on this machine.
    fn dialable(&self, peer: PeerId, addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
        let remote = self.book.connection(&peer).map(|connection| &connection.address);
        let is_local = remote.is_some_and(is_loopback);
        addresses.into_iter().filter(|address| is_local || !is_loopback(address)).collect()
    }

    pub(super) fn on_ping(&mut self, event: &ping::Event) {
        if let Err(ping::Failure::Timeout | ping::Failure::Other { .. }) = &event.result {
            tracing::debug!(peer = %event.peer, "no answer to ping");
            self.swarm.close_connection(event.connection);
        }
    }

    pub(super) fn on_kademlia(&mut self, event: kad::Event) {
        let now = Instant::now();
        match event {
            kad::Event::RoutingUpdated { peer, addresses, .. } => self.book.discover(peer, addresses.into_vec(), now),
            kad::Event::OutboundQueryProgressed { result: kad::QueryResult::GetClosestPeers(Ok(found)), .. } => {
                for info in found.peers {
                    self.book.discover(info.peer_id, info.addrs, now);
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

    /// Starts the dials that are due and closes the connections that never became ready.
    pub(super) fn tend_links(&mut self) {
        let now = Instant::now();
        for Dial { peer, addresses } in self.book.dials_due(now) {
            // A port of its own: one shared with the listener could still be held by the connection just lost.
            let dial = DialOpts::peer_id(peer).addresses(addresses).allocate_new_port().build();
            match self.swarm.dial(dial) {
                // Kademlia is dialling it, and that dial's outcome will be told.
                Ok(()) | Err(DialError::DialPeerConditionFalse(_)) => {}
                Err(error) => {
                    tracing::debug!(%peer, %error, "cannot dial");
                    self.book.dial_failed(peer, now);
                }
            }
        }
        for peer in self.book.overdue(now) {
            tracing::debug!(%peer, "not identified and subscribed in time");
            self.disconnect(peer);
        }
    }

    /// Lets penalties, budgets and bans fade, and bans the peers that gossipsub no longer listens to.
    pub(super) fn tend_scores(&mut self) {
        let now = Instant::now();
        self.limiter.sweep(now);
        self.serving.sweep(now);
        self.swarm.behaviour_mut().gossip.sweep(now);
        for peer in self.book.bans_ended(now) {
            self.swarm.behaviour_mut().blocked.unblock_peer(peer);
        }
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        let mut unwanted = Vec::new();
        for (peer, _) in self.book.ready() {
            gossip.set_application_score(&peer, -self.book.penalty(&peer, now));
            if gossip.peer_score(&peer).is_some_and(|score| score < SCORE_MIN) {
                unwanted.push(peer);
            }
        }
        for peer in unwanted {
            self.ban(peer);
        }
        self.count_mesh();
        self.publish_peers();
    }

    /// Asks Kademlia for the peers near a random place.
    pub(super) fn walk(&mut self) {
        if self.book.wants_more() {
            self.swarm.behaviour_mut().kademlia.get_closest_peers(PeerId::random());
        }
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
        tracing::warn!(%peer, "peer banned");
        self.metrics.bans.inc();
        self.expel(peer, BAN);
    }

    /// Disconnects a peer and refuses it for a time. When too many bans are remembered already it may come back at
    /// once, to be expelled again.
    fn expel(&mut self, peer: PeerId, time: Duration) {
        if self.book.ban(peer, time, Instant::now()) {
            self.swarm.behaviour_mut().blocked.block_peer(peer);
        }
        self.disconnect(peer);
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

fn is_loopback(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_loopback(),
        Some(Protocol::Ip6(ip)) => ip.is_loopback(),
        _ => false,
    }
}
