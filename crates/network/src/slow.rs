//! Peers that do not read what they are sent. Pure: it is told the time.

use libp2p::PeerId;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// A peer is given up that lost messages for so long: its queue is full, and what it would read next is old.
const PATIENCE: Duration = Duration::from_secs(10);
/// A peer that lost nothing for so long has caught up.
const RECOVERY: Duration = Duration::from_secs(3);

#[derive(Debug)]
struct Episode {
    since: Instant,
    until: Instant,
}

/// The connected peers whose queues are, or were, full.
#[derive(Debug, Default)]
pub(crate) struct SlowPeers(HashMap<PeerId, Episode>);

impl SlowPeers {
    /// A message for the peer was dropped, for its queue was full; whether to give the peer up.
    pub(crate) fn lost(&mut self, peer: PeerId, now: Instant) -> bool {
        let episode = self.0.entry(peer).or_insert(Episode { since: now, until: now });
        if now.saturating_duration_since(episode.until) >= RECOVERY {
            episode.since = now;
        }
        episode.until = now;
        now.saturating_duration_since(episode.since) >= PATIENCE
    }

    /// The peer is gone.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_stays_slow_is_given_up_and_one_that_catches_up_is_not() {
        let (mut slow, peer, start) = (SlowPeers::default(), PeerId::random(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!((0..10).all(|second| !slow.lost(peer, at(second))));
        assert!(slow.lost(peer, at(10)));
        assert!(!slow.lost(peer, at(13)), "it read for three seconds");

        assert!((0..100).all(|episode| !slow.lost(peer, at(20 + 4 * episode))));
        assert!(!slow.lost(PeerId::random(), at(10)), "one loss is nothing");
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let (mut slow, peer, now) = (SlowPeers::default(), PeerId::random(), Instant::now());
        slow.lost(peer, now);
        slow.forget(&peer);
        assert!(slow.0.is_empty());
    }
}
