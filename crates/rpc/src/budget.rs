//! Memory for requests that were read, answers that wait for their readers and what subscriptions look for, shared by all
//! callers of a kind: an address may hold as much as is left besides. One alone comes to a half and two to a third each, and
//! there is always something left for whoever comes next.

use crate::rate::subject;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// What is reserved at a time, in bytes.
const UNIT: usize = 1024;

/// A number of bytes that may be held at a time; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budget(Arc<Mutex<Held>>);

/// In units.
#[derive(Debug, Default)]
struct Held {
    free: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(Held { free: (bytes / UNIT).max(1), by_address: HashMap::new() })))
    }

    /// What callers at this address may hold; `None` leaves nothing to others.
    pub(crate) fn share(&self, address: Option<IpAddr>) -> Share {
        Share { budget: self.clone(), address: address.map(subject) }
    }
}

impl Held {
    /// Whether there were so many units to take.
    fn take(&mut self, units: usize, address: Option<IpAddr>) -> bool {
        let Some(left) = self.free.checked_sub(units) else { return false };
        if let Some(address) = address {
            let held = self.by_address.get(&address).copied().unwrap_or_default() + units;
            if held > left {
                return false;
            }
            self.by_address.insert(address, held);
        }
        self.free = left;
        true
    }

    fn give_back(&mut self, units: usize, address: Option<IpAddr>) {
        self.free += units;
        let Some(address) = address else { return };
        let left = self.by_address.get(&address).map_or(0, |held| held.saturating_sub(units));
        match left {
            0 => self.by_address.remove(&address),
            left => self.by_address.insert(address, left),
        };
    }
}

/// A part of a [`Budget`]; clones are the same one. The default is one of nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Share {
    budget: Budget,
    address: Option<IpAddr>,
}

impl Share {
    /// Reserves nothing yet.
    pub(crate) fn reservation(&self) -> Reservation {
        Reservation { share: self.clone(), units: 0 }
    }
}

/// Bytes of a [`Share`], given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    share: Share,
    units: usize,
}

impl Reservation {
    /// Whether it covers this many bytes afterwards. It never shrinks.
    pub(crate) fn covers(&mut self, bytes: usize) -> bool {
        let more = bytes.div_ceil(UNIT).saturating_sub(self.units);
        let is_covered = more == 0 || self.share.budget.0.lock().take(more, self.share.address);
        if is_covered {
            self.units += more;
        }
        is_covered
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.units > 0 {
            self.share.budget.0.lock().give_back(self.units, self.share.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_given_back() {
        let share = Budget::new(3 * UNIT).share(None);
        let (mut one, mut two) = (share.reservation(), share.reservation());
        assert!(one.covers(0) && one.covers(1) && one.covers(UNIT) && one.covers(2 * UNIT));
        assert!(two.covers(UNIT) && !two.covers(UNIT + 1) && two.covers(UNIT));
        drop(one);
        assert!(two.covers(3 * UNIT) && !two.covers(3 * UNIT + 1) && !two.covers(usize::MAX));
    }

    #[test]
    fn an_address_leaves_something_to_others() {
        let budget = Budget::new(12 * UNIT);
        let at = |address: &str| budget.share(Some(address.parse().unwrap())).reservation();
        let (mut one, mut same, mut other) = (at("2001:db8::1"), at("2001:db8::2"), at("10.0.0.1"));
        assert!(!one.covers(7 * UNIT) && one.covers(6 * UNIT), "as much as is left");
        assert!(!same.covers(1), "a network of IPv6 is one address");
        assert!(!other.covers(4 * UNIT) && other.covers(3 * UNIT));
        drop(one);
        assert!(same.covers(4 * UNIT) && !same.covers(5 * UNIT), "of nine: what another holds counts");
        drop((same, other));
        assert!(budget.0.lock().by_address.is_empty() && budget.0.lock().free == 12);
    }
}
