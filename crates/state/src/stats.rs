//! What caches and commits count, for whoever watches a running node.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What the state counted since its store was opened, and what its caches hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateStats {
    /// The cache of accounts.
    pub accounts: CacheStats,
    /// The cache of storage slots.
    pub slots: CacheStats,
    /// The cache of rows of tries.
    pub trie_nodes: CacheStats,
    /// Rows that commits wrote or removed.
    pub written: RowCounts,
}

/// One cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Reads that it answered.
    pub hits: u64,
    /// Reads that it did not.
    pub misses: u64,
    /// Bytes that it takes.
    pub bytes: u64,
    /// Bytes that it may take.
    pub capacity_bytes: u64,
}

/// Rows of the state that were written or removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Accounts.
    pub accounts: u64,
    /// Storage slots, but for those of storage that was removed as a whole.
    pub slots: u64,
    /// Branches of tries.
    pub trie_nodes: u64,
}

/// A counter for the hottest of paths. All threads of the executor read the caches at once: one number that all of them
/// add to would cost more than the read, so that each thread has a stripe of its own, or shares it with few.
#[derive(Debug, Default)]
pub(crate) struct StripedCounter {
    stripes: [Stripe; Self::STRIPES],
}

/// Alone on its cache lines, of which processors fetch two at a time.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

impl StripedCounter {
    const STRIPES: usize = 16;

    pub(crate) fn add_one(&self) {
        if let Some(Stripe(count)) = self.stripes.get(stripe_of_this_thread()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn sum(&self) -> u64 {
        self.stripes.iter().map(|Stripe(count)| count.load(Ordering::Relaxed)).sum()
    }
}

fn stripe_of_this_thread() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static STRIPE: Cell<usize> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed) % StripedCounter::STRIPES);
    }
    STRIPE.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_threads_count_adds_up() {
        let counter = StripedCounter::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * StripedCounter::STRIPES {
                scope.spawn(|| (0..1_000).for_each(|_| counter.add_one()));
            }
        });
        assert_eq!(counter.sum(), 32_000);
    }
}
