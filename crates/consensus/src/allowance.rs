//! How much may be spent on messages that nobody can be blamed for. Pure: it is told the time.
//!
//! A message of another height than the current one may have been made by validators that this node does not know, so
//! that a bad one is no proof of a fault. Without a bound whoever makes up certificates of far heights would keep this
//! node verifying for free.

use heddle_primitives::ConsensusMessage;
use std::time::Duration;
use tokio::time::Instant;

/// Time that one signature stands for: of signatures that do not verify, a thousand a second are tried.
const SIGNATURE: Duration = Duration::from_millis(1);
/// What may be spent at once: twenty certificates of the largest set.
const BURST: Duration = Duration::from_secs(4);
/// Transactions whose digests cost as much as a signature.
const TRANSACTIONS_A_SIGNATURE: usize = 32;

/// What is left.
#[derive(Debug)]
pub(crate) struct Allowance {
    /// Everything is paid until here; at most [`BURST`] behind the present, and never ahead of it.
    paid: Instant,
}

impl Allowance {
    pub(crate) fn new(now: Instant) -> Self {
        Self { paid: now - BURST }
    }

    /// Takes the cost of a message; `false` when it is more than is left.
    pub(crate) fn take(&mut self, cost: Duration, now: Instant) -> bool {
        let paid = self.paid.max(now - BURST) + cost;
        let allowed = paid <= now;
        if allowed {
            self.paid = paid;
        }
        allowed
    }

    /// Gives back the cost of a message that was good.
    pub(crate) fn give_back(&mut self, cost: Duration) {
        self.paid -= cost;
    }
}

/// What it costs to check a message.
pub(crate) fn cost(message: &ConsensusMessage) -> Duration {
    let signatures = match message {
        ConsensusMessage::Vote(_) => 1,
        ConsensusMessage::Evidence(_) => 2,
        ConsensusMessage::Proposal(message) => {
            1 + message.body.block.body.transactions.len() / TRANSACTIONS_A_SIGNATURE
        }
        ConsensusMessage::PolkaCertificate(certificate) => certificate.signatures.len(),
        ConsensusMessage::RoundCertificate(certificate) => certificate.signatures.len(),
        ConsensusMessage::CommitCertificate(certificate) => certificate.signatures.len(),
    };
    SIGNATURE.saturating_mul(u32::try_from(signatures.max(1)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_messages_are_tried_at_a_rate_and_good_ones_cost_nothing() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        assert_eq!((0..10_000).filter(|_| allowance.take(SIGNATURE, start)).count(), 4_000);
        let later = start + Duration::from_millis(100);
        assert_eq!((0..10_000).filter(|_| allowance.take(SIGNATURE, later)).count(), 100);

        let much_later = start + Duration::from_secs(3600);
        for _ in 0..10_000 {
            assert!(allowance.take(SIGNATURE, much_later));
            allowance.give_back(SIGNATURE);
        }
        assert!(!allowance.take(BURST + SIGNATURE, much_later), "nothing is saved beyond the burst");
    }
}
