//! What one peer is to be told, at the peer's own pace.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Least time between two messages of one lane to a peer. What becomes pending meanwhile travels in one message; the
/// first one after a quiet time goes at once.
pub(crate) const FLUSH_DELAY: Duration = Duration::from_millis(20);
/// A peer that did not take a message is left alone for this long.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// A queue to one peer: at most one message in flight, at most one every [`FLUSH_DELAY`].
#[derive(Debug)]
pub(crate) struct Lane<T> {
    waiting: VecDeque<T>,
    waiting_max: usize,
    message_max: usize,
    in_flight: bool,
    next_at: Instant,
}

impl<T> Lane<T> {
    /// Holds `waiting_max` items, and sends `message_max` at once.
    pub(crate) fn new(waiting_max: usize, message_max: usize, now: Instant) -> Self {
        Self { waiting: VecDeque::new(), waiting_max, message_max, in_flight: false, next_at: now }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= self.waiting_max
    }

    /// Adds an item; the oldest one makes room for it, and is returned.
    pub(crate) fn push(&mut self, item: T) -> Option<T> {
        let dropped = if self.is_full() { self.waiting.pop_front() } else { None };
        self.waiting.push_back(item);
        dropped
    }

    /// When the next message is to be sent; `None` while nothing waits or one is in flight.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        (!self.in_flight && !self.waiting.is_empty()).then_some(self.next_at)
    }

    /// The items of the message that is due; the caller sends them, or calls [`Self::ended`].
    pub(crate) fn take(&mut self, now: Instant) -> Vec<T> {
        if self.due_at().is_none_or(|due| due > now) {
            return Vec::new();
        }
        (self.in_flight, self.next_at) = (true, now + FLUSH_DELAY);
        let count = self.waiting.len().min(self.message_max);
        self.waiting.drain(..count).collect()
    }

    /// The message in flight was taken by the peer, or was not.
    pub(crate) fn ended(&mut self, taken: bool, now: Instant) {
        self.in_flight = false;
        if !taken {
            self.next_at = now + FAILURE_PAUSE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_goes_at_once_and_the_others_together() {
        let now = Instant::now();
        let mut lane = Lane::new(10, 4, now);
        assert_eq!(lane.due_at(), None);
        lane.push(1);
        assert_eq!(lane.take(now), [1]);
        lane.push(2);
        lane.push(3);
        assert_eq!(lane.due_at(), None, "one is in flight");
        lane.ended(true, now);
        assert!(lane.take(now).is_empty(), "it is too early");
        assert_eq!(lane.take(now + FLUSH_DELAY), [2, 3]);
    }

    #[test]
    fn a_peer_that_takes_nothing_loses_the_oldest() {
        let now = Instant::now();
        let mut lane = Lane::new(3, 2, now);
        let dropped = Vec::from_iter((0..5).filter_map(|item| lane.push(item)));
        assert_eq!(dropped, [0, 1]);
        assert_eq!(lane.take(now), [2, 3]);
        lane.ended(false, now);
        assert_eq!(lane.due_at(), Some(now + FAILURE_PAUSE));
    }

    proptest! {
        #[test]
        fn the_pace_is_kept(steps in proptest::collection::vec((0u64..30, any::<bool>(), any::<bool>()), 1..200)) {
            let start = Instant::now();
            let (mut now, mut lane, mut sent_at, mut sent) = (start, Lane::new(8, 3, start), None::<Instant>, false);
            for (pause, pushes, ends) in steps {
                now += Duration::from_millis(pause);
                if pushes {
                    lane.push(());
                }
                if ends && sent {
                    lane.ended(true, now);
                    sent = false;
                }
                let message = lane.take(now);
                if !message.is_empty() {
                    prop_assert!(!sent && message.len() <= 3);
                    prop_assert!(sent_at.is_none_or(|at| now - at >= FLUSH_DELAY));
                    (sent, sent_at) = (true, Some(now));
                }
                prop_assert!(lane.waiting.len() <= 8);
            }
        }
    }
}
