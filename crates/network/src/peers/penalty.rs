//! What misbehaviour costs. Pure: it is told the time.

use std::time::Instant;

/// A penalty that bans. It decays by one point a second, so that rare faults of a correct peer never add up to it.
pub(crate) const BAN_POINTS: f64 = 100.0;

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
pub(crate) struct Penalty {
    points: f64,
    counted_at: Instant,
}

impl Penalty {
    pub(crate) fn none(now: Instant) -> Self {
        Self { points: 0.0, counted_at: now }
    }

    /// Adds a misbehaviour; whether the peer is to be banned.
    pub(crate) fn add(&mut self, misbehaviour: Misbehaviour, now: Instant) -> bool {
        self.points = self.points(now) + misbehaviour.points();
        self.counted_at = now;
        self.points >= BAN_POINTS
    }

    /// The points left at `now`, 0 or more.
    pub(crate) fn points(&self, now: Instant) -> f64 {
        (self.points - now.saturating_duration_since(self.counted_at).as_secs_f64()).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
