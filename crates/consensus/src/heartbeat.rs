//! A sign of life of the loop, for whoever supervises the node.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// When the loop showed last that it lives. It does at least every [`Self::PERIOD`], whatever it waits for: votes, peers, a
/// state; and a slow disk, for [`Self::PATIENCE`]. So a heartbeat that has stopped tells that the loop is stuck, and nothing
/// of the chain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<watch::Sender<Option<Instant>>>);

impl Heartbeat {
    /// Most time between two beats of a loop that waits.
    pub const PERIOD: Duration = Duration::from_secs(2);

    /// How long one write or one commit counts as slow rather than stuck, five minutes: the disks of a network have such
    /// minutes, and a restart would only add to them.
    pub const PATIENCE: Duration = Self::PERIOD.saturating_mul(Self::PATIENCE_BEATS);
    const PATIENCE_BEATS: u32 = 150;

    /// Notes that the loop turns.
    pub(crate) fn beat(&self) {
        self.0.send_replace(Some(Instant::now()));
    }

    /// Awaits what the loop cannot turn without, and beats meanwhile, for [`Self::PATIENCE`] at most.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        self.beat_during(work, Self::PERIOD, Self::PATIENCE_BEATS).await
    }

    async fn beat_during<T>(&self, work: impl Future<Output = T>, period: Duration, beats_max: u32) -> T {
        let mut work = pin!(work);
        for _ in 0..beats_max {
            if let Ok(done) = timeout(period, &mut work).await {
                return done;
            }
            self.beat();
        }
        work.await
    }

    /// Time since the last beat; `None` while the loop does not run yet.
    pub fn age(&self) -> Option<Duration> {
        self.0.borrow().map(|last| last.elapsed())
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self(Arc::new(watch::channel(None).0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use std::future::pending;

    #[tokio::test]
    async fn what_never_ends_has_a_number_of_beats() {
        let heartbeat = Heartbeat::default();
        let mut beats = heartbeat.0.subscribe();
        let mut counted = 0;
        let counting = async {
            loop {
                beats.changed().await.unwrap();
                counted += 1;
            }
        };
        let watched = async {
            tokio::select! {
                () = heartbeat.beat_during(pending(), Duration::from_millis(1), 3) => {}
                () = counting => {}
            }
        };
        timeout(Duration::from_millis(500), watched).await.unwrap_err();
        assert!((1..=3).contains(&counted), "{counted} beats");
        assert_eq!(heartbeat.during(async { 7 }).await, 7);
    }
}
