use super::*;
use crate::StateError;
use crate::rows::TrieId;
use crate::trie::branch::{Branch, KEY_NIBBLES};
use crate::trie::source::{Leaf, Source, key_range};
use alloy_primitives::{B256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles};
use heddle_storage::Table;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A key and its new value; `None` removes it.
type KeyChange = (B256, Option<Vec<u8>>);

/// A trie in maps: the rows, and the leaves that the flat tables would hold.
#[derive(Clone, Debug)]
struct Maps {
    root: B256,
    rows: BTreeMap<Nibbles, Arc<[u8]>>,
    leaves: BTreeMap<B256, Vec<u8>>,
}

impl Source for Maps {
    fn branch(&self, path: &Nibbles) -> Result<Option<Box<Branch>>, StateError> {
        let branch = self.rows.get(path).map(|row| Branch::decode_row(row, path.len()));
        branch.transpose().map_err(|reason| self.corrupt(path, reason))
    }

    fn leaf(&self, prefix: &Nibbles) -> Result<Option<Leaf<'static>>, StateError> {
        let (first, last) = key_range(prefix);
        let leaf = self.leaves.range(first..=last).next();
        Ok(leaf.map(|(key, value)| Leaf { key: Nibbles::unpack(key), value: value.clone().into() }))
    }

    fn corrupt(&self, path: &Nibbles, reason: &str) -> StateError {
        StateError::corrupt(Table::TrieNodes, &TrieId::Accounts.node_key(path), reason)
    }
}

impl Maps {
    fn new() -> Self {
        Self { root: EMPTY_ROOT_HASH, rows: BTreeMap::new(), leaves: BTreeMap::new() }
    }

    /// Changes that differ from the state, sorted, a later change of a key winning.
    fn changes(&self, changes: &[KeyChange]) -> Vec<Change<'static>> {
        let last: BTreeMap<_, _> = changes.iter().cloned().collect();
        let differs = last.into_iter().filter(|(key, value)| self.leaves.get(key) != value.as_ref());
        let change = |(key, value): (B256, Option<Vec<u8>>)| Change {
            key: Nibbles::unpack(key),
            value: value.map(Into::into),
            existed: self.leaves.contains_key(&key),
        };
        differs.map(change).collect()
    }

    /// Applies changes and checks the outcome against tries built from scratch, by this crate and by another.
    fn apply(&mut self, changes: &[KeyChange]) {
        let update = update(self, self.root, &self.changes(changes)).unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => self.leaves.insert(*key, value.clone()),
                None => self.leaves.remove(key),
            };
        }
        let paths = update.rows.len();
        for (path, row) in update.rows {
            match row {
                Some(row) => self.rows.insert(path, row),
                None => Some(self.rows.remove(&path).expect("only rows that exist are deleted")),
            };
        }
        self.root = update.root;
        let fresh = self.built_from_scratch();
        assert_eq!(self.root, root_of(&self.leaves), "root after {changes:?}");
        assert_eq!(self.root, fresh.root);
        self.check_rebuild();
        assert_eq!(self.rows, fresh.rows, "rows after {changes:?}, which changed {paths}");
    }

    /// The same trie as a stream.
    fn check_rebuild(&self) {
        let mut rows = Vec::new();
        let mut sink = |path: &Nibbles, row: Vec<u8>| {
            rows.push((*path, Arc::from(row)));
            Ok(())
        };
        let mut rebuild = crate::rebuild::Rebuild::default();
        self.leaves.iter().for_each(|(key, value)| rebuild.add(*key, value.clone(), &mut sink).unwrap());
        assert_eq!(rebuild.finish(&mut sink).unwrap(), self.root);
        let is_below =
            |at: usize, path: &Nibbles| rows[at..].iter().all(|(later, _)| !later.starts_with(path) || later == path);
        assert!(rows.iter().enumerate().all(|(at, (path, _))| is_below(at, path)), "each row after those below it");
        assert_eq!(rows.len(), self.rows.len());
        assert_eq!(rows.into_iter().collect::<BTreeMap<_, _>>(), self.rows);
    }

    fn built_from_scratch(&self) -> Self {
        let leaves: Vec<_> = self.leaves.iter().map(|(key, value)| (*key, Some(value.clone()))).collect();
        let empty = Self::new();
        let update = update(&empty, EMPTY_ROOT_HASH, &empty.changes(&leaves)).unwrap();
        let rows = update.rows.into_iter().map(|(path, row)| (path, row.unwrap())).collect();
        Self { root: update.root, rows, leaves: self.leaves.clone() }
    }
}

