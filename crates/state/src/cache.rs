//! Bounded caches of the last committed state.
//!
//! The rule: a view is never served a value of another state than its own. Each entry says since which block it holds, and
//! the cache says up to which block its entries hold, its head. So a view reads an entry only if its block lies between the
//! two, and adds what it read from disk only if its block is the head. A commit replaces the entries of all changed keys
//! before it moves the head. A cache that missed a commit serves no later view, and forgets everything with the next commit.

use crate::stats::{CacheStats, StripedCounter};
use parking_lot::RwLock;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of an entry beside its key and value: links, flags, and its place in the hash table.
const ENTRY_OVERHEAD_BYTES: usize = 48;
/// The cache also remembers keys that it evicted lately, in slots of the same size: one for this many entries, at most.
const ENTRIES_PER_GHOST: usize = 4;
/// The head of a cache that has none.
const NO_HEAD: u64 = u64::MAX;

/// A value with heap memory that counts against a cache's bound.
pub(crate) trait HeapBytes {
    /// Bytes on the heap that the value owns.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// Values of the last committed state by key, bounded in bytes.
pub(crate) struct HeadCache<K, V> {
    entries: Cache<K, Held<V>, ByBytes>,
    /// Entries hold up to this block, if it is not [`NO_HEAD`].
    head: AtomicU64,
    /// Held for reading while an entry is added, for writing while a commit replaces entries and moves the head.
    door: RwLock<()>,
    hits: StripedCounter,
    misses: StripedCounter,
}

#[derive(Clone)]
struct Held<V> {
    value: V,
    since: u64,
}

#[derive(Clone)]
struct ByBytes;

impl<K, V: HeapBytes> Weighter<K, Held<V>> for ByBytes {
    fn weight(&self, _key: &K, held: &Held<V>) -> u64 {
        let slot = slot_bytes::<K, V>();
        (slot + slot / ENTRIES_PER_GHOST + held.value.heap_bytes()) as u64
    }
}

const fn slot_bytes<K, V>() -> usize {
    size_of::<K>() + size_of::<Held<V>>() + ENTRY_OVERHEAD_BYTES
}

impl<K: Hash + Eq, V: Clone + HeapBytes> HeadCache<K, V> {
    /// An empty cache that takes at most `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        // The library keeps a ghost for every second entry that it is told to expect.
        let entries_expected = 2 * bytes / slot_bytes::<K, V>() / ENTRIES_PER_GHOST;
        let entries = Cache::with_weighter(entries_expected, bytes as u64, ByBytes);
        let (door, hits, misses) = Default::default();
        Self { entries, head: AtomicU64::new(NO_HEAD), door, hits, misses }
    }

    /// The value of a key in the state of block `number`, if it is cached.
    pub(crate) fn get(&self, number: u64, key: &K) -> Option<V> {
        let value = self.find(number, key);
        if value.is_some() {
            self.hits.add_one()
        } else {
            self.misses.add_one()
        }
        value
    }

    fn find(&self, number: u64, key: &K) -> Option<V> {
        // Read before the entry: an entry that a later commit puts there says so itself.
        let head = self.head.load(Ordering::Acquire);
        if head == NO_HEAD || number > head {
            return None;
        }
        self.entries.get(key).filter(|held| held.since <= number).map(|held| held.value)
    }

    /// What it holds, and what it was asked for.
    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.sum(),
            misses: self.misses.sum(),
            bytes: self.entries.weight(),
            capacity_bytes: self.entries.capacity(),
        }
    }

    /// Adds what the state of block `number` holds, if that is the head and no commit is under way.
    pub(crate) fn insert(&self, number: u64, key: K, value: V) {
        let Some(_door) = self.door.try_read() else { return };
        if self.head.load(Ordering::Acquire) == number {
            self.entries.insert(key, Held { value, since: number });
        }
    }

    /// Makes block `number` the head of a cache that has none yet.
    pub(crate) fn start(&self, number: u64) {
        if self.head.load(Ordering::Acquire) == NO_HEAD {
            let _door = self.door.write();
            // Another view may have started the cache, and a commit moved it on, meanwhile.
            let _ = self.head.compare_exchange(NO_HEAD, number, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// Forgets everything, the head too.
    pub(crate) fn reset(&self) {
        let _door = self.door.write();
        self.head.store(NO_HEAD, Ordering::Release);
        self.entries.clear();
    }

    /// Moves the head to block `number`, which is committed and changed these keys; `None` for a value that is not to be
    /// cached. Entries that are not `kept` are forgotten first, for changes whose keys are not known.
    pub(crate) fn commit(
        &self,
        number: u64,
        changed: impl Iterator<Item = (K, Option<V>)>,
        kept: Option<&dyn Fn(&K) -> bool>,
    ) {
        let _door = self.door.write();
        if self.head.load(Ordering::Acquire).checked_add(1) != Some(number) {
            self.entries.clear();
        } else if let Some(kept) = kept {
            self.entries.retain(|key, _| kept(key));
        }
        for (key, value) in changed {
            match value {
                Some(value) => self.entries.insert(key, Held { value, since: number }),
                None => drop(self.entries.remove(&key)),
            }
        }
        self.head.store(number, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
