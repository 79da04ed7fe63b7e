//! Finding out by AutoNAT whether addresses are reached, and helping others to find out.
//!
//! What peers say of our address (identify's observed addresses) are candidates only: AutoNAT asks a peer to dial them,
//! and those that it says it reached are confirmed. What is proven is that this peer connected to us somewhere with the
//! number it was given; that it did so at the address in question is its word. A lie makes us announce an address where
//! nobody is found, which costs others a dial. With a confirmed address Kademlia serves others and is told to them.
//!
//! An operator who named the addresses knows better: then nobody is asked, and this node only helps others.

use crate::{
    candidates::{CandidateFilter, Filtered},
    probes::Probes,
};
use libp2p::{
    Multiaddr, PeerId, autonat,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm, behaviour::toggle::Toggle,
    },
};
use std::task::{Context, Poll};

/// Most candidates, ever: each is remembered, so that no peer can invent them without end.
const CANDIDATES_MAX: usize = 32;

/// Both sides of AutoNAT.
#[derive(NetworkBehaviour)]
pub(crate) struct AutoNat {
    client: Toggle<Filtered<autonat::v2::client::Behaviour>>,
    server: autonat::v2::server::Behaviour,
}

/// AutoNAT that tells which connections belong to it, so that they are let in beside a peer's own.
pub(crate) struct Reachability {
    autonat: AutoNat,
    probes: Probes,
}

impl Reachability {
    /// Shares what it probes by `probes`; asks others only if `asks`.
    pub(crate) fn new(probes: Probes, asks: bool) -> Self {
        let client =
            || Filtered::new(autonat::v2::client::Behaviour::default(), CandidateFilter::at_most(CANDIDATES_MAX));
        let autonat = AutoNat { client: asks.then(client).into(), server: autonat::v2::server::Behaviour::default() };
        Self { autonat, probes }
    }
}

impl NetworkBehaviour for Reachability {
    type ConnectionHandler = <AutoNat as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = AutoNatEvent;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.autonat.handle_pending_inbound_connection(id, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.autonat.handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        endpoint: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.autonat.handle_pending_outbound_connection(id, peer, addresses, endpoint)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        endpoint: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.autonat.handle_established_outbound_connection(id, peer, address, endpoint, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.autonat.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        self.autonat.on_connection_handler_event(peer, id, event);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        let event = self.autonat.poll(context);
        match &event {
            // The client's only message to a connection: dial me back.
            Poll::Ready(ToSwarm::NotifyHandler { peer_id, .. }) => self.probes.asked(*peer_id),
            // The server's only dial.
            Poll::Ready(ToSwarm::Dial { opts }) => {
                if let Some(peer) = opts.get_peer_id() {
                    self.probes.dialling_back(peer, opts.connection_id());
                }
            }
            _ => {}
        }
        event
    }
}
