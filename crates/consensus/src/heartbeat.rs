//! A sign of life of the loop, for whoever supervises the node.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// When the loop turned last. It turns at least every [`Self::PERIOD`], whatever it waits for: votes, peers, a state. So a
/// heartbeat that has stopped tells that the loop is stuck, and nothing of the chain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<watch::Sender<Option<Instant>>>);

impl Heartbeat {
    /// Most time between two beats of a loop that waits.
    pub const PERIOD: Duration = Duration::from_secs(2);

    /// Notes that the loop turns.
    pub(crate) fn beat(&self) {
        self.0.send_replace(Some(Instant::now()));
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
