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
/// A connection that only probes has done so within this time.
pub(crate) const PROBE_TIME: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct State {
    /// Peers asked to dial us back, how often that they have not yet done, and when last.
    asked: HashMap<PeerId, (u32, Instant)>,
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
        state.asked.retain(|_, (_, since)| now.saturating_duration_since(*since) < DIAL_BACK_WITHIN);
        let (times, since) = state.asked.entry(peer).or_insert((0, now));
        (*times, *since) = (times.saturating_add(1), now);
    }

    /// Whether this peer was asked to dial us back and has not done so yet; then it has now.
    pub(crate) fn take_expected(&self, peer: PeerId) -> bool {
        let mut state = self.0.lock();
        let Some((times, since)) = state.asked.get_mut(&peer) else { return false };
        if *times == 0 || since.elapsed() >= DIAL_BACK_WITHIN {
            return false;
        }
        *times -= 1;
        true
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_is_answered_by_one_connection() {
        let (probes, peer) = (Probes::default(), PeerId::random());
        assert!(!probes.take_expected(peer));
        probes.asked(peer);
        probes.asked(peer);
        assert!(probes.take_expected(peer) && probes.take_expected(peer) && !probes.take_expected(peer));
        assert!(!probes.take_expected(PeerId::random()));
    }
}
