//! How much a peer may send. Pure: it is told the time.

use crate::{ChainPace, Topic, protocol::ByTopic, transactions::TransactionBudget};
use heddle_primitives::RequestKind;
use libp2p::PeerId;
use std::{collections::HashMap, time::Instant};

/// A token bucket: `burst` at once, `per_second` in the long run.
#[derive(Clone, Debug)]
pub(crate) struct TokenBucket {
    burst: f64,
    per_second: f64,
    tokens: f64,
    filled_at: Instant,
}

impl TokenBucket {
    pub(crate) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        Self { burst: burst.into(), per_second: per_second.into(), tokens: burst.into(), filled_at: now }
    }

    /// Adds what the time has brought; whether the bucket is full.
    pub(crate) fn refill(&mut self, now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + seconds * self.per_second).min(self.burst);
        self.filled_at = self.filled_at.max(now);
        self.tokens >= self.burst
    }

    /// Takes `amount` if there is as much.
    pub(crate) fn try_take(&mut self, amount: usize, now: Instant) -> bool {
        self.refill(now);
        let allowed = self.has(amount);
        if allowed {
            self.charge(amount);
        }
        allowed
    }

    /// Takes `amount`, on credit if need be.
    pub(crate) fn charge(&mut self, amount: usize) {
        self.tokens -= amount as f64;
    }

    /// Whether nothing is owed.
    pub(crate) fn is_positive(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens > 0.0
    }

    fn has(&self, amount: usize) -> bool {
        amount as f64 <= self.tokens
    }
}

/// Messages a second that one peer may forward on the consensus topic: four times the two votes of every validator a
/// block, which leaves room for rounds that fail, repeats and certificates; at least 1000.
pub(crate) fn votes_a_second(pace: &ChainPace) -> u32 {
    let votes = 2.0 * f64::from(pace.validators) / pace.block_time.as_secs_f64();
    // The cast saturates.
    ((4.0 * votes) as u32).max(1000)
}

const MEBIBYTE: u32 = 1024 * 1024;

/// Messages and bytes of one topic from one peer. A peer forwards for all others, so that these are far above what
/// one author sends.
#[derive(Debug)]
struct TopicBudget {
    messages: TokenBucket,
    bytes: TokenBucket,
}

impl TopicBudget {
    fn new(topic: Topic, pace: &ChainPace, now: Instant) -> Self {
        let votes = votes_a_second(pace);
        let (messages, bytes) = match topic {
            Topic::Consensus => ((votes, votes.saturating_mul(2)), (8 * MEBIBYTE, 16 * MEBIBYTE)),
            // Several full blocks at once: proposals of several rounds may arrive together after a stall.
            Topic::Proposals | Topic::Blocks => ((50, 100), (16 * MEBIBYTE, 48 * MEBIBYTE)),
        };
        Self { messages: TokenBucket::new(messages.0, messages.1, now), bytes: TokenBucket::new(bytes.0, bytes.1, now) }
    }

    /// Whether both are full.
    fn refill(&mut self, now: Instant) -> bool {
        // Each must be filled, whether or not the other is full.
        self.messages.refill(now) & self.bytes.refill(now)
    }

    fn allow(&mut self, bytes: usize, now: Instant) -> bool {
        self.refill(now);
        let allowed = self.messages.has(1) && self.bytes.has(bytes);
        if allowed {
            self.messages.charge(1);
            self.bytes.charge(bytes);
        }
        allowed
    }
}

/// Questions a second that one peer may ask where it stands, and at once.
const STATUS_REQUESTS: (u32, u32) = (20, 60);
/// Requests a second for headers, blocks and pieces of state that one peer may make, and at once: a peer that catches up
/// over a fast network has several in flight, each answered within milliseconds.
const DATA_REQUESTS: (u32, u32) = (100, 200);

#[derive(Debug)]
struct PeerBudget {
    gossip: ByTopic<TopicBudget>,
    transactions: TransactionBudget,
    status_requests: TokenBucket,
    data_requests: TokenBucket,
}

impl PeerBudget {
    fn new(pace: &ChainPace, now: Instant) -> Self {
        Self {
            gossip: ByTopic::new(|topic| TopicBudget::new(topic, pace, now)),
            transactions: TransactionBudget::new(now),
            status_requests: TokenBucket::new(STATUS_REQUESTS.0, STATUS_REQUESTS.1, now),
            data_requests: TokenBucket::new(DATA_REQUESTS.0, DATA_REQUESTS.1, now),
        }
    }

    /// Whether every budget is full.
    fn refill(&mut self, now: Instant) -> bool {
        let requests = self.status_requests.refill(now) & self.data_requests.refill(now);
        let others = requests & self.transactions.refill(now);
        self.gossip.iter_mut().fold(others, |full, budget| budget.refill(now) & full)
    }
}

