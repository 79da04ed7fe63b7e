//! The order in which a block takes transactions.

use crate::PoolTransaction;
use alloy_consensus::Transaction as _;
use heddle_primitives::RecoveredTransaction;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

/// A pending transaction with its place in the order of arrival.
type Arrived = (u64, Arc<PoolTransaction>);

/// The pending transactions that can pay the base fee: of those that are next for their senders, always the one with
/// the greatest effective tip, and among equals the one that came first. A snapshot: later changes do not show.
#[derive(Debug)]
pub struct Best {
    base_fee: u64,
    senders: BinaryHeap<Candidate>,
}

/// A sender's next transaction with those after it.
#[derive(Debug)]
struct Candidate {
    tip: u128,
    arrival: Reverse<u64>,
    transaction: Arc<PoolTransaction>,
    following: std::vec::IntoIter<Arrived>,
}

impl Candidate {
    /// `None` when there is no transaction, or it cannot pay the base fee: then those after it must wait as well.
    fn new(mut following: std::vec::IntoIter<Arrived>, base_fee: u64) -> Option<Self> {
        let (arrival, transaction) = following.next()?;
        let tip = transaction.recovered().effective_tip_per_gas(base_fee)?;
        Some(Self { tip, arrival: Reverse(arrival), transaction, following })
    }

    fn key(&self) -> (u128, Reverse<u64>) {
        (self.tip, self.arrival)
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Best {
    /// Takes each sender's pending transactions in nonce order.
    pub(crate) fn new(senders: impl Iterator<Item = Vec<Arrived>>, base_fee: u64) -> Self {
        let candidates = senders.filter_map(|pending| Candidate::new(pending.into_iter(), base_fee));
        Self { base_fee, senders: candidates.collect() }
    }
}

impl Iterator for Best {
    type Item = RecoveredTransaction;

    fn next(&mut self) -> Option<RecoveredTransaction> {
        let Candidate { transaction, following, .. } = self.senders.pop()?;
        self.senders.extend(Candidate::new(following, self.base_fee));
        Some(transaction.recovered().clone())
    }
}
