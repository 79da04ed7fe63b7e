//! What is recovered from files that a crash left, and what is refused because no crash leaves it.

use super::tests::{crash, open, put};
use super::*;
use std::path::PathBuf;
use tempfile::TempDir;

/// Batches of several sizes, one of them larger than the blocks of the log. Returns the files as a crash leaves them,
/// the log, and where each batch ends in it.
fn crashed() -> (TempDir, PathBuf, Vec<usize>) {
    let directory = tempfile::tempdir().unwrap();
    let database = open(directory.path()).unwrap();
    let mut ends = Vec::new();
    for (number, bytes) in [10, 40, 90_000, 5, 70_000].into_iter().enumerate() {
        let value: Vec<u8> = (0..bytes).map(|index: u32| (index % 251) as u8).collect();
        database.commit(put(Table::Bodies, &[number as u8], &value)).unwrap();
        ends.push(std::fs::read(log_of(directory.path())).unwrap().len());
    }
    let copy = crash(directory.path());
    let log = log_of(copy.path());
    (copy, log, ends)
}

fn log_of(directory: &Path) -> PathBuf {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().unwrap()
}

/// Opens a copy with another log, and counts the batches it holds.
fn recovered(directory: &Path, bytes: &[u8]) -> Result<usize, StorageError> {
    let copy = crash(directory);
    std::fs::write(log_of(copy.path()), bytes).unwrap();
    let database = open(copy.path())?;
    Ok(database.snapshot().range(Table::Bodies, &[], None)?.count())
}

#[test]
fn a_log_torn_anywhere_in_its_last_batch_recovers_without_it() {
    let (directory, log, ends) = crashed();
    let bytes = std::fs::read(log).unwrap();
    assert_eq!(recovered(directory.path(), &bytes).unwrap(), 5);
    let begin = ends[3];
    for cut in (begin..bytes.len()).step_by(4099).chain([begin + 1, begin + 6, begin + 7, bytes.len() - 1]) {
        assert_eq!(recovered(directory.path(), &bytes[..cut]).unwrap(), 4, "cut at {cut}");
    }
}

#[test]
fn pages_of_the_last_batch_that_never_reached_the_disk_are_a_torn_end() {
    let (directory, log, ends) = crashed();
    let bytes = std::fs::read(log).unwrap();
    for page in (ends[3] / 4096 + 1)..bytes.len() / 4096 {
        let mut torn = bytes.clone();
        torn[page * 4096..(page + 1) * 4096].fill(0);
        assert_eq!(recovered(directory.path(), &torn).unwrap(), 4, "page {page}");
    }
}

#[test]
fn a_changed_byte_before_an_intact_batch_is_refused() {
    let (directory, log, ends) = crashed();
    let bytes = std::fs::read(log).unwrap();
    // Closely through the first batches, whose headers give lengths that hide what follows, and some of the rest.
    for at in (0..ends[1]).step_by(3).chain((ends[1]..ends[3]).step_by(4999)) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        match recovered(directory.path(), &damaged) {
            Err(StorageError::Corrupt { path, offset, .. }) => {
                assert!(path.extension().is_some_and(|extension| extension == "log") && offset <= at as u64);
            }
            Ok(rows) => assert_eq!(rows, 5, "byte {at} changed what is read"),
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
}

#[test]
fn after_an_orderly_close_a_torn_end_is_refused_as_often_as_it_is_tried() {
    let (directory, log, _) = crashed();
    drop(open(directory.path()).unwrap());
    let database = open(directory.path()).unwrap();
    database.commit(put(Table::Bodies, b"last", b"row")).unwrap();
    drop(database);
    assert_ne!(log_of(directory.path()), log, "recovery begins a new log");
    let log = log_of(directory.path());
    let mut bytes = std::fs::read(&log).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&log, &bytes).unwrap();
    for _ in 0..2 {
        assert!(matches!(open(directory.path()), Err(StorageError::RolledBack { .. })));
    }
}

#[test]
fn damage_to_a_log_whose_batches_are_in_tables_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(directory.path()).unwrap();
    for number in 0..3 {
        database.commit(put(Table::Bodies, &[number], &[number; 100])).unwrap();
    }
    database.commit_unsynced(put(Table::Bodies, b"unsynced", b"row")).unwrap();
    let copy = crash(directory.path());
    database.sync().unwrap();
    let log = log_of(copy.path());
    // The log as it was, beside tables that have it all.
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[20] ^= 1;
    let copy = crash(directory.path());
    std::fs::write(copy.path().join(log.file_name().unwrap()), bytes).unwrap();
    let database = open(copy.path()).unwrap();
    assert_eq!(database.snapshot().range(Table::Bodies, &[], None).unwrap().count(), 4);
}

#[test]
fn a_database_whose_files_vanished_is_not_taken_for_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    // In a table, because RocksDB would find it in a log without the file.
    open(directory.path()).unwrap().commit_unsynced(put(Table::Code, b"hash", b"code")).unwrap();
    std::fs::remove_file(directory.path().join(CURRENT_FILE)).unwrap();
    for _ in 0..2 {
        assert!(open(directory.path()).is_err());
    }
}
