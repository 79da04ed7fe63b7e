//! The pause between two heights.

use crate::time::Micros;
use heddle_primitives::Height;

/// A height that waits for its start.
#[derive(Clone, Copy, Debug)]
pub struct Pause {
    /// The height to start.
    pub next: Height,
    /// Not before this.
    pub earliest: Micros,
    /// Not after this, even with nothing to mine.
    pub latest: Micros,
    /// A peer has started the height already.
    pub heard: bool,
}

impl Pause {
    /// The pause before `next`, when the height before it started at `started` and ended now; `pace` is the least time
    /// between heights, and that before an empty block.
    pub fn after(started: Micros, next: Height, pace: (Micros, Micros), now: Micros) -> Self {
        let earliest = now.max(started + pace.0);
        Self { next, earliest, latest: earliest.max(started + pace.1), heard: false }
    }

    /// No pause before the first height.
    pub fn none(next: Height, now: Micros) -> Self {
        Self { next, earliest: now, latest: now, heard: false }
    }

    /// Whether the height should start.
    pub fn is_over(&self, now: Micros, has_transactions: bool) -> bool {
        now >= self.latest || (now >= self.earliest && (self.heard || has_transactions))
    }
}
