//! What misbehaviour costs. Pure: it is told the time.

use libp2p::PeerId;
use std::{collections::HashMap, time::Instant};

/// A penalty that bans. It decays by one point a second, so that rare faults of a correct peer never add up to it.
pub(crate) const BAN_POINTS: f64 = 100.0;

/// Most peers whose points are remembered; the one with the fewest makes room.
const PENALTIES_MAX: usize = 4096;

/// What a peer did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Misbehaviour {
    /// Forwarded gossip that no correct node forwards, or left a topic that every correct node stays subscribed to.
    InvalidGossip,
    /// Sent a request that does not decode.
    InvalidRequest,
    /// Answered with what does not decode, or is not what was asked.
    InvalidResponse,
    /// Served a block that fails its certificate or its execution: bans at once.
    InvalidBlock,
    /// Did not answer in time.
    Unresponsive,
    /// Asked for an answer and did not read it in time.
    SlowReader,
    /// Sent more than its rate allows.
    Flooding,
}

impl Misbehaviour {
    /// Every kind.
    pub(crate) const ALL: [Self; 7] = [
        Self::InvalidGossip,
        Self::InvalidRequest,
        Self::InvalidResponse,
        Self::InvalidBlock,
        Self::Unresponsive,
        Self::SlowReader,
        Self::Flooding,
    ];

    const fn points(self) -> f64 {
        match self {
            Self::InvalidGossip => 10.0,
            Self::InvalidRequest => 20.0,
            Self::InvalidResponse => 40.0,
            Self::InvalidBlock => BAN_POINTS,
            Self::Unresponsive => 5.0,
            Self::SlowReader => 10.0,
            Self::Flooding => 1.0,
        }
    }
}

/// One peer's points.
#[derive(Clone, Copy, Debug)]
struct Penalty {
    points: f64,
    counted_at: Instant,
}

impl Penalty {
    fn none(now: Instant) -> Self {
        Self { points: 0.0, counted_at: now }
    }

    /// Adds a misbehaviour; whether the peer is to be banned.
    fn add(&mut self, misbehaviour: Misbehaviour, now: Instant) -> bool {
        self.points = self.points(now) + misbehaviour.points();
        self.counted_at = now;
        self.points >= BAN_POINTS
    }

    /// The points left at `now`, 0 or more.
    fn points(&self, now: Instant) -> f64 {
        (self.points - now.saturating_duration_since(self.counted_at).as_secs_f64()).max(0.0)
    }
}

/// The points of every peer that has some, connected or not: who comes back owes what it owed.
#[derive(Debug, Default)]
pub(crate) struct Penalties(HashMap<PeerId, Penalty>);

impl Penalties {
    /// Adds a misbehaviour; whether the peer is to be banned.
    pub(crate) fn add(&mut self, peer: PeerId, misbehaviour: Misbehaviour, now: Instant) -> bool {
        if !self.0.contains_key(&peer) && self.0.len() >= PENALTIES_MAX {
            let least = self.0.iter().min_by(|(_, a), (_, b)| a.points(now).total_cmp(&b.points(now)));
            least.map(|(peer, _)| *peer).and_then(|peer| self.0.remove(&peer));
        }
        self.0.entry(peer).or_insert_with(|| Penalty::none(now)).add(misbehaviour, now)
    }

    /// A peer's points, 0 or more.
    pub(crate) fn points(&self, peer: &PeerId, now: Instant) -> f64 {
        self.0.get(peer).map_or(0.0, |penalty| penalty.points(now))
    }

    /// Forgets the peers that have no points any more.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.0.retain(|_, penalty| penalty.points(now) > 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn penalties_are_bounded_and_the_least_makes_room() {
        let (mut penalties, worst, now) = (Penalties::default(), PeerId::random(), Instant::now());
        penalties.add(worst, Misbehaviour::InvalidResponse, now);
        for _ in 0..2 * PENALTIES_MAX {
            penalties.add(PeerId::random(), Misbehaviour::Flooding, now);
        }
        assert_eq!(penalties.0.len(), PENALTIES_MAX);
        assert_eq!(penalties.points(&worst, now), Misbehaviour::InvalidResponse.points());
        penalties.sweep(now + Duration::from_secs(2));
        assert_eq!(penalties.0.len(), 1);
    }

    #[test]
    fn repeated_faults_ban_and_rare_ones_never() {
        let now = Instant::now();
        let mut often = Penalty::none(now);
        let adds = (1..).find(|_| often.add(Misbehaviour::InvalidGossip, now)).unwrap();
        assert_eq!(adds, 10);

        let mut rare = Penalty::none(now);
        let minutes = |minutes: u64| now + Duration::from_secs(60 * minutes);
        assert!((0..1000).all(|minute| !rare.add(Misbehaviour::InvalidResponse, minutes(minute))));
    }

    #[test]
    fn one_invalid_block_bans() {
        let now = Instant::now();
        assert!(Penalty::none(now).add(Misbehaviour::InvalidBlock, now));
    }
}
