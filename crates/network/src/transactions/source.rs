//! A peer as somebody to fetch from.

use super::wanted::FetchId;
use alloy_primitives::B256;
use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// Fetches from one peer that may be in flight or being judged.
pub(crate) const FETCHES_MAX: usize = 4;
/// Least time between two fetches from one peer.
pub(crate) const FETCH_PAUSE: Duration = Duration::from_millis(5);
/// Most announced hashes that wait to be asked of one peer.
const QUEUE_MAX: usize = 4_096;
/// Hashes that stay in the queue of a peer that does not answer.
const QUEUE_AT_REST_MAX: usize = 256;
/// How long a peer is left alone whose answer was of no use, be it that it was empty or that the pool refused it.
const BRIEF_REST: Duration = Duration::from_millis(500);
/// How long a peer is left alone after its first failure; doubles with each further one.
const REST_MIN: Duration = Duration::from_secs(5);
/// Longest rest.
const REST_MAX: Duration = Duration::from_secs(300);

/// What was asked in one fetch: hashes, and the sizes that the peer announced.
pub(super) type Asked = Vec<(B256, u32)>;

/// What one peer announced, and how it answers.
#[derive(Debug)]
pub(super) struct Source {
    /// Announced and not asked of this peer yet; some of it may have come from others since.
    pub(super) queue: VecDeque<B256>,
    /// How many wanted hashes count to the peer's share.
    pub(super) owned: usize,
    /// Fetches in a row that failed.
    pub(super) failures: u32,
    /// What was asked; nothing any more while the answer is being judged.
    fetches: HashMap<FetchId, Asked>,
    rests_until: Instant,
    next_at: Instant,
}

impl Source {
    pub(super) fn new(now: Instant) -> Self {
        Self { queue: VecDeque::new(), owned: 0, failures: 0, fetches: HashMap::new(), rests_until: now, next_at: now }
    }

    /// Puts a hash at the end of the queue, if there is a place.
    pub(super) fn enqueue(&mut self, hash: B256) -> bool {
        let has_place = self.queue.len() < QUEUE_MAX;
        if has_place {
            self.queue.push_back(hash);
        }
        has_place
    }

    /// Puts a hash at the head of the queue, if there is a place.
    pub(super) fn enqueue_first(&mut self, hash: B256) -> bool {
        let has_place = self.queue.len() < QUEUE_MAX;
        if has_place {
            self.queue.push_front(hash);
        }
        has_place
    }

    /// When the next fetch may start; `None` while there is nothing to ask or enough is asked. A peer that failed is
    /// asked one thing at a time until it answers.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let fetches_max = if self.failures == 0 { FETCHES_MAX } else { 1 };
        let can_ask = !self.queue.is_empty() && self.fetches.len() < fetches_max;
        can_ask.then_some(self.rests_until.max(self.next_at))
    }

    pub(super) fn start(&mut self, id: FetchId, asked: Asked, now: Instant) {
        self.fetches.insert(id, asked);
        self.next_at = now + FETCH_PAUSE;
    }

    /// Takes what was asked; the fetch counts until [`Self::end`].
    pub(super) fn take_asked(&mut self, id: FetchId) -> Asked {
        self.fetches.get_mut(&id).map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn end(&mut self, id: FetchId) {
        self.fetches.remove(&id);
    }

    pub(super) fn rest_briefly(&mut self, now: Instant) {
        self.rests_until = self.rests_until.max(now + BRIEF_REST);
    }

    /// A fetch failed; whether this is news, for those in flight beside the first that fails are not counted again.
    pub(super) fn fail(&mut self, now: Instant) -> bool {
        if self.failures > 0 && now < self.rests_until {
            return false;
        }
        let rest = REST_MIN * (1 << self.failures.min(10));
        self.rests_until = now + rest.min(REST_MAX);
        self.failures = self.failures.saturating_add(1);
        true
    }

    /// Cuts the queue of a peer that does not answer to what it may keep; returns the rest.
    pub(super) fn cut_queue(&mut self) -> VecDeque<B256> {
        self.queue.split_off(self.queue.len().min(QUEUE_AT_REST_MAX))
    }
}
