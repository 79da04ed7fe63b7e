//! Something of ours between the swarm and a behaviour of libp2p.

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm,
    },
};
use std::task::{Context, Poll};

/// What a behaviour wants done.
pub(crate) type Action<B> = ToSwarm<<B as NetworkBehaviour>::ToSwarm, THandlerInEvent<B>>;

/// Stands between the swarm and a behaviour.
pub(crate) trait Hook<B: NetworkBehaviour>: 'static {
    /// Whether the behaviour hears of this.
    fn lets_hear(&mut self, _: &FromSwarm<'_>) -> bool {
        true
    }

    /// The behaviour wants this done, and it will be.
    fn on_action(&mut self, _: &Action<B>) {}
}

/// A behaviour with a hook; everything else is the behaviour's own.
pub(crate) struct Hooked<B, H> {
    inner: B,
    hook: H,
}

impl<B, H> Hooked<B, H> {
    pub(crate) fn new(inner: B, hook: H) -> Self {
        Self { inner, hook }
    }
}

impl<B: NetworkBehaviour, H: Hook<B>> NetworkBehaviour for Hooked<B, H> {
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
        if self.hook.lets_hear(&event) {
            self.inner.on_swarm_event(event);
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        self.inner.on_connection_handler_event(peer, id, event);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        let action = self.inner.poll(context);
        if let Poll::Ready(action) = &action {
            self.hook.on_action(action);
        }
        action
    }
}
