//! What others say of our addresses, before a behaviour that collects it hears of it.

use crate::place::{Scope, is_relayed, scope};
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    multiaddr::Protocol,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm,
    },
};
use std::{
    collections::HashSet,
    task::{Context, Poll},
};

/// Which candidates a behaviour hears of.
#[derive(Debug)]
pub(crate) struct CandidateFilter {
    nearest: Scope,
    /// How many different ones more; `None` for a behaviour that bounds them itself.
    room: Option<usize>,
    known: HashSet<Multiaddr>,
}

impl CandidateFilter {
    /// At most `count` different ones.
    pub(crate) fn at_most(count: usize) -> Self {
        Self { nearest: Scope::Loopback, room: Some(count), known: HashSet::new() }
    }

    /// None nearer than this.
    pub(crate) fn not_nearer_than(nearest: Scope) -> Self {
        Self { nearest, room: None, known: HashSet::new() }
    }

    fn admits(&mut self, address: &Multiaddr) -> bool {
        if !is_socket(address) || scope(address) < self.nearest {
            return false;
        }
        let Some(room) = self.room else { return true };
        if self.known.contains(address) {
            return true;
        }
        let has_room = self.known.len() < room;
        if has_room {
            self.known.insert(address.clone());
        }
        has_room
    }
}

/// Whether this is a TCP or UDP port of an IP address, dialled directly.
fn is_socket(address: &Multiaddr) -> bool {
    let mut parts = address.iter();
    matches!(parts.next(), Some(Protocol::Ip4(_) | Protocol::Ip6(_)))
        && matches!(parts.next(), Some(Protocol::Tcp(_) | Protocol::Udp(_)))
        && !is_relayed(address)
}

/// A behaviour that hears of some candidates only.
pub(crate) struct Filtered<B> {
    inner: B,
    filter: CandidateFilter,
}

impl<B> Filtered<B> {
    pub(crate) fn new(inner: B, filter: CandidateFilter) -> Self {
        Self { inner, filter }
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Filtered<B> {
    type ConnectionHandler = B::ConnectionHandler;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner.handle_pending_inbound_connection(id, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        endpoint: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner.handle_pending_outbound_connection(id, peer, addresses, endpoint)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        endpoint: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_outbound_connection(id, peer, address, endpoint, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::NewExternalAddrCandidate(candidate) = &event
            && !self.filter.admits(candidate.addr)
        {
            return;
        }
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        self.inner.on_connection_handler_event(peer, id, event);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn inventions_are_bounded_and_what_was_heard_stays() {
        let mut filter = CandidateFilter::at_most(32);
        let ports: Vec<_> = (1..=100).map(|port| address(&format!("/ip4/192.0.2.1/tcp/{port}"))).collect();
        assert_eq!(ports.iter().filter(|port| filter.admits(port)).count(), 32);
        assert!(filter.admits(&ports[0]) && !filter.admits(&ports[99]));
    }

    #[test]
    fn only_sockets_far_enough_away_are_heard_of() {
        let mut filter = CandidateFilter::not_nearer_than(Scope::Global);
        for (text, is_admitted) in [
            ("/ip4/192.0.2.1/udp/1/quic-v1", true),
            ("/ip6/2001:db8::1/tcp/1", true),
            ("/ip4/192.168.0.1/tcp/1", false),
            ("/ip4/127.0.0.1/tcp/1", false),
            ("/dns4/node.example/tcp/1", false),
            ("/ip4/192.0.2.1", false),
        ] {
            assert_eq!(filter.admits(&address(text)), is_admitted, "{text}");
        }
    }
}
