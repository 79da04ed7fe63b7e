#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
//! A database as version 1 wrote it, made from one of this version, must become that one again.

use super::*;
use crate::tests::{Chain, any_history};
use heddle_storage::DatabaseConfig;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

/// Storage's own row with the format.
const FORMAT_KEY: &[u8] = b"storage.format";

type Rows = BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>;

fn config() -> DatabaseConfig {
    DatabaseConfig { block_cache_bytes: 1 << 20, ..DatabaseConfig::default() }
}

fn rows(database: &Database) -> Rows {
    let snapshot = database.snapshot();
    let rows = |table| snapshot.scan(table, &[]).unwrap().map(Result::unwrap).collect();
    Table::ALL.into_iter().map(|table| (table, rows(table))).collect()
}

/// A random state of several blocks.
fn chain() -> Chain {
    let mut chain = Chain::new();
    let mut runner = TestRunner::deterministic();
    let histories = any_history();
    for changes in (0..2).flat_map(|_| histories.new_tree(&mut runner).unwrap().current()).collect::<Vec<_>>() {
        chain.commit(&changes);
    }
    chain
}

/// Writes what version 1 had for the same chain.
fn write_old(chain: &Chain, directory: &Path) {
    let mut preimages = BTreeMap::new();
    for (address, slots) in chain.keys() {
        preimages.insert(keccak256(address).to_vec(), address.to_vec());
        let slots = slots.into_iter().map(|slot| (hash_slot(slot).to_vec(), slot.to_be_bytes::<32>().to_vec()));
        preimages.extend(slots);
    }
    let old_key = |key: &[u8]| {
        let (hashes, number) = key.split_at(key.len() / 32 * 32);
        let old = hashes.chunks(32).map(|hash| preimages[hash].clone()).collect::<Vec<_>>().concat();
        [&old[..], number].concat()
    };
    let mut batch = Batch::new();
    for (table, rows) in rows(&chain.database) {
        for (key, value) in rows {
            match table {
                Table::Accounts | Table::Storage | Table::AccountHistory | Table::StorageHistory => {
                    batch.put(table, old_key(&key), value);
                }
                Table::ChangeSets => batch.put(table, key, old_change_set(&value, &old_key)),
                Table::Meta if key == ROOT_KEY => {}
                Table::TrieNodes => batch.put(table, [&key[..], &[1]].concat(), "an old node"),
                _ => batch.put(table, key, value),
            }
        }
    }
    batch.put(Table::TrieNodes, [0], root_node(chain));
    batch.put(Table::Meta, FORMAT_KEY, 1u32.to_be_bytes());
    Database::open(directory, &config()).unwrap().commit(batch).unwrap();
}

/// The topmost node, by whose hash version 1 knew the state root.
fn root_node(chain: &Chain) -> Vec<u8> {
    let view = chain.store.view().unwrap();
    view.proof(Address::ZERO, &[], &crate::ProofLimits::default()).unwrap().proof[0].to_vec()
}

/// In the order of the addresses and slots, as it was.
fn old_change_set(row: &[u8], old_key: &dyn Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let set: ChangeSet = alloy_rlp::decode_exact(row).unwrap();
    let mut old = BTreeMap::new();
    for changed in set.accounts {
        let mut slots: Vec<_> = changed.slots.iter().map(|slot| U256::from_be_slice(&old_key(slot.as_ref()))).collect();
        slots.sort_unstable();
        old.insert(old_key(changed.account.as_ref()), slots);
    }
    #[derive(alloy_rlp::RlpEncodable)]
    struct OldChange {
        address: Address,
        slots: Vec<U256>,
    }
    let old = old.into_iter().map(|(address, slots)| OldChange { address: Address::from_slice(&address), slots });
    alloy_rlp::encode(old.collect::<Vec<_>>())
}

fn copy(directory: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(directory).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

#[test]
fn an_old_database_becomes_the_new_one_from_wherever_it_was_killed() {
    let chain = chain();
    let expected = rows(&chain.database);
    let directory = tempfile::tempdir().unwrap();
    write_old(&chain, directory.path());
    let refused = Database::open(directory.path(), &config()).unwrap_err().to_string();
    assert!(refused.contains("format 1"), "{refused}");

    let (mut killed, mut tables) = (Vec::new(), Vec::new());
    for stop in 0.. {
        let at_stop = copy(directory.path());
        let mut batches = 0;
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            Database::open_migrating(at_stop.path(), &config(), &[HASHED_KEYS], &mut |progress| {
                tables.push(progress.table);
                assert!(batches < stop, "killed");
                batches += 1;
            })
        }));
        let is_whole = result.is_ok();
        drop(result);
        killed.push(at_stop);
        if is_whole {
            break;
        }
    }
    assert!(killed.len() > 8, "{} stops", killed.len());
    for at_stop in killed {
        let database = Database::open_migrating(at_stop.path(), &config(), &[HASHED_KEYS], &mut |_| {}).unwrap();
        assert_eq!(rows(&database), expected);
    }
    assert!(PARTS.iter().all(|(table, _)| tables.contains(table)));
}

#[test]
fn what_contradicts_the_old_roots_is_refused() {
    let chain = chain();
    let directory = tempfile::tempdir().unwrap();
    write_old(&chain, directory.path());
    {
        // A balance of another state.
        let database =
            Database::open_migrating(directory.path(), &config(), &[Migration { from: 1, step: damage }], &mut |_| {});
        assert!(database.is_err());
    }
    let error = Database::open_migrating(directory.path(), &config(), &[HASHED_KEYS], &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("state root"), "{error}");
}

fn damage(database: &Database, _: MigrationObserver<'_>) -> Result<Batch, Box<dyn Error + Send + Sync + 'static>> {
    let (key, row) = database.snapshot().seek(Table::Accounts, &[])?.unwrap();
    let mut account = decode_account(Table::Accounts, &key, &row)?;
    account.balance += U256::from(1);
    let mut batch = Batch::new();
    batch.put(Table::Accounts, key, alloy_rlp::encode(account));
    database.commit(batch)?;
    Err("only damaged".into())
}
