//! When to dial a peer again. Pure: it is told the time.

use libp2p::PeerId;
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};

/// Wait after the first failure.
const DELAY_MIN: Duration = Duration::from_millis(250);
/// Longest wait for a peer that may be needed. Short, because a validator that comes back is needed at once.
pub(crate) const DELAY_MAX: Duration = Duration::from_secs(5);
/// Head start of the smaller peer id, so that two nodes that learn of each other at once do not dial both ways,
/// each refusing the other's connection as the second one.
const HEAD_START: Duration = Duration::from_millis(300);

/// Exponential backoff with jitter for one peer.
///
/// The jitter is a hash of both peers and the attempt: it differs between pairs and attempts, which is what jitter is
/// for, and repeats in tests.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    local: PeerId,
    remote: PeerId,
    failures: u32,
    retry_at: Instant,
}

impl Backoff {
    /// A peer never dialled: due at once, or after the head start when the other side is expected to dial us.
    pub(crate) fn new(local: PeerId, remote: PeerId, now: Instant) -> Self {
        let backoff = Self { local, remote, failures: 0, retry_at: now };
        let retry_at = now + backoff.head_start();
        Self { retry_at, ..backoff }
    }

    /// How many attempts in a row came to nothing.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now >= self.retry_at
    }

    /// An attempt came to nothing: the next wait is twice as long, up to `delay_max`.
    pub(crate) fn fail(&mut self, now: Instant, delay_max: Duration) {
        self.retry_at = now + self.head_start() + self.delay(delay_max);
        self.failures = self.failures.saturating_add(1);
    }

    /// The peer was of use: the next wait is the shortest again.
    pub(crate) fn succeed(&mut self) {
        self.failures = 0;
    }

    fn head_start(&self) -> Duration {
        if self.local < self.remote { Duration::ZERO } else { HEAD_START }
    }

    /// `DELAY_MIN * 2^failures` up to `delay_max`, times 0.75 to 1.25.
    fn delay(&self, delay_max: Duration) -> Duration {
        let doublings = self.failures.min(16);
        let delay = (DELAY_MIN * (1 << doublings)).min(delay_max);
        let mut hasher = Sha256::new();
        hasher.update(self.local.to_bytes());
        hasher.update(self.remote.to_bytes());
        hasher.update(self.failures.to_be_bytes());
        let jitter = f64::from(hasher.finalize()[0]) / 255.0;
        delay.mul_f64(0.75 + jitter / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ordered_pair() -> (PeerId, PeerId) {
        let (a, b) = (PeerId::random(), PeerId::random());
        (a.min(b), a.max(b))
    }

    #[test]
    fn the_smaller_peer_id_dials_first() {
        let now = Instant::now();
        let (small, large) = ordered_pair();
        assert!(Backoff::new(small, large, now).is_due(now));
        let waiting = Backoff::new(large, small, now);
        assert!(!waiting.is_due(now));
        assert!(waiting.is_due(now + HEAD_START));
    }

    #[test]
    fn success_makes_the_next_wait_short_again() {
        let now = Instant::now();
        let (small, large) = ordered_pair();
        let mut backoff = Backoff::new(small, large, now);
        for _ in 0..10 {
            backoff.fail(now, DELAY_MAX);
        }
        assert!(!backoff.is_due(now + DELAY_MIN * 2));
        backoff.succeed();
        backoff.fail(now, DELAY_MAX);
        assert!(backoff.is_due(now + DELAY_MIN * 2));
    }

    proptest! {
        #[test]
        fn delays_double_within_bounds(failures in 0u32..1000) {
            let (small, large) = ordered_pair();
            let backoff = Backoff { failures, ..Backoff::new(small, large, Instant::now()) };
            let expected = (DELAY_MIN * (1 << failures.min(16))).min(DELAY_MAX);
            prop_assert!(backoff.delay(DELAY_MAX) >= expected.mul_f64(0.75));
            prop_assert!(backoff.delay(DELAY_MAX) <= expected.mul_f64(1.25));
        }
    }
}
