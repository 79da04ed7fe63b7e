//! The pause between two heights.

use crate::Application;
use heddle_primitives::Height;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How often blocks come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Least time between the starts of two heights.
    pub(crate) block_time: Duration,
    /// How long an idle chain waits before an empty block.
    pub(crate) empty_block_time: Duration,
}

/// A height that waits for its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    /// The height to start.
    pub(crate) next: Height,
    /// Not before this.
    earliest: Instant,
    /// Not after this, even with nothing to mine.
    latest: Instant,
    /// A peer has started the height already.
    heard: bool,
}

impl Pause {
    /// The pause before `next`, when the height before it started at `started` and ended now.
    pub(crate) fn after(started: Instant, next: Height, pace: Pace, now: Instant) -> Self {
        let earliest = now.max(started + pace.block_time);
        Self { next, earliest, latest: earliest.max(started + pace.empty_block_time), heard: false }
    }

    /// No pause before the first height.
    pub(crate) fn none(next: Height, now: Instant) -> Self {
        Self { next, earliest: now, latest: now, heard: false }
    }

    /// Notes a peer's message: a height that others work on is not idle.
    pub(crate) fn hear(&mut self, height: Height) {
        self.heard |= height >= self.next;
    }

    /// Returns when the height should start. Cancel-safe.
    pub(crate) async fn over(&self, application: &dyn Application) {
        sleep_until(self.earliest).await;
        if self.heard || application.has_transactions() {
            return;
        }
        tokio::select! {
            () = sleep_until(self.latest) => {}
            () = application.wait_for_transactions() => {}
        }
    }
}
