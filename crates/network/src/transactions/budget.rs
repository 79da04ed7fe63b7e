//! How much of transaction gossip a peer may send and ask for. Pure: it is told the time.
//!
//! Every number lies above the pace that a correct node keeps to ([`super::outbox`], [`super::source`]), so that only
//! what ignores the pace is ever refused.

use crate::rate::TokenBucket;
use heddle_primitives::{MAX_TRANSACTION_BATCH_BYTES, TransactionRequest};
use std::time::Instant;

/// Announcements a second, and at once: a correct node sends one every 20 ms.
const ANNOUNCEMENTS: (u32, u32) = (60, 120);
/// Pushes a second, and at once: a correct node sends one every 20 ms.
const PUSHES: (u32, u32) = (60, 120);
/// Fetches a second, and at once: a correct node sends one every 5 ms.
const FETCHES: (u32, u32) = (250, 500);
/// Bytes of transactions served a second, and at once; beyond, answers are empty.
const SERVED_BYTES: (u32, u32) = (8 * 1024 * 1024, 16 * 1024 * 1024);

/// What one peer may do.
#[derive(Debug)]
pub(crate) struct TransactionBudget {
    announcements: TokenBucket,
    pushes: TokenBucket,
    fetches: TokenBucket,
    served_bytes: TokenBucket,
}

impl TransactionBudget {
    pub(crate) fn new(now: Instant) -> Self {
        let bucket = |(per_second, burst)| TokenBucket::new(per_second, burst, now);
        Self {
            announcements: bucket(ANNOUNCEMENTS),
            pushes: bucket(PUSHES),
            fetches: bucket(FETCHES),
            served_bytes: bucket(SERVED_BYTES),
        }
    }

    /// Adds what the time has brought; whether every budget is full.
    pub(crate) fn refill(&mut self, now: Instant) -> bool {
        let buckets = [&mut self.announcements, &mut self.pushes, &mut self.fetches, &mut self.served_bytes];
        buckets.into_iter().fold(true, |full, bucket| bucket.refill(now) & full)
    }

    /// Whether the peer may send this now.
    pub(crate) fn allow(&mut self, request: &TransactionRequest, now: Instant) -> bool {
        let bucket = match request {
            TransactionRequest::Announce(_) => &mut self.announcements,
            TransactionRequest::Push(_) => &mut self.pushes,
            TransactionRequest::Fetch(_) => &mut self.fetches,
        };
        bucket.try_take(1, now)
    }

    /// Most bytes that a fetch is answered with now; [`Self::served`] tells how many it took.
    pub(crate) fn answer_max(&mut self, now: Instant) -> usize {
        if self.served_bytes.is_positive(now) { MAX_TRANSACTION_BATCH_BYTES } else { 0 }
    }

    /// Counts the bytes of an answer.
    pub(crate) fn served(&mut self, bytes: usize) {
        self.served_bytes.charge(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{outbox::FLUSH_DELAY, source::FETCH_PAUSE};
    use super::*;
    use heddle_primitives::TransactionBatch;

    #[test]
    fn a_correct_pace_is_never_refused_and_a_faster_one_is() {
        let requests = [
            (TransactionRequest::Announce(Vec::new()), FLUSH_DELAY),
            (TransactionRequest::Push(TransactionBatch(Vec::new())), FLUSH_DELAY),
            (TransactionRequest::Fetch(Vec::new()), FETCH_PAUSE),
        ];
        for (request, pause) in requests {
            let start = Instant::now();
            let (mut budget, mut now) = (TransactionBudget::new(start), start);
            for _ in 0..5_000 {
                assert!(budget.allow(&request, now), "{request:?}");
                now += pause;
            }
            let mut budget = TransactionBudget::new(start);
            let mut times = (0..5_000).map(|sent| start + pause / 2 * sent);
            assert!(times.any(|now| !budget.allow(&request, now)), "{request:?}");
        }
    }

    #[test]
    fn bytes_served_run_out_and_come_back() {
        let now = Instant::now();
        let mut budget = TransactionBudget::new(now);
        while budget.answer_max(now) > 0 {
            budget.served(MAX_TRANSACTION_BATCH_BYTES);
        }
        let later = now + std::time::Duration::from_secs(1);
        assert_eq!(budget.answer_max(later), MAX_TRANSACTION_BATCH_BYTES);
    }
}