/// The budgets of peers that sent something lately.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    pace: ChainPace,
    peers: HashMap<PeerId, PeerBudget>,
}

impl RateLimiter {
    pub(crate) fn new(pace: ChainPace) -> Self {
        Self { pace, peers: HashMap::new() }
    }

    /// Whether `peer` may send `bytes` on `topic` now.
    pub(crate) fn allow_gossip(&mut self, peer: PeerId, topic: Topic, bytes: usize, now: Instant) -> bool {
        self.budget(peer, now).gossip[topic].allow(bytes, now)
    }

    /// What `peer` may send and ask for in the exchange of transactions.
    pub(crate) fn transactions(&mut self, peer: PeerId, now: Instant) -> &mut TransactionBudget {
        &mut self.budget(peer, now).transactions
    }

    /// Whether `peer` may ask something of this kind now.
    pub(crate) fn allow_request(&mut self, peer: PeerId, kind: RequestKind, now: Instant) -> bool {
        let budget = self.budget(peer, now);
        match kind {
            RequestKind::Status => budget.status_requests.try_take(1, now),
            _ => budget.data_requests.try_take(1, now),
        }
    }

    /// Forgets the budgets that are full again: a fresh one is the same. Nothing is forgotten when a peer
    /// disconnects, otherwise reconnecting would refill its budget.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.peers.retain(|_, budget| !budget.refill(now));
    }

    fn budget(&mut self, peer: PeerId, now: Instant) -> &mut PeerBudget {
        let pace = self.pace;
        self.peers.entry(peer).or_insert_with(|| PeerBudget::new(&pace, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn requests_stop_at_the_burst_and_resume_at_the_rate() {
        for (kind, other, limit) in [
            (RequestKind::Status, RequestKind::Blocks, STATUS_REQUESTS),
            (RequestKind::Headers, RequestKind::Status, DATA_REQUESTS),
        ] {
            let (mut limiter, peer, now) = (RateLimiter::new(ChainPace::default()), PeerId::random(), Instant::now());
            for _ in 0..limit.1 {
                assert!(limiter.allow_request(peer, kind, now));
            }
            assert!(!limiter.allow_request(peer, kind, now));
            assert!(limiter.allow_request(peer, other, now), "status and data do not share budgets");
            assert!(limiter.allow_request(PeerId::random(), kind, now), "budgets are per peer");
            let later = now + Duration::from_millis(1000 / u64::from(limit.0) + 1);
            assert!(limiter.allow_request(peer, kind, later));
            assert!(!limiter.allow_request(peer, kind, later));
        }
    }

    #[test]
    fn a_full_proposal_always_fits_a_fresh_budget_and_bytes_run_out() {
        let (mut limiter, peer, now) = (RateLimiter::new(ChainPace::default()), PeerId::random(), Instant::now());
        let bytes = Topic::Proposals.bytes_max();
        assert!(limiter.allow_gossip(peer, Topic::Proposals, bytes, now));
        while limiter.allow_gossip(peer, Topic::Proposals, bytes, now) {}
        assert!(limiter.allow_gossip(peer, Topic::Proposals, 100, now), "a compact one still fits");
        assert!(limiter.allow_gossip(peer, Topic::Consensus, 100, now), "topics do not share budgets");
    }

    #[test]
    fn votes_of_a_fast_chain_with_many_validators_fit() {
        let pace = ChainPace { block_time: Duration::from_millis(250), validators: 200 };
        assert_eq!(votes_a_second(&pace), 4 * 1600);
        assert_eq!(votes_a_second(&ChainPace::default()), 1000);
    }

    #[test]
    fn only_full_budgets_are_forgotten() {
        let (mut limiter, peer, now) = (RateLimiter::new(ChainPace::default()), PeerId::random(), Instant::now());
        while limiter.allow_request(peer, RequestKind::Status, now) {}
        limiter.sweep(now);
        assert!(!limiter.allow_request(peer, RequestKind::Status, now));
        limiter.sweep(now + Duration::from_secs(60));
        assert!(limiter.peers.is_empty());
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_gives_nothing() {
        let now = Instant::now();
        let mut bucket = TokenBucket::new(1000, 1, now);
        bucket.charge(1);
        bucket.refill(now - Duration::from_millis(5));
        bucket.refill(now);
        assert!(!bucket.has(1));
    }

    proptest! {
        #[test]
        fn never_more_than_burst_plus_rate(steps in proptest::collection::vec(0u64..50, 1..300)) {
            let start = Instant::now();
            let mut bucket = TokenBucket::new(100, 20, start);
            let (mut now, mut taken) = (start, 0u32);
            for step in steps {
                now += Duration::from_millis(step);
                taken += u32::from(bucket.try_take(1, now));
            }
            let allowed = 20.0 + (now - start).as_secs_f64() * 100.0;
            prop_assert!(f64::from(taken) <= allowed + 0.001);
        }
    }
}
