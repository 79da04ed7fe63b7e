//! Gossipsub behind a gate that bounds what one peer can make it do.
//!
//! Gossipsub itself answers control messages and drops duplicates without a limit, and tells nobody. Here every RPC is
//! counted before gossipsub sees it: what is over the limit is dropped, and its sender blamed.

use crate::{
    ChainPace, Misbehaviour, Topic,
    gossip::Gossip,
    protocol::Protocols,
    rate::{TokenBucket, votes_a_second},
};
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    gossipsub::{Event, TopicHash},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm,
    },
};
use std::{
    collections::{HashMap, VecDeque},
    ops::{Deref, DerefMut},
    task::{Context, Poll},
    time::Instant,
};

/// Control messages (grafts, prunes, ids held, wanted and not wanted) a second that one peer may send, and at once. An
/// honest peer sends about ten a heartbeat, and one before each message that is larger than a vote.
const CONTROL: (u32, u32) = (1000, 3000);

/// What gossip brings.
#[derive(Debug)]
pub(crate) enum GossipEvent {
    /// Gossipsub's own event.
    Gossip(Event),
    /// A peer broke a rule of the protocol.
    Fault(PeerId, Misbehaviour),
}

type RpcEvent = THandlerOutEvent<Gossip>;

/// What one peer may still send.
#[derive(Debug)]
struct Budget {
    control: TokenBucket,
    messages: TokenBucket,
}

/// Messages and bytes, copies too.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Received {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// Gossipsub, guarded.
pub(crate) struct GuardedGossip {
    inner: Gossip,
    received: HashMap<TopicHash, Received>,
    messages_a_second: u32,
    budgets: HashMap<PeerId, Budget>,
    faults: VecDeque<(PeerId, Misbehaviour)>,
}

impl GuardedGossip {
    pub(crate) fn new(inner: Gossip, protocols: &Protocols, pace: &ChainPace) -> Self {
        // Four times what the rate of votes lets through: a peer that forwards honestly comes nowhere near.
        let messages_a_second = votes_a_second(pace).saturating_mul(4);
        let received = Topic::ALL.map(|topic| (protocols.topic_hash(topic), Received::default())).into();
        Self { inner, received, messages_a_second, budgets: HashMap::new(), faults: VecDeque::new() }
    }

    /// Whether gossipsub may see an RPC of so many parts.
    fn allow(&mut self, peer: PeerId, messages: usize, control: usize, now: Instant) -> bool {
        let rate = self.messages_a_second;
        let budget = self.budgets.entry(peer).or_insert_with(|| Budget {
            control: TokenBucket::new(CONTROL.0, CONTROL.1, now),
            messages: TokenBucket::new(rate, rate.saturating_mul(2), now),
        });
        budget.messages.try_take(messages, now) && budget.control.try_take(control, now)
    }

    /// What was received on a topic since this was asked last.
    pub(crate) fn take_received(&mut self, topic: &TopicHash) -> Received {
        self.received.get_mut(topic).map(std::mem::take).unwrap_or_default()
    }

    /// Forgets the budgets that are full again.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.budgets.retain(|_, budget| !(budget.control.refill(now) & budget.messages.refill(now)));
    }
}

impl Deref for GuardedGossip {
    type Target = Gossip;

    fn deref(&self) -> &Gossip {
        &self.inner
    }
}

impl DerefMut for GuardedGossip {
    fn deref_mut(&mut self) -> &mut Gossip {
        &mut self.inner
    }
}

impl NetworkBehaviour for GuardedGossip {
    type ConnectionHandler = <Gossip as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = GossipEvent;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        if let RpcEvent::Message { rpc, invalid_messages } = &event {
            for _ in invalid_messages {
                self.faults.push_back((peer, Misbehaviour::InvalidGossip));
            }
            for message in &rpc.messages {
                if let Some(received) = self.received.get_mut(&message.topic) {
                    received.messages += 1;
                    received.bytes += message.data.len() as u64;
                }
            }
            let control = rpc.control_msgs.len() + rpc.subscriptions.len();
            if !self.allow(peer, rpc.messages.len() + invalid_messages.len(), control, Instant::now()) {
                return self.faults.push_back((peer, Misbehaviour::Flooding));
            }
        }
        self.inner.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<GossipEvent, THandlerInEvent<Self>>> {
        if let Some((peer, misbehaviour)) = self.faults.pop_front() {
            return Poll::Ready(ToSwarm::GenerateEvent(GossipEvent::Fault(peer, misbehaviour)));
        }
        self.inner.poll(context).map(|action| action.map_out(GossipEvent::Gossip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip;
    use alloy_primitives::B256;
    use std::time::Duration;

    fn guarded() -> GuardedGossip {
        let pace = ChainPace::default();
        let protocols = Protocols::new(B256::ZERO);
        GuardedGossip::new(gossip::behaviour(&protocols, &pace).unwrap(), &protocols, &pace)
    }

    #[test]
    fn control_messages_stop_at_the_burst_and_messages_go_on() {
        let (mut gossip, peer, now) = (guarded(), PeerId::random(), Instant::now());
        let allowed = (0..10_000).filter(|_| gossip.allow(peer, 0, 1, now)).count();
        assert_eq!(allowed, CONTROL.1 as usize);
        assert!(gossip.allow(peer, 1, 0, now));
        assert!(gossip.allow(PeerId::random(), 0, 1, now), "budgets are per peer");
    }

    #[test]
    fn budgets_of_quiet_peers_are_forgotten() {
        let (mut gossip, peer, now) = (guarded(), PeerId::random(), Instant::now());
        while gossip.allow(peer, 1, 1, now) {}
        gossip.sweep(now);
        assert_eq!(gossip.budgets.len(), 1);
        gossip.sweep(now + Duration::from_secs(60));
        assert!(gossip.budgets.is_empty());
    }
}
