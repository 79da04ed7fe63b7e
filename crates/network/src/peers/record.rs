//! What the book tells of a peer, and what it takes over from an earlier run.

use super::{Link, PROVEN_MAX, Peer, PeerBook, Source};
use crate::{PeerRecord, PeerState};
use libp2p::{Multiaddr, PeerId};
use std::time::{Duration, Instant};

/// When a peer was last ready; it may have been before the clock of this process began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// How long ago that was at `at`.
    age: Duration,
    at: Instant,
}

impl Seen {
    pub(super) fn now(now: Instant) -> Self {
        Self { age: Duration::ZERO, at: now }
    }

    pub(super) fn age(&self, now: Instant) -> Duration {
        self.age.saturating_add(now.saturating_duration_since(self.at))
    }
}

/// A peer that an earlier run met.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Met {
    pub(crate) peer: PeerId,
    /// Where it may be dialled, best first.
    pub(crate) addresses: Vec<Multiaddr>,
    /// How long ago it was ready.
    pub(crate) age: Duration,
    pub(crate) score: f64,
    pub(crate) agent: String,
}

impl PeerBook {
    /// Takes over a peer that an earlier run met.
    pub(crate) fn restore(&mut self, met: Met, now: Instant) {
        if met.peer == self.local || self.peers.len() >= PROVEN_MAX {
            return;
        }
        let entry = self.entry(met.peer, now);
        (entry.score, entry.agent) = (met.score, met.agent);
        entry.seen = Some(Seen { age: met.age, at: now });
        for address in met.addresses.into_iter().rev() {
            entry.addresses.learn(Source::Claimed, address);
        }
    }

    /// The peers that were of use and can be dialled, last seen first: what a later run should know.
    pub(crate) fn met(&self, now: Instant) -> Vec<Met> {
        let age = |peer: &Peer| last_seen(peer, now).filter(|_| !peer.addresses.is_empty());
        let met = self.peers.iter().filter_map(|(id, peer)| {
            let addresses = peer.addresses.iter().cloned().collect();
            Some(Met { peer: *id, addresses, age: age(peer)?, score: peer.score, agent: peer.agent.clone() })
        });
        let mut met: Vec<_> = met.collect();
        met.sort_by_key(|met| (met.age, met.peer));
        met
    }

    /// Everything known, in order of identities.
    pub(crate) fn records(&self, now: Instant) -> Vec<PeerRecord> {
        let known = self.peers.iter().map(|(id, peer)| self.record(*id, peer, now));
        let strangers = self.bans.banned_peers(now).into_iter().filter(|id| !self.peers.contains_key(id));
        let mut records: Vec<_> = known.chain(strangers.map(|id| self.banned_stranger(id, now))).collect();
        records.sort_by_key(|record| record.peer_id);
        records
    }

    fn record(&self, id: PeerId, peer: &Peer, now: Instant) -> PeerRecord {
        let connection = peer.connection();
        let connected = connection.map(|connection| &connection.address);
        let others = peer.addresses.iter().filter(|address| Some(*address) != connected);
        PeerRecord {
            peer_id: id,
            addresses: connected.into_iter().chain(others).cloned().collect(),
            state: match &peer.link {
                Link::Idle => PeerState::Idle,
                Link::Dialing => PeerState::Dialing,
                Link::Connected(connection) if connection.is_ready() => PeerState::Ready,
                Link::Connected(_) => PeerState::Connected,
            },
            inbound: connection.is_some_and(|connection| connection.inbound),
            persistent: peer.persistent,
            score: peer.score,
            banned_for: self.bans.remaining(&id, now),
            last_seen: last_seen(peer, now),
            agent: peer.agent.clone(),
        }
    }

    /// A banned peer of which nothing else is known any more.
    fn banned_stranger(&self, id: PeerId, now: Instant) -> PeerRecord {
        PeerRecord {
            peer_id: id,
            addresses: Vec::new(),
            state: PeerState::Idle,
            inbound: false,
            persistent: false,
            score: 0.0,
            banned_for: self.bans.remaining(&id, now),
            last_seen: None,
            agent: String::new(),
        }
    }
}

fn last_seen(peer: &Peer, now: Instant) -> Option<Duration> {
    let is_ready = peer.connection().is_some_and(super::Connection::is_ready);
    if is_ready { Some(Duration::ZERO) } else { peer.seen.map(|seen| seen.age(now)) }
}
