use super::*;
use alloy_trie::HashBuilder;
use heddle_storage::{Batch, Database, DatabaseConfig};
use proptest::prelude::*;

/// A stored trie beside the plain map that it must agree with.
struct Fixture {
    _directory: tempfile::TempDir,
    database: Database,
    /// The database before the first change.
    empty: Snapshot,
    expected: BTreeMap<B256, Vec<u8>>,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = DatabaseConfig { block_cache_bytes: 1 << 20, ..DatabaseConfig::default() };
        let database = Database::open(directory.path(), &config).unwrap();
        let empty = database.snapshot();
        Self { _directory: directory, database, empty, expected: BTreeMap::new() }
    }

    /// Applies changes to the stored trie and checks it against one built from scratch.
    fn apply(&mut self, id: TrieId, changes: &[Change]) -> B256 {
        let snapshot = self.database.snapshot();
        let mut trie = Trie::open(&snapshot, id).unwrap();
        trie.apply(changes.to_vec()).unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => self.expected.insert(*key, value.clone()),
                None => self.expected.remove(key),
            };
        }
        let update = trie.finish();
        let mut batch = Batch::new();
        for (key, row) in update.nodes {
            match row {
                Some(row) => batch.put(Table::TrieNodes, key, row),
                None => batch.delete(Table::TrieNodes, key),
            }
        }
        self.database.commit(batch).unwrap();
        assert_eq!(update.root, root_of(&self.expected), "root after {changes:?}");
        assert_eq!(self.stored(), self.built_from_scratch(id), "nodes after {changes:?}");
        update.root
    }

    fn stored(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.database.snapshot().prefix(Table::TrieNodes, &[]).unwrap().map(Result::unwrap).collect()
    }

    /// The rows that inserting everything into an empty trie gives.
    fn built_from_scratch(&self, id: TrieId) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut trie = Trie::open(&self.empty, id).unwrap();
        trie.apply(self.expected.iter().map(|(key, value)| (*key, Some(value.clone()))).collect()).unwrap();
        trie.finish().nodes.into_iter().map(|(key, row)| (key, row.unwrap())).collect()
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

#[test]
fn nodes_shorter_than_32_bytes_live_in_their_parents() {
    let mut fixture = Fixture::new();
    let id = TrieId::Storage(B256::repeat_byte(7));
    fixture.apply(id, &[(key(0, 0, 1), Some(vec![1])), (key(0, 0, 2), Some(vec![2]))]);
    assert_eq!(fixture.stored().len(), 1, "an extension, with the branch and the leaves embedded");
    // A leaf grows until it and the branch need rows of their own, and shrinks again.
    fixture.apply(id, &[(key(0, 0, 1), Some(vec![3; 40]))]);
    assert_eq!(fixture.stored().len(), 3);
    fixture.apply(id, &[(key(0, 0, 1), Some(vec![1]))]);
    assert_eq!(fixture.stored().len(), 1);
}

#[test]
fn removing_the_last_key_leaves_no_node() {
    let mut fixture = Fixture::new();
    fixture.apply(TrieId::Accounts, &[(key(1, 2, 3), Some(vec![9; 70]))]);
    let root = fixture.apply(TrieId::Accounts, &[(key(1, 2, 3), None)]);
    assert_eq!(root, EMPTY_ROOT_HASH);
    assert!(fixture.stored().is_empty());
}

#[test]
fn a_branch_with_one_child_left_becomes_what_the_child_was() {
    let mut fixture = Fixture::new();
    let value = |n| Some(vec![n; 40]);
    // Under nibble 1 a branch, under nibble 2 a leaf, under nibble 3 an extension to a branch.
    let all = [key(1, 0, 0), key(1, 0x10, 0), key(1, 0x10, 1), key(2, 0, 0), key(3, 1, 0), key(3, 1, 1)];
    fixture.apply(TrieId::Accounts, &all.map(|key| (key, value(1))));
    fixture.apply(TrieId::Accounts, &[(key(3, 1, 0), None), (key(3, 1, 1), None)]);
    fixture.apply(TrieId::Accounts, &[(key(2, 0, 0), None)]);
    fixture.apply(TrieId::Accounts, &[(key(1, 0x10, 1), None)]);
    fixture.apply(TrieId::Accounts, &[(key(1, 0x10, 0), None)]);
    assert_eq!(fixture.stored().len(), 1);
}

