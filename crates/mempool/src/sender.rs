//! One sender's transactions, by nonce.

use crate::{PoolError, PoolTransaction, rules::Rules};
use alloy_primitives::U256;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Where a transaction came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// This node's own RPC: the node announces it, again and again until it is mined.
    Local,
    /// A peer: the node announces it once.
    Gossip,
}

/// What code an account has, as far as it matters to a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountCode {
    Empty,
    /// EIP-7702: others can spend its balance.
    Delegation,
    /// EIP-3607: it sends no transactions.
    Contract,
}

/// A sender's account at the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SenderAccount {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    pub(crate) code: AccountCode,
}

/// Who goes first when the pool is full: the lesser. Along one sender's nonces it never rises, so that the cheapest
/// transaction of the pool is always the last one of some sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) pending: bool,
    /// The least price of the transaction and those before it: none of them pays more a unit of gas before it is mined.
    pub(crate) price: u128,
    pub(crate) arrival: Reverse<u64>,
}

/// A transaction and what the pool knows about its stay.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) transaction: Arc<PoolTransaction>,
    pub(crate) origin: Origin,
    pub(crate) added: Instant,
    pub(crate) rank: Rank,
}

impl Entry {
    pub(crate) fn new(transaction: Arc<PoolTransaction>, origin: Origin, added: Instant, arrival: u64) -> Self {
        let rank = Rank { pending: false, price: 0, arrival: Reverse(arrival) };
        Self { transaction, origin, added, rank }
    }
}

/// The transactions of one sender, each with a nonce of its own and none below the account's.
#[derive(Debug)]
pub(crate) struct SenderQueue {
    account: SenderAccount,
    entries: BTreeMap<u64, Entry>,
    pending_count: usize,
    pending_cost: U256,
}

impl SenderQueue {
    pub(crate) fn new(account: SenderAccount) -> Self {
        Self { account, entries: BTreeMap::new(), pending_count: 0, pending_cost: U256::ZERO }
    }

    pub(crate) fn account(&self) -> &SenderAccount {
        &self.account
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, nonce: u64) -> Option<&Entry> {
        self.entries.get(&nonce)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub(crate) fn pending(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().take(self.pending_count)
    }

    pub(crate) fn pending_count(&self) -> usize {
        self.pending_count
    }

    /// The nonce after the pending ones.
    pub(crate) fn next_nonce(&self) -> u64 {
        self.account.nonce.saturating_add(self.pending_count as u64)
    }

    /// The last entry; the one below `nonce` when that is given.
    pub(crate) fn last(&self, below: Option<u64>) -> Option<&Entry> {
        match below {
            None => self.entries.values().next_back(),
            Some(nonce) => self.entries.range(..nonce).next_back().map(|(_, entry)| entry),
        }
    }

    /// Checks a transaction against the account and the sender's other transactions.
    pub(crate) fn check(&self, tx: &PoolTransaction, count_max: usize, bump_percent: u64) -> Result<(), PoolError> {
        let SenderAccount { nonce: next, balance, .. } = self.account;
        if tx.nonce() < next {
            return Err(PoolError::NonceTooLow { next, nonce: tx.nonce() });
        }
        let (cost, queued) = (tx.cost(), self.pending_cost);
        if balance < cost {
            return Err(PoolError::InsufficientFunds { balance, cost });
        }
        let replaced = self.get(tx.nonce());
        if let Some(pending) = replaced.filter(|entry| entry.rank.pending) {
            let bump = cost.saturating_sub(pending.transaction.cost());
            if balance < queued.saturating_add(bump) {
                return Err(PoolError::InsufficientFundsForBump { balance, queued, bump });
            }
        } else if balance < queued.saturating_add(cost) {
            return Err(PoolError::InsufficientFundsForAll { balance, queued, cost });
        }
        match replaced {
            Some(old) if !tx.outbids(&old.transaction, bump_percent) => Err(PoolError::ReplacementUnderpriced),
            None if self.len() >= count_max => Err(PoolError::AccountLimit { pooled: self.len() }),
            _ => Ok(()),
        }
    }

    /// The rank that a checked transaction will have.
    pub(crate) fn rank_of(&self, tx: &PoolTransaction, arrival: u64, base_fee: u64) -> Rank {
        let before = self.last(Some(tx.nonce())).map_or(u128::MAX, |entry| entry.rank.price);
        let pending = tx.nonce() <= self.next_nonce();
        Rank { pending, price: before.min(tx.price(base_fee)), arrival: Reverse(arrival) }
    }

    /// Puts an entry at its nonce and returns the one that was there.
    pub(crate) fn insert(&mut self, entry: Entry) -> Option<Entry> {
        self.entries.insert(entry.transaction.nonce(), entry)
    }

    pub(crate) fn remove(&mut self, nonce: u64) -> Option<Entry> {
        self.entries.remove(&nonce)
    }

    /// Takes out the entries for which `keep` is false.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        self.entries.extract_if(.., |_, entry| !keep(entry)).map(|(_, entry)| entry).collect()
    }

    /// Takes over the account at a new head, and takes out what was mined or can no longer be.
    pub(crate) fn set_account(&mut self, account: SenderAccount) -> Vec<Entry> {
        self.account = account;
        let can_send = account.code != AccountCode::Contract;
        self.retain(|Entry { transaction, .. }| {
            can_send && transaction.nonce() >= account.nonce && transaction.cost() <= account.balance
        })
    }

    /// Takes out what new rules forbid.
    pub(crate) fn set_rules(&mut self, rules: &Rules) -> Vec<Entry> {
        self.retain(|entry| entry.transaction.check(rules).is_ok())
    }

    /// Decides again what is pending and how everything ranks; returns what became pending. To be called after
    /// every change.
    pub(crate) fn refresh(&mut self, base_fee: u64) -> Vec<Entry> {
        let mut promoted = Vec::new();
        let mut next = Some(self.account.nonce);
        let mut price = u128::MAX;
        (self.pending_count, self.pending_cost) = (0, U256::ZERO);
        for (nonce, entry) in &mut self.entries {
            price = price.min(entry.transaction.price(base_fee));
            entry.rank.price = price;
            let cost = self.pending_cost.saturating_add(entry.transaction.cost());
            let pending = next == Some(*nonce) && cost <= self.account.balance;
            next = next.filter(|_| pending).map(|nonce| nonce.saturating_add(1));
            let was_pending = std::mem::replace(&mut entry.rank.pending, pending);
            if pending {
                self.pending_count += 1;
                self.pending_cost = cost;
                if !was_pending {
                    promoted.push(entry.clone());
                }
            }
        }
        promoted
    }
}
