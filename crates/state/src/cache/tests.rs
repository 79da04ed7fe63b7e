#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use proptest::prelude::*;
use std::sync::atomic::AtomicBool;

impl HeapBytes for u64 {}

/// Whether block `number` changes a key: about every third block does.
fn changes(key: u8, number: u64) -> bool {
    (u64::from(key) * 31 + number * 17).is_multiple_of(3)
}

/// The value of a key after a block: the last block that changed it.
fn value_at(key: u8, number: u64) -> u64 {
    (1..=number).rev().find(|number| changes(key, *number)).unwrap_or_default()
}

fn commit(cache: &HeadCache<u8, u64>, number: u64) {
    let changed = (0..KEYS).filter(|key| changes(*key, number));
    // Every fifth key is changed without its value being given.
    cache.commit(number, changed.map(|key| (key, (key % 5 != 0).then_some(number))), None);
}

const KEYS: u8 = 24;

#[derive(Clone, Debug)]
enum Step {
    Commit,
    /// A commit that the cache is not told of.
    MissedCommit,
    Read {
        key: u8,
        blocks_ago: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Commit),
        1 => Just(Step::MissedCommit),
        12 => (0..KEYS, 0u64..4).prop_map(|(key, blocks_ago)| Step::Read { key, blocks_ago }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_view_reads_its_own_state_or_nothing(start in 0u64..3, steps in prop::collection::vec(step(), 1..200)) {
        let cache = HeadCache::new(1 << 20);
        let mut number = start;
        cache.start(number);
        for step in steps {
            match step {
                Step::Commit => {
                    number += 1;
                    commit(&cache, number);
                }
                Step::MissedCommit => number += 1,
                Step::Read { key, blocks_ago } => {
                    let view = number.saturating_sub(blocks_ago);
                    let expected = value_at(key, view);
                    match cache.get(view, &key) {
                        Some(value) => prop_assert_eq!(value, expected),
                        None => cache.insert(view, key, expected),
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_read_or_committed_at_the_head_is_found_again() {
    let cache = HeadCache::new(1 << 20);
    assert_eq!(cache.get(7, &1), None);
    cache.insert(7, 1, 100u64);
    assert_eq!(cache.get(7, &1), None, "no view has told the cache its head");
    cache.start(7);
    cache.insert(7, 1, 100);
    cache.insert(6, 2, 99);
    assert_eq!((cache.get(7, &1), cache.get(7, &2)), (Some(100), None), "an older view adds nothing");
    cache.commit(8, [(2, Some(200))].into_iter(), None);
    assert_eq!((cache.get(8, &1), cache.get(8, &2)), (Some(100), Some(200)));
    assert_eq!((cache.get(7, &1), cache.get(7, &2)), (Some(100), None), "a value of a later block is not served");
    cache.commit(9, std::iter::empty(), Some(&|key| *key != 1));
    assert_eq!((cache.get(9, &1), cache.get(9, &2)), (None, Some(200)));
}

#[test]
fn a_missed_commit_silences_the_cache_until_the_next_and_empties_it_then() {
    let cache = HeadCache::new(1 << 20);
    cache.start(1);
    cache.insert(1, 1, 10u64);
    assert_eq!(cache.get(2, &1), None, "block 2 may have changed it");
    cache.insert(2, 1, 20);
    assert_eq!(cache.get(2, &1), None);
    cache.commit(3, [(2, Some(30))].into_iter(), None);
    assert_eq!((cache.get(3, &1), cache.get(3, &2)), (None, Some(30)));
}

#[test]
fn the_bound_holds_however_much_is_added() {
    const BYTES: usize = 1 << 16;
    let cache = HeadCache::new(BYTES);
    cache.start(0);
    for key in 0u64..10_000 {
        cache.insert(0, key, key);
    }
    let entries = (0..10_000).filter(|key| cache.get(0, key).is_some()).count();
    assert!(entries > 100, "{entries}");
    assert!(entries * slot_bytes::<u64, u64>() <= BYTES, "{entries}");
}

#[test]
fn readers_of_many_views_beside_a_committer_never_see_a_wrong_value() {
    const BLOCKS: u64 = 3000;
    let cache = HeadCache::new(1 << 20);
    let committed = AtomicU64::new(0);
    let is_done = AtomicBool::new(false);
    cache.start(0);
    let read = |seed: u64| {
        let (mut hits, mut rounds, mut turn) = (0u64, 0, seed);
        while !is_done.load(Ordering::Acquire) || rounds < 100 {
            rounds += 1;
            turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let view = committed.load(Ordering::Acquire).saturating_sub((turn >> 60) % 3);
            for key in 0..KEYS {
                match cache.get(view, &key) {
                    Some(value) => {
                        assert_eq!(value, value_at(key, view), "key {key} after block {view}");
                        hits += 1;
                    }
                    None => cache.insert(view, key, value_at(key, view)),
                }
            }
        }
        hits
    };
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3).map(|seed| scope.spawn(move || read(seed))).collect();
        for number in 1..=BLOCKS {
            // As in the node: the block is visible first, then the cache is told.
            committed.store(number, Ordering::Release);
            if number % 50 != 0 {
                commit(&cache, number);
            }
        }
        is_done.store(true, Ordering::Release);
        readers.into_iter().for_each(|reader| assert!(reader.join().unwrap() > 0, "the cache served nothing"));
    });
}
