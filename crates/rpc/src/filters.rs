//! The filters that callers have made: by id, bounded, forgotten when nobody asks for them.

use crate::log_query::LogQuery;
use alloy_primitives::U128;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A filter that nobody asks for this long is forgotten; go-ethereum's.
const LIFETIME: Duration = Duration::from_secs(5 * 60);
/// Addresses and topics that a filter may look for before it counts as one filter more.
const ALTERNATIVES_EACH: usize = 64;

/// What a filter looks for.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Blocks,
    /// Up to block `last`.
    Logs {
        query: Arc<LogQuery>,
        last: u64,
    },
    Pending {
        full: bool,
    },
}

/// No such filter, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotFound;

/// No place for another filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node has {places} filters, and keeps no more: uninstall some, or subscribe over WebSocket")]
pub(crate) struct Full {
    places: usize,
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    /// The first block, or position among what became pending, that the caller was not told of.
    next: u64,
    polled: Instant,
    places: usize,
}

/// All filters of a server.
#[derive(Debug)]
pub(crate) struct Filters {
    filters: HashMap<U128, Entry>,
    places_max: usize,
}

impl Filters {
    /// Keeps at most this many, fewer when they look for much.
    pub(crate) fn new(places_max: usize) -> Self {
        Self { filters: HashMap::new(), places_max }
    }

    /// Keeps a filter that begins at `next` and looks for so many addresses and topics.
    pub(crate) fn add(
        &mut self,
        id: U128,
        kind: Kind,
        next: u64,
        alternatives: usize,
        now: Instant,
    ) -> Result<(), Full> {
        self.filters.retain(|_, entry| entry.lives(now));
        let places = 1 + alternatives / ALTERNATIVES_EACH;
        let taken: usize = self.filters.values().map(|entry| entry.places).sum();
        if taken + places > self.places_max {
            return Err(Full { places: taken });
        }
        self.filters.insert(id, Entry { kind, next, polled: now, places });
        Ok(())
    }

    /// What a filter looks for, and from where on. It lives on from now.
    pub(crate) fn poll(&mut self, id: U128, now: Instant) -> Result<(Kind, u64), NotFound> {
        let entry = self.filters.get_mut(&id).filter(|entry| entry.lives(now)).ok_or(NotFound)?;
        entry.polled = now;
        Ok((entry.kind.clone(), entry.next))
    }

    /// The caller was told of all before `next`.
    pub(crate) fn advance(&mut self, id: U128, next: u64) {
        if let Some(entry) = self.filters.get_mut(&id) {
            entry.next = entry.next.max(next);
        }
    }

    /// Whether there was one.
    pub(crate) fn remove(&mut self, id: U128) -> bool {
        self.filters.remove(&id).is_some()
    }
}

impl Entry {
    fn lives(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.polled) < LIFETIME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> U128 {
        U128::from(number)
    }

    #[test]
    fn a_filter_lives_while_it_is_asked() {
        let (mut filters, start) = (Filters::new(2), Instant::now());
        filters.add(id(1), Kind::Blocks, 5, 0, start).unwrap();
        let almost = start + LIFETIME - Duration::from_secs(1);
        assert_eq!(filters.poll(id(1), almost).unwrap().1, 5);
        filters.advance(id(1), 9);
        filters.advance(id(1), 7);
        assert_eq!(filters.poll(id(1), almost + Duration::from_secs(2)).unwrap().1, 9, "a position never goes back");
        assert_eq!(filters.poll(id(1), almost + 2 * LIFETIME).unwrap_err(), NotFound);
        assert_eq!(filters.poll(id(2), start).unwrap_err(), NotFound);
    }

    #[test]
    fn only_so_many_are_kept_until_old_ones_end() {
        let (mut filters, start) = (Filters::new(3), Instant::now());
        filters.add(id(1), Kind::Blocks, 0, 0, start).unwrap();
        filters.add(id(2), Kind::Pending { full: true }, 0, ALTERNATIVES_EACH, start).unwrap();
        let full = filters.add(id(3), Kind::Blocks, 0, 0, start).unwrap_err();
        assert!(full.to_string().starts_with("this node has 3 filters"), "{full}");
        assert!(filters.remove(id(1)) && !filters.remove(id(1)));
        filters.add(id(3), Kind::Blocks, 0, 0, start).unwrap();
        let later = start + LIFETIME;
        filters.add(id(4), Kind::Blocks, 0, 2 * ALTERNATIVES_EACH, later).unwrap();
        assert_eq!(filters.poll(id(3), later).unwrap_err(), NotFound);
    }
}
