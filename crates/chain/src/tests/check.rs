//! Damage of any kind to a database is found: bits of rows, and bytes of files.

use super::fixture::{LOGGER, SPEAKER};
use super::membership::{World, administered, genesis};
use crate::{Chain, ChainConfig};
use alloy_primitives::{Address, B256, U256};
use heddle_storage::{Batch, Database, DatabaseConfig, Table};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use std::path::Path;

const EPOCH_LENGTH: u64 = 3;

pub(super) type Rows = Vec<(Table, Vec<u8>, Vec<u8>)>;

pub(super) fn rows(database: &Database) -> Rows {
    let snapshot = database.snapshot();
    let rows = |table| snapshot.scan(table, &[]).unwrap().map(move |row| row.map(|(key, value)| (table, key, value)));
    Table::ALL.into_iter().flat_map(rows).map(Result::unwrap).collect()
}

/// Six blocks with transfers, contracts that store and log, code and history; one convicts a validator, and evidence
/// against another waits.
fn populated() -> World {
    let world = World::start(administered(), EPOCH_LENGTH);
    world.chain.inner.log_indexer.restart(3, 100);
    for n in 0..6u64 {
        let storing = U256::from(n + 1).to_be_bytes::<32>();
        world.extend(vec![
            world.transaction(Address::repeat_byte(0x40 + n as u8), U256::from(1 + n), []),
            world.transaction(LOGGER, U256::ZERO, storing),
            world.transaction(SPEAKER, U256::ZERO, []),
        ]);
        if n == 0 {
            assert!(world.chain.add_evidence(world.equivocation(2, 1)).unwrap());
        }
    }
    assert!(world.chain.add_evidence(world.equivocation(3, 1)).unwrap());
    while !world.chain.index_logs().unwrap() {}
    world
}

/// What a tool sees: the first error, or what the check finds.
pub(super) fn problems(database: Database, epoch_length: u64) -> Vec<String> {
    let chain = match Chain::open(genesis(administered(), epoch_length), database, ChainConfig::default()) {
        Ok(chain) => chain,
        Err(error) => return vec![error.to_string()],
    };
    match chain.check(&mut |_| {}) {
        Ok(findings) => findings.first().iter().map(ToString::to_string).collect(),
        Err(error) => vec![error.to_string()],
    }
}

pub(super) fn in_memory(rows: &Rows) -> Database {
    let database = Database::open_in_memory(&DatabaseConfig::default()).unwrap();
    let mut batch = Batch::new();
    batch.delete_range(Table::Meta, [], [0xff]);
    rows.iter().for_each(|(table, key, value)| batch.put(*table, key.clone(), value.clone()));
    database.commit(batch).unwrap();
    database
}

#[test]
fn a_sound_database_has_no_findings() {
    let world = populated();
    let mut tables = Vec::new();
    let findings = world.chain.check(&mut |progress| tables.push(progress.table)).unwrap();
    assert_eq!(findings.first(), []);
    assert!(tables.contains(&Table::TransactionLookup));
    let all = rows(&world.database);
    let has_rows = |table: &Table| all.iter().any(|row| row.0 == *table);
    assert!(Table::ALL.iter().all(has_rows), "each table has rows to damage");
}

#[test]
fn each_of_400_flipped_bits_of_rows_is_found() {
    let whole = rows(&populated().database);
    let mut rng = StdRng::seed_from_u64(3);
    for round in 0..400 {
        // Tables in turn: most rows are of few tables.
        let table = Table::ALL[round % Table::ALL.len()];
        let of_table: Vec<_> = (0..whole.len()).filter(|row| whole[*row].0 == table).collect();
        let row = *of_table.choose(&mut rng).unwrap();
        let mut damaged = whole.clone();
        let (_, key, value) = &mut damaged[row];
        let bytes = if rng.random_bool(0.4) || value.is_empty() { key } else { value };
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << rng.random_range(0..8);
        let name = format!(
            "row {:?} of {table:?} at byte {at}",
            B256::right_padding_from(&whole[row].1[..whole[row].1.len().min(32)])
        );
        assert!(!problems(in_memory(&damaged), EPOCH_LENGTH).is_empty(), "{name}");
    }
}

/// Flips one bit of each of many files' bytes in a database that was closed, with data in tables and in the log.
#[test]
fn each_of_100_flipped_bits_of_files_is_found_or_changes_nothing() {
    let whole = rows(&populated().database);
    let directory = tempfile::tempdir().unwrap();
    {
        let database = Database::open(directory.path(), &DatabaseConfig::default()).unwrap();
        let (flushed, logged): (Rows, Rows) = whole.iter().cloned().enumerate().fold(
            (Rows::new(), Rows::new()),
            |(mut flushed, mut logged), (index, row)| {
                if index % 2 == 0 {
                    flushed.push(row)
                } else {
                    logged.push(row)
                }
                (flushed, logged)
            },
        );
        for (rows, is_synced) in [(flushed, false), (logged, true)] {
            let mut batch = Batch::new();
            rows.into_iter().for_each(|(table, key, value)| batch.put(table, key, value));
            if is_synced {
                database.commit(batch).unwrap()
            } else {
                database.commit_unsynced(batch).unwrap()
            }
            database.sync().unwrap();
        }
    }
    let mut rng = StdRng::seed_from_u64(4);
    let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap()).collect();
    // The lock, RocksDB's messages and a copy of its options are read by nobody.
    let is_data = |name: &str| !["LOG", "OPTIONS", "IDENTITY", "heddle.lock"].iter().any(|dead| name.starts_with(dead));
    let mut data: Vec<(std::path::PathBuf, u64)> = files
        .iter()
        .filter(|file| is_data(file.file_name().to_str().unwrap()))
        .map(|file| (file.path(), file.metadata().unwrap().len()))
        .filter(|(_, bytes)| *bytes > 0)
        .collect();
    data.sort();
    let (mut found, mut harmless) = (0, 0);
    for _ in 0..100 {
        let (path, bytes) = data.choose(&mut rng).unwrap();
        let at = rng.random_range(0..*bytes);
        let copy = tempfile::tempdir().unwrap();
        copy_files(directory.path(), copy.path());
        let path = copy.path().join(path.file_name().unwrap());
        let mut content = std::fs::read(&path).unwrap();
        content[at as usize] ^= 1 << rng.random_range(0..8);
        std::fs::write(&path, content).unwrap();
        let is_found = match Database::open(copy.path(), &DatabaseConfig::default()) {
            Err(_) => true,
            Ok(database) => !problems(database, EPOCH_LENGTH).is_empty(),
        };
        if is_found {
            found += 1;
            continue;
        }
        harmless += 1;
        let database = Database::open(copy.path(), &DatabaseConfig::default()).unwrap();
        assert_eq!(rows(&database), whole, "{path:?} at byte {at}");
    }
    println!("{found} found, {harmless} changed nothing");
    assert!(found > 60, "{found} found, {harmless} changed nothing");
}

fn copy_files(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
