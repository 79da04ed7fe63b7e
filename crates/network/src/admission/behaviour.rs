//! Tells the admission what the swarm does, and the swarm what the admission decides.

use super::{Admission, Arrival, Refusal};
use crate::{
    place::{ip_of, is_relayed, scope, scope_of},
    probes::{PROBE_TIME, Probes},
};
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionId, DialFailure, FromSwarm, ListenFailure,
        NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
    },
};
use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    task::{Context, Poll},
    time::Instant,
};

/// Refuses connections, and closes those that make room. Comes first: what it refuses, other behaviours never see.
pub(crate) struct Limits {
    admission: Admission,
    probes: Probes,
    /// Connections that only probe, and since when.
    probing: HashMap<ConnectionId, Instant>,
    /// Connections to close; each was admitted before, so there are no more than connections.
    closing: VecDeque<(PeerId, ConnectionId)>,
}

impl Limits {
    pub(crate) fn new(admission: Admission, probes: Probes) -> Self {
        Self { admission, probes, probing: HashMap::new(), closing: VecDeque::new() }
    }

    pub(crate) fn admission(&mut self) -> &mut Admission {
        &mut self.admission
    }

    /// The connections by which we dial a peer back.
    pub(crate) fn dial_backs(&self, peer: PeerId) -> Vec<ConnectionId> {
        self.probes.dial_backs(peer)
    }

    /// The connections that only probe and have had their time, or whose peer has left otherwise: to be closed.
    pub(crate) fn overdue_probes(&self, now: Instant) -> Vec<ConnectionId> {
        let is_alone = |id| self.admission.peer_of(id).is_none_or(|peer| !self.admission.is_connected(peer));
        let is_late = |since: Instant| now.saturating_duration_since(since) >= PROBE_TIME;
        let overdue = self.probing.iter().filter(|(id, since)| is_late(**since) || is_alone(**id));
        overdue.map(|(id, _)| *id).collect()
    }

    fn establish(&mut self, id: ConnectionId, arrival: Arrival) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        let evicted = self.admission.establish(id, arrival).map_err(ConnectionDenied::new)?;
        if let Some((peer, evicted)) = evicted.and_then(|id| Some((self.admission.peer_of(id)?, id))) {
            tracing::debug!(%peer, newcomer = %arrival.peer, "closed for a peer from elsewhere");
            self.closing.push_back((peer, evicted));
        }
        if arrival.probe {
            self.probing.insert(id, Instant::now());
        }
        Ok(dummy::ConnectionHandler)
    }

    /// Dials to a connected peer are made at its wish, by AutoNAT or hole punching: a peer from afar may have us dial
    /// only what is as far away, not the services of this network.
    fn check_wish(&self, peer: PeerId, addresses: &[Multiaddr]) -> Result<(), ConnectionDenied> {
        let Some(from) = self.admission.ips_of(peer).map(scope_of).min() else { return Ok(()) };
        let is_nearer = |address: &Multiaddr| scope(address) < from;
        if addresses.iter().any(is_nearer) { Err(ConnectionDenied::new(Refusal::TooNear)) } else { Ok(()) }
    }
}

impl NetworkBehaviour for Limits {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let ip = if is_relayed(local) { ip_of(local) } else { ip_of(remote) };
        self.admission.pending_inbound(id, ip).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let relayed = is_relayed(local);
        let ip = if relayed { ip_of(local) } else { ip_of(remote) };
        let probe = self.admission.is_connected(peer) && self.probes.take_expected(peer);
        self.establish(id, Arrival { peer, ip, inbound: true, relayed, probe })
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if let Some(peer) = peer {
            self.check_wish(peer, addresses)?;
        }
        self.admission.pending_outbound(id, peer).map_err(ConnectionDenied::new)?;
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let (ip, relayed) = (ip_of(address), is_relayed(address));
        let probe = self.probes.is_dial_back(id);
        self.establish(id, Arrival { peer, ip, inbound: false, relayed, probe })
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. })
            | FromSwarm::DialFailure(DialFailure { connection_id, .. })
            | FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => {
                self.admission.closed(connection_id);
                self.probes.closed(connection_id);
                self.probing.remove(&connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        match self.closing.pop_front() {
            Some((peer_id, id)) => {
                Poll::Ready(ToSwarm::CloseConnection { peer_id, connection: CloseConnection::One(id) })
            }
            None => Poll::Pending,
        }
    }
}
