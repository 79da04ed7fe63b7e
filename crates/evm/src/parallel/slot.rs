//! A storage slot's versions.

use super::account::{AccountCell, WaitFor};
use super::sync::{AtomicBool, Ordering, RwLock};
use super::versions::Versions;
use alloy_primitives::U256;

/// One slot with all its versions.
#[derive(Debug)]
pub(crate) struct SlotCell {
    /// Its account, by place in the memory.
    pub(crate) account: u32,
    pub(crate) key: U256,
    /// Before the block.
    pub(crate) base: U256,
    is_written: AtomicBool,
    is_accessed: AtomicBool,
    /// Values; none for an estimate.
    versions: RwLock<Versions<Option<U256>>>,
    /// Whether the slot's next values can be told from its last ones.
    is_counter: AtomicBool,
    counter: RwLock<Counter>,
}

/// How a slot went on so far, by what is final: many count, such as the ids that a contract gives out.
#[derive(Debug, Default)]
struct Counter {
    /// The last transaction that wrote the slot, and what it left.
    last: (u32, U256),
    /// What it and those before it added.
    stride: U256,
    /// How often in a row.
    streak: u32,
}

/// So often the same has to be added before it is expected again.
const STREAK_MIN: u32 = 3;

impl SlotCell {
    pub(crate) fn new(account: u32, key: U256, base: U256) -> Self {
        Self {
            account,
            key,
            base,
            is_written: AtomicBool::new(false),
            is_accessed: AtomicBool::new(false),
            versions: RwLock::new(Versions::default()),
            is_counter: AtomicBool::new(false),
            counter: RwLock::default(),
        }
    }

    /// The value that a transaction will probably find if those before it go on as the last ones did: `others` tells
    /// how many of the transactions after the given one will write the slot. None for a slot that does not count.
    pub(crate) fn predict(&self, others: impl FnOnce(u32) -> Option<u32>) -> Option<U256> {
        if !self.is_counter() {
            return None;
        }
        let counter = self.counter.read();
        let (last, value) = counter.last;
        Some(value.wrapping_add(counter.stride.wrapping_mul(U256::from(others(last)?))))
    }

    /// Whether the slot's next values can be told from its last ones.
    pub(crate) fn is_counter(&self) -> bool {
        self.is_counter.load(Ordering::Acquire)
    }

    /// Learns from a transaction that is final and replaced `before` by `after`.
    pub(crate) fn learn(&self, index: u32, before: U256, after: U256) {
        let mut counter = self.counter.write();
        let stride = after.wrapping_sub(before);
        counter.streak = if stride == counter.stride { counter.streak.saturating_add(1) } else { 0 };
        counter.stride = stride;
        counter.last = (index, after);
        self.is_counter.store(counter.streak >= STREAK_MIN, Ordering::Release);
    }

    /// The value as the versions before `index` leave it; `account` is the slot's.
    pub(crate) fn read(&self, account: &AccountCell, index: u32) -> Result<U256, WaitFor> {
        let written = if self.is_written.load(Ordering::Acquire) { self.last_before(index)? } else { None };
        let wiped = account.wiped_before(index);
        match (written, wiped) {
            (None, None) => Ok(self.base),
            (Some((at, value)), wiped) if wiped.is_none_or(|wiped| wiped < at) => Ok(value),
            _ => Ok(U256::ZERO),
        }
    }

    fn last_before(&self, index: u32) -> Result<Option<(u32, U256)>, WaitFor> {
        match self.versions.read().before(index).last() {
            None => Ok(None),
            Some((at, Some(value))) => Ok(Some((*at, *value))),
            Some((at, None)) => Err(WaitFor(*at)),
        }
    }

    /// The value after `index`, if that wrote it.
    pub(crate) fn at(&self, index: u32) -> Option<U256> {
        if !self.is_written.load(Ordering::Acquire) {
            return None;
        }
        self.versions.read().at(index).copied().flatten()
    }

    /// Writes what `index` leaves in the slot.
    pub(crate) fn write(&self, index: u32, value: U256) {
        self.versions.write().insert(index, Some(value));
        self.is_written.store(true, Ordering::Release);
    }

    /// Turns what `index` wrote into an estimate, for the time of its next try.
    pub(crate) fn retract(&self, index: u32) {
        self.versions.write().replace(index, None);
    }

    /// Removes what `index` wrote at its last try, if it did not write it again.
    pub(crate) fn forget(&self, index: u32) {
        self.versions.write().remove_if(index, Option::is_none);
    }

    /// Notes that a transaction of the block accessed the slot, whether or not it wrote to it.
    pub(crate) fn access(&self) {
        if !self.is_accessed.load(Ordering::Relaxed) {
            self.is_accessed.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_accessed(&self) -> bool {
        self.is_accessed.load(Ordering::Relaxed)
    }

    /// The value after each transaction that wrote it, once all are final.
    pub(crate) fn history(&self) -> Vec<(u32, U256)> {
        self.versions.read().iter().filter_map(|(index, value)| Some((*index, (*value)?))).collect()
    }
}
