//! Whether RocksDB's list of its files is as long as it was.
//!
//! RocksDB reads a list (`MANIFEST-<number>`) that ends early as a shorter one, and removes the files that it then
//! misses. So what it holds is noted, and compared before RocksDB looks at it. RocksDB only appends to a list, and
//! begins another one each time the database is opened.

use crate::StorageError;
use crate::durable::{CRC, replace_file};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Where the note stands.
const FILE_NAME: &str = "heddle.manifest";
/// RocksDB's file that names the list in use.
const CURRENT_FILE: &str = "CURRENT";

/// A note: length of the list (8) | CRC-32C of its content (4) | its name | CRC-32C of all this (4), little-endian.
pub(crate) fn note(directory: &Path) -> Result<(), StorageError> {
    let Some(path) = in_use(directory)? else { return Ok(()) };
    let mut content = Vec::new();
    let mut list = File::open(&path).map_err(StorageError::io("open", &path))?;
    list.read_to_end(&mut content).map_err(StorageError::io("read", &path))?;
    // RocksDB may be appending: what is noted must not get lost where the note does not.
    list.sync_data().map_err(StorageError::io("sync", &path))?;
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let note = [&(content.len() as u64).to_le_bytes()[..], &CRC.checksum(&content).to_le_bytes(), name].concat();
    let note = [&note[..], &CRC.checksum(&note).to_le_bytes()].concat();
    replace_file(&directory.join(FILE_NAME), &note).map(drop)
}

/// Refuses a list that lacks, or has otherwise, what was noted. A list that was never noted passes.
pub(crate) fn check(directory: &Path) -> Result<(), StorageError> {
    let note_path = directory.join(FILE_NAME);
    let note = match std::fs::read(&note_path) {
        Ok(note) => note,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(StorageError::io("read", &note_path)(source)),
    };
    let corrupt = |path: &Path, reason| StorageError::Corrupt { path: path.to_owned(), offset: 0, reason };
    let damaged = || corrupt(&note_path, "its checksum does not match");
    let (note, checksum) = note.split_last_chunk::<4>().ok_or_else(damaged)?;
    if CRC.checksum(note).to_le_bytes() != *checksum {
        return Err(damaged());
    }
    let (length, note) = note.split_first_chunk::<8>().ok_or_else(damaged)?;
    let (checksum, name) = note.split_first_chunk::<4>().ok_or_else(damaged)?;
    let path = match in_use(directory)? {
        Some(path) if path.file_name().unwrap_or_default().as_encoded_bytes() == name => path,
        _ => return Ok(()),
    };
    let mut content = Vec::new();
    let list = File::open(&path).map_err(StorageError::io("open", &path))?;
    list.take(u64::from_le_bytes(*length)).read_to_end(&mut content).map_err(StorageError::io("read", &path))?;
    match CRC.checksum(&content).to_le_bytes() == *checksum {
        true => Ok(()),
        false => Err(corrupt(&path, "it lacks what it held before, or has it otherwise")),
    }
}

/// The list in use and its length in bytes, which grows with every change; `None` when there is no database.
pub(crate) fn in_use_with_length(directory: &Path) -> Result<Option<(PathBuf, u64)>, StorageError> {
    let Some(path) = in_use(directory)? else { return Ok(None) };
    match std::fs::metadata(&path) {
        Ok(metadata) => Ok(Some((path, metadata.len()))),
        // Another one took its place.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some((path, 0))),
        Err(source) => Err(StorageError::io("look at", &path)(source)),
    }
}

/// The list in use; `None` when there is no database.
fn in_use(directory: &Path) -> Result<Option<PathBuf>, StorageError> {
    let path = directory.join(CURRENT_FILE);
    match std::fs::read_to_string(&path) {
        Ok(name) => Ok(Some(directory.join(name.trim_end()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        // Not text: RocksDB refuses it.
        Err(error) if error.kind() == ErrorKind::InvalidData => Ok(None),
        Err(source) => Err(StorageError::io("read", &path)(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, Database, DatabaseConfig, Table};

    #[test]
    fn every_damaged_byte_and_every_truncation_is_found() {
        let scratch = tempfile::tempdir().unwrap();
        let open = || Database::open(scratch.path(), &DatabaseConfig::default());
        let mut batch = Batch::default();
        batch.put(Table::Code, b"key", b"value");
        open().unwrap().commit_unsynced(&batch).unwrap();
        check(scratch.path()).unwrap();

        let path = in_use(scratch.path()).unwrap().unwrap();
        let good = std::fs::read(&path).unwrap();
        for index in 0..good.len() {
            let mut flipped = good.clone();
            flipped[index] ^= 0x10;
            for damaged in [&flipped[..], &good[..index]] {
                std::fs::write(&path, damaged).unwrap();
                let error = check(scratch.path()).unwrap_err();
                assert!(matches!(&error, StorageError::Corrupt { path: named, .. } if *named == path), "{error}");
            }
        }
        let error = open().unwrap_err();
        assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
        std::fs::write(&path, &good).unwrap();
        assert_eq!(open().unwrap().get(Table::Code, b"key").unwrap().as_deref(), Some(&b"value"[..]));
    }

    #[test]
    fn a_damaged_note_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        drop(Database::open(scratch.path(), &DatabaseConfig::default()).unwrap());
        let path = scratch.path().join(FILE_NAME);
        let good = std::fs::read(&path).unwrap();
        for index in 0..good.len() {
            std::fs::write(&path, &good[..index]).unwrap();
            assert!(matches!(check(scratch.path()), Err(StorageError::Corrupt { .. })), "length {index}");
        }
        std::fs::remove_file(&path).unwrap();
        check(scratch.path()).unwrap();
    }
}
