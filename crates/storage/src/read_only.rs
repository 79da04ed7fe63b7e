//! Looking into a database that another process may own.

use crate::database::{Kind, open_files_read_only, refuse_unknown_tables};
use crate::{Database, DatabaseConfig, StorageError, manifest, options};
use std::path::Path;

/// How often the owner may change its list of files while they are opened.
const TRIES: usize = 100;

impl Database {
    /// Opens the database in `directory` as it is now, to be read only, although another process may own it and write to
    /// it: what that one commits later is not seen, and it is not held up. Nothing is written to the directory. What the
    /// owner committed without logging it, and has not flushed, is not there yet. Every file is kept open, whatever
    /// [`DatabaseConfig::open_files_max`] says, because the owner may remove it.
    ///
    /// # Errors
    /// [`StorageError::Format`] for a database of another version; [`StorageError::Busy`] when the owner rewrites the files
    /// faster than they can be opened; RocksDB's own, and that for every write later.
    pub fn open_read_only(directory: &Path, config: &DatabaseConfig) -> Result<Self, StorageError> {
        let mut result = open_once(directory, config);
        for _ in 1..TRIES {
            match result {
                // A file went away.
                Ok(None) | Err(StorageError::Engine(_)) => result = open_once(directory, config),
                _ => break,
            }
        }
        let database = result?.ok_or_else(|| StorageError::Busy { directory: directory.to_owned() })?;
        database.check_format()?;
        Ok(database)
    }
}

/// `None` when the owner changed its list of files meanwhile. Rows that it moved from the log to a table, and so to a
/// file that we do not know of, would be missing without anybody saying so.
fn open_once(directory: &Path, config: &DatabaseConfig) -> Result<Option<Database>, StorageError> {
    let mut options = options::database(config);
    options.create_if_missing(false);
    options.set_max_open_files(-1);
    let list = manifest::in_use_with_length(directory)?;
    refuse_unknown_tables(directory, &options)?;
    let db = open_files_read_only(directory, &options, config)?;
    let is_same = manifest::in_use_with_length(directory)? == list;
    Ok(is_same.then(|| Database::of(db, Kind::Transient, None)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, Table};
    use std::sync::atomic::{AtomicBool, Ordering};

    fn batch(number: u64) -> Batch {
        let mut batch = Batch::new();
        for table in [Table::Meta, Table::Accounts, Table::Storage] {
            batch.put(table, b"number", number.to_be_bytes());
            // Different keys, so that files have something to be merged for.
            batch.put(table, (number % 1000).to_be_bytes(), [number as u8; 500]);
        }
        batch
    }

    fn files(directory: &Path) -> Vec<(std::ffi::OsString, std::time::SystemTime, u64)> {
        let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
        let mut files: Vec<_> = entries
            .map(|entry| {
                let metadata = entry.metadata().unwrap();
                (entry.file_name(), metadata.modified().unwrap(), metadata.len())
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_reader_sees_one_moment_of_what_the_owner_writes_and_keeps_it() {
        let directory = tempfile::tempdir().unwrap();
        // Memory so small that files come and go all the time.
        let config = DatabaseConfig { block_cache_bytes: 1 << 20, write_buffer_bytes: 512 << 10, open_files_max: 64 };
        let owner = Database::open(directory.path(), &config).unwrap();
        let is_done = AtomicBool::new(false);
        owner.commit(batch(0)).unwrap();
        let number = |database: &Database, table| {
            u64::from_be_bytes(database.snapshot().get(table, b"number").unwrap().unwrap().try_into().unwrap())
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // As many as there is time for, and some if the reader fails.
                for round in 1..5000 {
                    owner.commit(batch(round)).unwrap();
                    if round.is_multiple_of(50) {
                        owner.compact(Table::Storage).unwrap();
                    }
                    if is_done.load(Ordering::Acquire) {
                        break;
                    }
                }
            });
            let mut last = 0;
            for _ in 0..10 {
                // This owner may be too busy for as many tries as there are; it is not for ever.
                let reader = std::iter::repeat_with(|| Database::open_read_only(directory.path(), &config));
                let reader = reader.flatten().next().unwrap();
                let seen = number(&reader, Table::Meta);
                assert!(seen >= last);
                last = seen;
                for _ in 0..3 {
                    for table in [Table::Accounts, Table::Storage] {
                        assert_eq!(number(&reader, table), seen);
                        let rows = reader.snapshot();
                        assert!(rows.prefix(table, &[]).unwrap().all(|row| row.is_ok()));
                    }
                }
            }
            is_done.store(true, Ordering::Release);
        });
        let last = number(&owner, Table::Meta);
        drop(owner);
        let before = files(directory.path());
        let reader = Database::open_read_only(directory.path(), &config).unwrap();
        assert_eq!(number(&reader, Table::Meta), last);
        assert!(matches!(reader.commit(batch(1)), Err(StorageError::Engine(_))));
        drop(reader);
        assert_eq!(files(directory.path()), before, "nothing was written");
    }

    #[test]
    fn there_must_be_a_database_of_this_format() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Database::open_read_only(directory.path(), &DatabaseConfig::default());
        assert!(open().is_err());
        assert_eq!(files(directory.path()), []);
        let owner = Database::open(directory.path(), &DatabaseConfig::default()).unwrap();
        let mut batch = Batch::new();
        batch.put(Table::Meta, crate::META_FORMAT_KEY, 1u32.to_be_bytes());
        owner.commit(batch).unwrap();
        let error = open().unwrap_err();
        assert!(matches!(error, StorageError::Format { .. }), "{error}");
    }
}
