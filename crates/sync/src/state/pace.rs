//! How fast things come.

use heddle_primitives::Height;
use std::collections::VecDeque;
use std::time::Duration;

/// What a stranger is taken to serve a second.
const STRANGER: u64 = 100;
/// The least time that a peer is given before somebody else is asked as well.
const LATE_MIN: Duration = Duration::from_secs(1);
/// As long as nothing has been answered.
const USUAL: Duration = Duration::from_millis(700);
/// An answer is late after so many times what answers usually take.
const LATE_FACTOR: u32 = 3;

/// Headers or blocks that a peer serves a second, smoothed.
#[derive(Debug, Default)]
pub(super) struct Pace(Option<u64>);

impl Pace {
    pub(super) fn per_second(&self) -> u64 {
        self.0.unwrap_or(STRANGER)
    }

    /// So many came within this time.
    pub(super) fn served(&mut self, count: u64, within: Duration) {
        let millis = u64::try_from(within.as_millis()).unwrap_or(u64::MAX).max(1);
        let now = count.saturating_mul(1_000) / millis;
        self.0 = Some(self.0.map_or(now, |before| before.saturating_mul(3).saturating_add(now) / 4));
    }

    /// Somebody else who was asked later answered before.
    pub(super) fn was_outrun(&mut self) {
        self.0 = Some(self.per_second() / 2);
    }
}

/// How long answers of one kind take, whoever gives them, smoothed.
#[derive(Debug)]
pub(super) struct Usual(Duration);

impl Default for Usual {
    fn default() -> Self {
        Self(USUAL)
    }
}

impl Usual {
    pub(super) fn took(&mut self, time: Duration) {
        self.0 = (self.0 * 3 + time) / 4;
    }

    /// After this time somebody else is asked as well.
    pub(super) fn late_after(&self) -> Duration {
        (self.0 * LATE_FACTOR).max(LATE_MIN)
    }
}

/// How fast the head moves.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The oldest first, a second or more apart.
    seen: VecDeque<(Duration, Height)>,
}

impl Progress {
    /// Heights that are remembered: about so many seconds.
    const SEEN_MAX: usize = 16;
    const APART: Duration = Duration::from_secs(1);

    pub(super) fn observe(&mut self, now: Duration, head: Height) {
        if self.seen.back().is_some_and(|(at, _)| now < *at + Self::APART) {
            return;
        }
        if self.seen.len() == Self::SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back((now, head));
    }

    pub(super) fn forget(&mut self) {
        self.seen.clear();
    }

    /// Blocks and milliseconds between the oldest and the newest.
    fn grown(&self) -> Option<(u64, u64)> {
        let ((from, low), (to, high)) = (self.seen.front()?, self.seen.back()?);
        let millis = u64::try_from(to.saturating_sub(*from).as_millis()).ok()?;
        (millis > 0).then(|| (high.as_u64().saturating_sub(low.as_u64()), millis))
    }

    pub(super) fn blocks_per_second(&self) -> u64 {
        self.grown().map_or(0, |(blocks, millis)| blocks.saturating_mul(1_000) / millis)
    }

    /// Seconds until so many more blocks have come, if they go on coming as they do.
    pub(super) fn seconds_for(&self, blocks: u64) -> Option<u64> {
        let (grown, millis) = self.grown().filter(|(grown, _)| *grown > 0)?;
        Some((blocks.saturating_mul(millis) / grown).div_ceil(1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_from_the_last_seconds() {
        let mut progress = Progress::default();
        assert_eq!((progress.blocks_per_second(), progress.seconds_for(10)), (0, None));
        for second in 0..100 {
            progress.observe(Duration::from_secs(second), Height::new(if second < 50 { 0 } else { second * 20 }));
        }
        assert_eq!(progress.blocks_per_second(), 20);
        assert_eq!(progress.seconds_for(1_001), Some(51));
        assert!(progress.seen.len() <= Progress::SEEN_MAX);
        progress.forget();
        assert_eq!(progress.seconds_for(0), None);
    }

    #[test]
    fn a_pace_is_between_what_was_and_what_is() {
        let mut pace = Pace::default();
        assert_eq!(pace.per_second(), STRANGER);
        pace.served(64, Duration::from_millis(100));
        assert_eq!(pace.per_second(), 640);
        pace.served(0, Duration::ZERO);
        assert_eq!(pace.per_second(), 480);
        pace.was_outrun();
        assert_eq!(pace.per_second(), 240);
        pace.served(u64::MAX, Duration::ZERO);
        assert!(pace.per_second() > 640);
    }
}
