//! Who leaves when the pool is full.

use crate::sender::{Entry, Rank, SenderQueue};
use crate::{PoolError, PoolTransaction};
use alloy_primitives::{Address, TxHash};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, btree_set};
use std::iter::Peekable;
use std::sync::Arc;

/// What must leave, in transactions and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

impl Excess {
    fn is_none(&self) -> bool {
        self.count == 0 && self.bytes == 0
    }
}

/// A transaction that wants to enter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newcomer {
    /// What it pays a unit of gas.
    pub(crate) price: u128,
    /// The rank that it would have.
    pub(crate) rank: Rank,
    /// What it replaces: that leaves anyway, and is no part of the excess.
    pub(crate) replaced: Option<TxHash>,
}

impl Newcomer {
    /// Only what ranks lower makes room.
    fn displaces(&self, victim: &Rank) -> Result<(), PoolError> {
        if (self.rank.pending, self.rank.price) > (victim.pending, victim.price) {
            Ok(())
        } else if victim.pending && !self.rank.pending {
            Err(PoolError::FutureReplacesPending)
        } else if self.price <= victim.price {
            Err(PoolError::Underpriced)
        } else {
            Err(PoolError::Full)
        }
    }
}

/// Names the transactions that leave so that a newcomer fits.
pub(crate) fn choose(
    cheapest: Cheapest<'_>,
    mut excess: Excess,
    newcomer: Newcomer,
) -> Result<Vec<Arc<PoolTransaction>>, PoolError> {
    let mut victims = Vec::new();
    let mut cheapest = cheapest.filter(|entry| Some(entry.transaction.hash()) != newcomer.replaced);
    while !excess.is_none() {
        let victim = cheapest.next().ok_or(PoolError::Full)?;
        newcomer.displaces(&victim.rank)?;
        excess.count = excess.count.saturating_sub(1);
        excess.bytes = excess.bytes.saturating_sub(victim.transaction.size());
        victims.push(Arc::clone(&victim.transaction));
    }
    Ok(victims)
}

/// Every transaction of the pool, lowest rank first, without changing the pool.
pub(crate) struct Cheapest<'a> {
    senders: &'a HashMap<Address, SenderQueue>,
    /// The last transaction of each sender.
    last: Peekable<btree_set::Iter<'a, (Rank, Address)>>,
    /// The next ones of senders whose last ones were yielded already, with their nonces.
    earlier: BinaryHeap<Reverse<(Rank, Address, u64)>>,
}

impl<'a> Cheapest<'a> {
    pub(crate) fn new(senders: &'a HashMap<Address, SenderQueue>, ranking: &'a BTreeSet<(Rank, Address)>) -> Self {
        Self { senders, last: ranking.iter().peekable(), earlier: BinaryHeap::new() }
    }
}

impl<'a> Iterator for Cheapest<'a> {
    type Item = &'a Entry;

    fn next(&mut self) -> Option<&'a Entry> {
        let earlier = self.earlier.peek().map(|Reverse((rank, _, _))| *rank);
        let last = self.last.peek().map(|(rank, _)| *rank);
        let from_earlier = earlier.is_some_and(|earlier| last.is_none_or(|last| earlier < last));
        let entry = if from_earlier {
            let Reverse((_, sender, nonce)) = self.earlier.pop()?;
            self.senders.get(&sender)?.get(nonce)?
        } else {
            let (_, sender) = self.last.next()?;
            self.senders.get(sender)?.last(None)?
        };
        let (sender, nonce) = (entry.transaction.sender(), entry.transaction.nonce());
        if let Some(before) = self.senders.get(&sender)?.last(Some(nonce)) {
            self.earlier.push(Reverse((before.rank, sender, before.transaction.nonce())));
        }
        Some(entry)
    }
}
