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
    /// Empty when no message is in flight.
    in_flight: Vec<T>,
    next_at: Instant,
}

impl<T: Clone> Lane<T> {
    /// Holds `waiting_max` items, and sends `message_max` at once.
    pub(crate) fn new(waiting_max: usize, message_max: usize, now: Instant) -> Self {
        Self { waiting: VecDeque::new(), waiting_max, message_max, in_flight: Vec::new(), next_at: now }
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
        (self.in_flight.is_empty() && !self.waiting.is_empty()).then_some(self.next_at)
    }

    /// The items of the message that is due, without those that `is_news` denies; unless there are none, the caller
    /// sends them, and calls [`Self::ended`] when that has ended.
    pub(crate) fn take(&mut self, now: Instant, is_news: impl FnMut(&T) -> bool) -> Vec<T> {
        if self.due_at().is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.next_at = now + FLUSH_DELAY;
        let count = self.waiting.len().min(self.message_max);
        self.in_flight = self.waiting.drain(..count).filter(is_news).collect();
        self.in_flight.clone()
    }

    /// The message in flight was taken by the peer, or was not: what the peer is still to be told.
    pub(crate) fn ended(&mut self, taken: bool, now: Instant) -> Vec<T> {
        let message = std::mem::take(&mut self.in_flight);
        if taken {
            return Vec::new();
        }
        self.next_at = now + FAILURE_PAUSE;
        message
    }

    /// Puts an item before all others, if there is a place: those are newer.
    pub(crate) fn put_back(&mut self, item: T) -> bool {
        let has_place = !self.is_full();
        if has_place {
            self.waiting.push_front(item);
        }
        has_place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn take<T: Clone>(lane: &mut Lane<T>, now: Instant) -> Vec<T> {
        lane.take(now, |_| true)
    }

    #[test]
    fn the_first_goes_at_once_and_the_others_together() {
        let now = Instant::now();
        let mut lane = Lane::new(10, 4, now);
        assert_eq!(lane.due_at(), None);
        lane.push(1);
        assert_eq!(take(&mut lane, now), [1]);
        lane.push(2);
        lane.push(3);
        assert_eq!(lane.due_at(), None, "one is in flight");
        lane.ended(true, now);
        assert!(take(&mut lane, now).is_empty(), "it is too early");
        assert_eq!(take(&mut lane, now + FLUSH_DELAY), [2, 3]);
    }

    #[test]
    fn a_peer_that_takes_nothing_loses_the_oldest() {
        let now = Instant::now();
        let mut lane = Lane::new(3, 2, now);
        let dropped = Vec::from_iter((0..5).filter_map(|item| lane.push(item)));
        assert_eq!(dropped, [0, 1]);
        assert_eq!(take(&mut lane, now), [2, 3]);
        assert_eq!(lane.ended(false, now), [2, 3]);
        assert_eq!(lane.due_at(), Some(now + FAILURE_PAUSE));
        assert!(lane.put_back(3) && lane.put_back(2) && !lane.put_back(1), "the newer one has its place");
        assert_eq!(take(&mut lane, now + FAILURE_PAUSE), [2, 3]);
        assert!(lane.ended(true, now).is_empty());
    }

    #[test]
    fn a_message_of_which_nothing_is_news_is_not_sent() {
        let now = Instant::now();
        let mut lane = Lane::new(3, 2, now);
        (0..3).for_each(|item| _ = lane.push(item));
        assert!(lane.take(now, |item| *item == 2).is_empty());
        assert_eq!(lane.due_at(), Some(now + FLUSH_DELAY));
        assert_eq!(lane.take(now + FLUSH_DELAY, |item| *item == 2), [2]);
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
                let message = take(&mut lane, now);
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