/// The root as `alloy_trie` computes it.
fn root_of(leaves: &BTreeMap<B256, Vec<u8>>) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in leaves {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    builder.root()
}

/// A key of zeros but for three nibbles in places far apart, so that keys share long prefixes.
fn key(high: u8, middle: u8, low: u8) -> B256 {
    let mut key = B256::ZERO;
    key[0] = high << 4;
    key[16] = middle;
    key[31] = low;
    key
}

fn set(key: B256, byte: u8, length: usize) -> KeyChange {
    (key, Some(vec![byte; length]))
}

#[test]
fn leaves_have_no_rows_and_every_branch_has_one() {
    let mut trie = Maps::new();
    trie.apply(&[set(key(0, 0, 1), 1, 1)]);
    assert_eq!(trie.rows.len(), 0, "a trie of one leaf");
    trie.apply(&[set(key(0, 0, 2), 2, 1)]);
    assert_eq!(trie.rows.len(), 1, "an extension and a branch with two embedded leaves");
    trie.apply(&[set(key(0, 0, 0x11), 3, 1)]);
    assert_eq!(trie.rows.len(), 2, "an embedded branch");
    // A leaf grows until it and the branch above are hashed, and shrinks again.
    trie.apply(&[set(key(0, 0, 1), 3, 40)]);
    trie.apply(&[set(key(0, 0, 1), 1, 1)]);
    assert_eq!(trie.rows.len(), 2);
    trie.apply(&[(key(0, 0, 1), None), (key(0, 0, 2), None)]);
    assert_eq!(trie.rows.len(), 0);
    trie.apply(&[(key(0, 0, 0x11), None)]);
    assert_eq!(trie.root, EMPTY_ROOT_HASH);
}

#[test]
fn a_branch_with_one_child_left_becomes_what_the_child_was() {
    let mut trie = Maps::new();
    // Under nibble 1 a branch, under nibble 2 a leaf, under nibble 3 an extension to a branch.
    let all = [key(1, 0, 0), key(1, 0x10, 0), key(1, 0x10, 1), key(2, 0, 0), key(3, 1, 0), key(3, 1, 1)];
    trie.apply(&all.map(|key| set(key, 1, 40)));
    trie.apply(&[(key(3, 1, 0), None), (key(3, 1, 1), None)]);
    trie.apply(&[(key(2, 0, 0), None)]);
    trie.apply(&[(key(1, 0x10, 1), None)]);
    trie.apply(&[(key(1, 0x10, 0), None)]);
    assert_eq!(trie.rows.len(), 0);
}

#[test]
fn one_pass_splits_an_extension_and_empties_what_was_below() {
    let mut trie = Maps::new();
    trie.apply(&[set(key(1, 0, 0), 1, 40), set(key(1, 0, 1), 1, 40)]);
    trie.apply(&[(key(1, 0, 0), None), (key(1, 0, 1), None), set(key(1, 7, 1), 1, 40)]);
    assert_eq!(trie.rows.len(), 0);
    trie.apply(&[set(key(1, 7, 2), 1, 40), set(key(1, 7, 3), 1, 40)]);
    trie.apply(&[(key(1, 7, 3), None), (key(1, 7, 1), None), set(key(2, 7, 1), 1, 40)]);
}

#[test]
fn no_changes_keep_the_root_and_read_nothing() {
    let nothing = Maps { root: B256::repeat_byte(1), ..Maps::new() };
    let unchanged = TrieUpdate { root: nothing.root, rows: Vec::new() };
    assert_eq!(update(&nothing, nothing.root, &[]).unwrap(), unchanged);
}

#[test]
fn damaged_and_missing_rows_are_errors() {
    let mut trie = Maps::new();
    let keys = [key(1, 0, 0), key(1, 0, 1), key(2, 0, 0)];
    trie.apply(&keys.map(|key| set(key, 1, 40)));
    let lower = Nibbles::from_nibbles([1]);
    let row = trie.rows[&lower].clone();
    let mut damages = vec![None, Some(Vec::new()), Some([&row[..], &[0]].concat())];
    damages.extend((0..row.len()).map(|length| Some(row[..length].to_vec())));
    for damage in damages {
        let mut damaged = trie.clone();
        match damage.clone() {
            Some(row) => damaged.rows.insert(lower, row.into()),
            None => damaged.rows.remove(&lower),
        };
        let changes = damaged.changes(&[set(keys[0], 2, 40)]);
        let result = update(&damaged, damaged.root, &changes);
        assert!(matches!(result, Err(StateError::Corrupt { .. })), "{damage:?}: {result:?}");
    }
    let mut rootless = trie.clone();
    rootless.rows.remove(&Nibbles::new());
    let mut leafless = trie.clone();
    leafless.leaves.remove(&keys[2]);
    for damaged in [rootless, leafless] {
        let changes = damaged.changes(&[set(key(2, 0, 1), 2, 40)]);
        let result = update(&damaged, damaged.root, &changes);
        assert!(matches!(result, Err(StateError::Corrupt { .. })), "{result:?}");
    }
    let absent = Change { key: Nibbles::unpack(key(9, 0, 0)), value: None, existed: true };
    assert!(matches!(update(&trie, trie.root, &[absent]), Err(StateError::Corrupt { .. })));
}

