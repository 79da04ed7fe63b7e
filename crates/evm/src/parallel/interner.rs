//! Things found by key, made when first asked for, and never moved or removed.

use super::sync::RwLock;
use alloy_primitives::map::HashMap;
use std::hash::Hash;

/// Locks that the keys are spread over.
const SHARDS: usize = 64;

/// A growing set of values with a key each, shared by threads. A value's place is a number that finds it at once.
pub(crate) struct Interner<K, V> {
    places: Vec<RwLock<HashMap<K, u32>>>,
    values: boxcar::Vec<V>,
}

/// A key that says which lock it is under: the better spread, the less threads wait.
pub(crate) trait ShardKey: Eq + Hash + Copy {
    /// Any number, of which the low bits count.
    fn shard(&self) -> usize;
}

impl<K: ShardKey, V> Interner<K, V> {
    pub(crate) fn new() -> Self {
        Self { places: (0..SHARDS).map(|_| RwLock::default()).collect(), values: boxcar::Vec::new() }
    }

    /// The place of the key's value, if it has one.
    pub(crate) fn find(&self, key: &K) -> Option<u32> {
        self.shard(key).read().get(key).copied()
    }

    /// The place of the key's value, which is made when there is none. Two threads may both make one; the first stays.
    pub(crate) fn find_or_make<E>(&self, key: K, make: impl FnOnce() -> Result<V, E>) -> Result<u32, E> {
        if let Some(place) = self.find(&key) {
            return Ok(place);
        }
        let value = make()?;
        Ok(*self.shard(&key).write().entry(key).or_insert_with(|| self.values.push(value) as u32))
    }

    /// The value at a place that this interner gave.
    pub(crate) fn get(&self, place: u32) -> &V {
        &self.values[place as usize]
    }

    /// All values, in no order that means anything.
    pub(crate) fn len(&self) -> u32 {
        self.values.count() as u32
    }

    fn shard(&self, key: &K) -> &RwLock<HashMap<K, u32>> {
        &self.places[key.shard() % SHARDS]
    }
}
