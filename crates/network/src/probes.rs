//! Connections that only find out whether an address is reached.
//!
//! AutoNAT's server dials back the peer that asks it to, which would be a second connection of that peer. The behaviour
//! that opens such connections and the one that admits connections share what stands here.

use libp2p::{PeerId, swarm::ConnectionId};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// A peer that was asked to dial back does so within this time.
const DIAL_BACK_WITHIN: Duration = Duration::from_secs(20);

#[derive(Debug, Default)]
struct State {
    /// Peers asked to dial us back, and when.
    asked: HashMap<PeerId, Instant>,
    /// Connections by which we dial others back, from the dial to the end.
    dial_backs: HashMap<ConnectionId, PeerId>,
}

/// What is being probed. Cheap to clone; the clones share their state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probes(Arc<Mutex<State>>);

impl Probes {
    /// A peer was asked to dial us back; the number of peers asked is that of connected ones.
    pub(crate) fn asked(&self, peer: PeerId) {
        let now = Instant::now();
        let mut state = self.0.lock();
        state.asked.retain(|_, since| now.saturating_duration_since(*since) < DIAL_BACK_WITHIN);
        state.asked.insert(peer, now);
    }

    /// Whether this peer may be about to dial us back.
    pub(crate) fn expects(&self, peer: PeerId) -> bool {
        self.0.lock().asked.get(&peer).is_some_and(|since| since.elapsed() < DIAL_BACK_WITHIN)
    }

    /// We dial a peer back by this connection.
    pub(crate) fn dialling_back(&self, peer: PeerId, id: ConnectionId) {
        self.0.lock().dial_backs.insert(id, peer);
    }

    /// Whether we dial somebody back by this connection.
    pub(crate) fn is_dial_back(&self, id: ConnectionId) -> bool {
        self.0.lock().dial_backs.contains_key(&id)
    }

    /// A connection is no more.
    pub(crate) fn closed(&self, id: ConnectionId) {
        self.0.lock().dial_backs.remove(&id);
    }

    /// The connections by which we dial a peer back.
    pub(crate) fn dial_backs(&self, peer: PeerId) -> Vec<ConnectionId> {
        let state = self.0.lock();
        state.dial_backs.iter().filter(|(_, each)| **each == peer).map(|(id, _)| *id).collect()
    }
}