#[test]
fn rows_with_impossible_contents_are_refused() {
    let leaf = |header: u8, length: usize| [vec![header], vec![1; length]].concat();
    let row = |extension: &[u8], masks: [u8; 4], children: Vec<Vec<u8>>| {
        [vec![extension.len() as u8], extension.to_vec(), masks.to_vec(), children.concat()].concat()
    };
    let two = || vec![leaf(0xa0, 32), leaf(0xc2, 2)];
    assert!(Branch::decode_row(&row(&[], [0, 3, 0, 2], two()), 0).is_ok());
    assert!(Branch::decode_row(&row(&[], [0, 3, 0, 2], two()), KEY_NIBBLES).is_err(), "too deep");
    assert!(Branch::decode_row(&row(&[1], [0, 3, 0, 2], two()), KEY_NIBBLES - 1).is_err(), "too deep below");
    assert!(Branch::decode_row(&row(&[16], [0, 3, 0, 2], two()), 0).is_err(), "not a nibble");
    assert!(Branch::decode_row(&row(&[], [0, 3, 0, 4], two()), 0).is_err(), "a leaf that is no child");
    assert!(Branch::decode_row(&row(&[], [0, 1, 0, 0], vec![leaf(0xa0, 32)]), 0).is_err(), "one child");
    assert!(Branch::decode_row(&row(&[], [0, 3, 0, 0], vec![leaf(0xa0, 32), leaf(0x82, 2)]), 0).is_err());
    assert!(Branch::decode_row(&row(&[], [0, 3, 0, 0], vec![leaf(0xa0, 32), leaf(0xdf, 31)]), 0).is_err());
}

#[test]
fn many_changes_at_once_equal_building_from_scratch() {
    let mut trie = Maps::new();
    let all: Vec<_> = (0u64..400).map(|n| set(keccak256(n.to_be_bytes()), 7, 1 + n as usize % 50)).collect();
    trie.apply(&all);
    // Changed, removed, all but one subtrie removed, all but one key removed, everything removed.
    trie.apply(&all.iter().step_by(3).map(|(key, _)| set(*key, 9, 1)).collect::<Vec<_>>());
    let removed = |keep: &dyn Fn(B256) -> bool| {
        all.iter().filter(|(key, _)| !keep(*key)).map(|(key, _)| (*key, None)).collect::<Vec<KeyChange>>()
    };
    trie.apply(&removed(&|key| key[31] < 128));
    trie.apply(&all);
    trie.apply(&removed(&|key| key[0] >> 4 == 5));
    trie.apply(&all);
    trie.apply(&removed(&|key| key == all[0].0));
    trie.apply(&all);
    trie.apply(&removed(&|_| false));
    assert!(trie.rows.is_empty());
}

fn change() -> impl Strategy<Value = KeyChange> {
    let value = prop_oneof![
        2 => Just(None),
        1 => (1u8..).prop_map(|byte| Some(vec![byte])),
        1 => (any::<u8>(), 2usize..60).prop_map(|(byte, length)| Some(vec![byte; length])),
    ];
    // Few distinct nibbles, so that changes meet, and some keys that differ everywhere.
    let key = prop_oneof![
        3 => (0u8..4, 0u8..3, 0u8..20).prop_map(|(high, middle, low)| key(high, middle, low)),
        1 => (0u64..30).prop_map(|n| keccak256(n.to_be_bytes())),
    ];
    (key, value)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn incremental_changes_equal_building_from_scratch(
        steps in prop::collection::vec(prop::collection::vec(change(), 1..90), 1..8)
    ) {
        let mut trie = Maps::new();
        for step in steps {
            trie.apply(&step);
        }
    }
}
