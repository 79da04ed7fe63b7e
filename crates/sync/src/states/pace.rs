//! How fast it goes, and how long it may take.

use super::ports::StateProgress;
use std::collections::VecDeque;
use std::time::Duration;

/// Over which time the speed is measured.
const WINDOW: Duration = Duration::from_secs(30);
/// All keys that accounts can have.
const WHOLE: u32 = 1_000_000;

/// The progress of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Pace(VecDeque<(Duration, StateProgress)>);

impl Pace {
    /// Notes the progress at a time; to come about once a second.
    pub(super) fn note(&mut self, now: Duration, progress: StateProgress) {
        self.0.push_back((now, progress));
        while self.0.front().is_some_and(|(at, _)| now.saturating_sub(*at) > WINDOW) {
            self.0.pop_front();
        }
    }

    /// Bytes a second, and the seconds left if the accounts' keys go on as they do; `None` when they do not.
    pub(super) fn estimate(&self) -> (u64, Option<u64>) {
        let (Some((start, first)), Some((end, last))) = (self.0.front(), self.0.back()) else { return (0, None) };
        let milliseconds = u64::try_from((*end - *start).as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = last.bytes.saturating_sub(first.bytes).saturating_mul(1_000) / milliseconds;
        let covered = u64::from(last.covered.saturating_sub(first.covered));
        let missing = u64::from(WHOLE.saturating_sub(last.covered));
        (rate, (missing * milliseconds).checked_div(covered * 1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_half_minute_counts() {
        let mut pace = Pace::default();
        assert_eq!(pace.estimate(), (0, None));
        for second in 0..=100u32 {
            let (bytes, covered) = (u64::from(second.pow(2)), second * 1_000);
            pace.note(Duration::from_secs(second.into()), StateProgress { covered, bytes, ..StateProgress::default() });
        }
        assert_eq!(pace.estimate(), ((100 * 100 - 70 * 70) / 30, Some(900)));
        for second in 101..=140 {
            let progress = StateProgress { covered: 100_000, bytes: 10_000, ..StateProgress::default() };
            pace.note(Duration::from_secs(second), progress);
        }
        assert_eq!(pace.estimate(), (0, None), "it stands still");
    }
}
