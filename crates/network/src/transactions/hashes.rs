//! Sets of hashes that forget the oldest.

use alloy_primitives::B256;
use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

/// Most hashes that one set remembers.
pub(crate) const HASHES_MAX: usize = 32_768;
/// What was received is remembered for this long at least, and twice as long at most.
const RECEIVED_FOR: Duration = Duration::from_secs(30);

/// The newest [`HASHES_MAX`] hashes. It keeps 8 bytes of each under a key of its own, so that a full set takes less
/// than two megabytes and nobody can prepare two hashes that look alike to it.
#[derive(Debug, Default)]
pub(crate) struct HashFilter {
    key: RandomState,
    /// What is remembered, and how many were inserted before it.
    marks: HashMap<u64, u64>,
    /// What was inserted last. A mark that was removed keeps its place here until its turn comes to be forgotten.
    oldest_first: VecDeque<u64>,
    /// How many were inserted before the first of these.
    forgotten: u64,
}

impl HashFilter {
    /// Remembers a hash; whether it was new.
    pub(crate) fn insert(&mut self, hash: &B256) -> bool {
        let Entry::Vacant(place) = self.marks.entry(self.key.hash_one(hash)) else { return false };
        self.oldest_first.push_back(*place.key());
        place.insert(self.forgotten + self.oldest_first.len() as u64 - 1);
        if self.oldest_first.len() > HASHES_MAX {
            self.forget_oldest();
        }
        true
    }

    pub(crate) fn contains(&self, hash: &B256) -> bool {
        self.marks.contains_key(&self.key.hash_one(hash))
    }

    /// Forgets a hash; inserted again, it is the newest.
    pub(crate) fn remove(&mut self, hash: &B256) {
        self.marks.remove(&self.key.hash_one(hash));
    }

    pub(crate) fn len(&self) -> usize {
        self.oldest_first.len()
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.oldest_first.pop_front() {
            if self.marks.get(&oldest) == Some(&self.forgotten) {
                self.marks.remove(&oldest);
            }
            self.forgotten += 1;
        }
    }
}

/// What was received of late, wanted or not: it is not fetched again for a while. After that it may be, for a
/// transaction that had no room at first may have some later.
#[derive(Debug)]
pub(crate) struct ReceivedOfLate {
    present: HashFilter,
    past: HashFilter,
    since: Instant,
}

impl ReceivedOfLate {
    pub(crate) fn new(now: Instant) -> Self {
        Self { present: HashFilter::default(), past: HashFilter::default(), since: now }
    }

    /// Remembers a hash; whether it was new.
    pub(crate) fn insert(&mut self, hash: &B256, now: Instant) -> bool {
        self.turn(now);
        !self.past.contains(hash) && self.present.insert(hash)
    }

    pub(crate) fn contains(&mut self, hash: &B256, now: Instant) -> bool {
        self.turn(now);
        self.present.contains(hash) || self.past.contains(hash)
    }

    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        if age >= 2 * RECEIVED_FOR {
            *self = Self::new(now);
        } else if age >= RECEIVED_FOR || self.present.len() == HASHES_MAX {
            self.past = std::mem::take(&mut self.present);
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: usize) -> B256 {
        B256::left_padding_from(&number.to_be_bytes())
    }

    #[test]
    fn a_filter_forgets_the_oldest_and_no_more() {
        let mut filter = HashFilter::default();
        for number in 0..HASHES_MAX {
            assert!(filter.insert(&hash(number)));
        }
        assert!(!filter.insert(&hash(0)), "it is remembered once");
        assert!(filter.insert(&hash(HASHES_MAX)));
        assert!(!filter.contains(&hash(0)));
        assert!((1..=HASHES_MAX).all(|number| filter.contains(&hash(number))));
        assert_eq!((filter.len(), filter.marks.len()), (HASHES_MAX, HASHES_MAX));
    }

    #[test]
    fn what_was_removed_and_inserted_again_is_the_newest() {
        let mut filter = HashFilter::default();
        filter.insert(&hash(0));
        filter.remove(&hash(0));
        assert!(!filter.contains(&hash(0)) && filter.insert(&hash(0)));
        for number in 1..HASHES_MAX {
            filter.insert(&hash(number));
        }
        assert!((0..HASHES_MAX).all(|number| filter.contains(&hash(number))), "only the removed place was given up");
        assert!(filter.insert(&hash(HASHES_MAX)));
        assert!(!filter.contains(&hash(0)), "it is the oldest now");
        assert_eq!((filter.len(), filter.marks.len()), (HASHES_MAX, HASHES_MAX));
    }

    #[test]
    fn what_was_received_is_forgotten_in_time() {
        let now = Instant::now();
        let mut received = ReceivedOfLate::new(now);
        assert!(received.insert(&hash(1), now));
        let later = now + RECEIVED_FOR;
        assert!(received.contains(&hash(1), later));
        assert!(!received.insert(&hash(1), later), "to see it again does not keep it");
        assert!(!received.contains(&hash(1), later + RECEIVED_FOR));
    }

    #[test]
    fn what_was_received_is_bounded_without_waiting_for_the_time() {
        let now = Instant::now();
        let mut received = ReceivedOfLate::new(now);
        for number in 0..3 * HASHES_MAX {
            received.insert(&hash(number), now);
        }
        assert!(received.present.len() + received.past.len() <= 2 * HASHES_MAX);
        assert!(received.contains(&hash(3 * HASHES_MAX - 1), now));
    }
}