#[test]
fn changes_that_change_nothing_write_nothing() {
    let mut fixture = Fixture::new();
    let changes: Vec<_> = (0..20).map(|n| (key(n % 16, n, n), Some(vec![n + 1; 40]))).collect();
    fixture.apply(TrieId::Accounts, &changes);
    let snapshot = fixture.database.snapshot();
    let mut trie = Trie::open(&snapshot, TrieId::Accounts).unwrap();
    trie.apply(changes).unwrap();
    trie.apply(vec![(key(9, 99, 99), Some(vec![1])), (key(9, 99, 99), None), (key(5, 77, 77), None)]).unwrap();
    assert_eq!(trie.finish().nodes, []);
}

#[test]
fn damaged_and_missing_nodes_are_errors() {
    let mut fixture = Fixture::new();
    fixture.apply(TrieId::Accounts, &[(key(1, 0, 0), Some(vec![1; 40])), (key(2, 0, 0), Some(vec![1; 40]))]);
    let leaf_key = TrieId::Accounts.node_key(&Nibbles::from_nibbles_unchecked([1]));
    let damages = [None, Some(vec![0x80]), Some(vec![0xc2, 0x20, 1]), Some(b"garbage".to_vec()), Some(vec![])];
    for damage in damages {
        let mut batch = Batch::new();
        match damage.clone() {
            Some(row) => batch.put(Table::TrieNodes, leaf_key.clone(), row),
            None => batch.delete(Table::TrieNodes, leaf_key.clone()),
        }
        fixture.database.commit(batch).unwrap();
        let snapshot = fixture.database.snapshot();
        let mut trie = Trie::open(&snapshot, TrieId::Accounts).unwrap();
        let result = trie.apply(vec![(key(1, 1, 1), Some(vec![2; 40]))]);
        assert!(matches!(result, Err(StateError::Corrupt { .. })), "{damage:?}: {result:?}");
    }
}

#[test]
fn many_changes_at_once_equal_building_from_scratch() {
    let mut fixture = Fixture::new();
    let all: Vec<Change> =
        (0u64..400).map(|n| (keccak256(n.to_be_bytes()), Some(vec![7; 1 + n as usize % 50]))).collect();
    assert!(all.len() / 4 > PARALLEL_CHANGES_MIN);
    fixture.apply(TrieId::Accounts, &all);
    // Changed, removed, all but one subtree removed, all but one key removed, everything removed.
    fixture.apply(TrieId::Accounts, &all.iter().step_by(3).map(|(key, _)| (*key, Some(vec![9]))).collect::<Vec<_>>());
    let removed = |keep: &dyn Fn(B256) -> bool| {
        all.iter().filter(|(key, _)| !keep(*key)).map(|(key, _)| (*key, None)).collect::<Vec<Change>>()
    };
    fixture.apply(TrieId::Accounts, &removed(&|key| key[31] < 128));
    fixture.apply(TrieId::Accounts, &all);
    fixture.apply(TrieId::Accounts, &removed(&|key| key[0] >> 4 == 5));
    fixture.apply(TrieId::Accounts, &all);
    fixture.apply(TrieId::Accounts, &removed(&|key| key == all[0].0));
    fixture.apply(TrieId::Accounts, &all);
    fixture.apply(TrieId::Accounts, &removed(&|_| false));
    assert!(fixture.stored().is_empty());
}

fn change() -> impl Strategy<Value = Change> {
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
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn incremental_changes_equal_building_from_scratch(
        steps in prop::collection::vec(prop::collection::vec(change(), 1..60), 1..8)
    ) {
        let mut fixture = Fixture::new();
        for step in steps {
            fixture.apply(TrieId::Storage(B256::repeat_byte(1)), &step);
        }
    }
}
