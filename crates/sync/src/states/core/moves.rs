//! When another state is fetched, and when none is.

use super::{Stage, StateSync};
use crate::states::fault::Outcome;
use heddle_primitives::{Bug, planted};
use std::time::Duration;

/// How much longer than at the beginning offers are waited for when something is fetched already: giving up costs all
/// of that.
const WAIT_FACTOR: u32 = 40;

impl StateSync {
    /// Whether another state is to be proven, because it is served and the pivot is not, or by fewer, or to no effect.
    pub(super) fn reconsider(&mut self, now: Duration) {
        let (Stage::Fetching, Some(pivot)) = (self.stage, self.pivot_height()) else { return };
        if self.errand.is_some() || self.next_pivot.is_some() || planted(Bug::PivotKept) {
            return;
        }
        let Some(best) = self.peers.best(now, Some(pivot)) else { return };
        let is_better = self.peers.class(best) > self.peers.class(pivot);
        self.better_since = if is_better { self.better_since.or(Some(now)) } else { None };
        let has_been_better = self.better_since.is_some_and(|since| now >= since + self.config.reconsider);
        let is_stalled = now >= self.delivered_at + self.config.stall;
        if self.peers.serving(pivot) == 0 || has_been_better || is_stalled {
            self.delivered_at = now;
            self.better_since = None;
            self.prove(best);
        }
    }

    /// Ends when peers have answered for long, and nobody has anything to fetch.
    pub(super) fn give_up(&mut self, now: Duration) {
        let is_served = self.pivot_height().is_some_and(|pivot| self.peers.serving(pivot) > 0);
        let is_over = !matches!(self.stage, Stage::Seeking | Stage::Fetching);
        if is_served || is_over || self.next_pivot.is_some() || !self.peers.has_answers() {
            self.unserved_since = None;
            return;
        }
        let since = *self.unserved_since.get_or_insert(now);
        let factor = if self.pivot.is_some() || self.is_resumed { WAIT_FACTOR } else { 1 };
        let is_late = now >= since + self.config.no_offers.saturating_mul(factor);
        if is_late && !self.peers.has_reliable_offers() {
            self.end(Outcome::NoSnapshots);
        }
    }
}
