//! Rows in bulk: sorted files that become part of a table as they are, past the log and the memory.

use crate::{Database, StorageError, Table, options};
use rocksdb::{Options, SstFileWriter};
use self_cell::self_cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// From how many bytes of keys and values on a file is closed and the next one begun.
const FILE_BYTES: usize = if cfg!(test) { 4096 } else { 64 * 1024 * 1024 };

self_cell!(
    /// A file that is being written, with the options that it borrows.
    struct OpenFile {
        owner: Options,
        #[covariant]
        dependent: SstFileWriter,
    }
);

/// Writes rows of a table, in the order of their keys, to files, and adds these to the database at the end; what is not
/// added is removed. Several may write rows of the same table at once.
pub struct SstWriter {
    database: Database,
    table: Table,
    directory: PathBuf,
    files: Vec<PathBuf>,
    current: Option<OpenFile>,
    bytes: usize,
    last: Vec<u8>,
}

impl SstWriter {
    /// A writer with its files in a directory that exists, best on the file system of the database: then they are moved,
    /// not copied.
    pub fn new(database: &Database, table: Table, directory: &Path) -> Self {
        let (database, directory) = (database.clone(), directory.to_owned());
        Self { database, table, directory, files: Vec::new(), current: None, bytes: 0, last: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`StorageError::Unsorted`] for a key that is not greater than the last; the disk's.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
        if !self.files.is_empty() && key <= &self.last[..] {
            return Err(StorageError::Unsorted { table: self.table });
        }
        let mut file = match self.current.take() {
            Some(file) => file,
            None => self.open()?,
        };
        file.with_dependent_mut(|_, writer| writer.put(key, value))?;
        self.current = Some(file);
        self.bytes += key.len() + value.len();
        self.last.clear();
        self.last.extend_from_slice(key);
        if self.bytes >= FILE_BYTES { self.complete() } else { Ok(()) }
    }

    /// Takes over the rows of another writer of the same table, to be added together with its own. No key of either may
    /// lie between keys of the other.
    ///
    /// # Errors
    /// The disk's.
    pub fn append(&mut self, mut other: Self) -> Result<(), StorageError> {
        self.complete()?;
        other.complete()?;
        self.files.append(&mut other.files);
        self.last = std::mem::take(&mut other.last).max(std::mem::take(&mut self.last));
        Ok(())
    }

    /// Completes the file that is being written: what takes time of adding it.
    ///
    /// # Errors
    /// The disk's.
    pub fn complete(&mut self) -> Result<(), StorageError> {
        let Some(mut file) = self.current.take() else { return Ok(()) };
        Ok(file.with_dependent_mut(|_, writer| writer.finish())?)
    }

    /// Makes the rows part of the table, durably and all at once.
    ///
    /// # Errors
    /// The disk's.
    pub fn ingest(mut self) -> Result<(), StorageError> {
        self.complete()?;
        match self.files.is_empty() {
            true => Ok(()),
            false => self.database.ingest_files(self.table, self.files.iter().map(PathBuf::as_path).collect()),
        }
    }

    fn open(&mut self) -> Result<OpenFile, StorageError> {
        let inner = &self.database.inner;
        let number = inner.files.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("{}-{number}.sst", self.table.name()));
        let options = options::files(self.table, inner.memory.as_ref());
        let file = OpenFile::new(options, |options| SstFileWriter::create(options));
        file.with_dependent(|_, writer| writer.open(&path))?;
        self.files.push(path);
        self.bytes = 0;
        Ok(file)
    }
}

impl Drop for SstWriter {
    /// Files that were added have moved, or were copied.
    fn drop(&mut self) {
        self.current = None;
        for file in &self.files {
            // Nobody is left to be told of an error, and the next writer overwrites it.
            let _ = std::fs::remove_file(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, DatabaseConfig};

    fn key(number: u32) -> [u8; 4] {
        number.to_be_bytes()
    }

    fn write(database: &Database, scratch: &Path, numbers: impl Iterator<Item = u32>) -> SstWriter {
        let mut writer = SstWriter::new(database, Table::Storage, scratch);
        numbers.for_each(|number| writer.put(&key(number), &[number as u8; 40]).unwrap());
        writer
    }

    fn rows(database: &Database) -> Vec<u32> {
        let snapshot = database.snapshot();
        let rows = snapshot.prefix(Table::Storage, &[]).unwrap().map(Result::unwrap);
        rows.map(|(key, value)| {
            let number = u32::from_be_bytes(key.try_into().unwrap());
            assert_eq!(value, [number as u8; 40]);
            number
        })
        .collect()
    }

    #[test]
    fn ingested_rows_join_others_win_over_earlier_ones_and_survive_reopening() {
        let directory = tempfile::tempdir().unwrap();
        let scratch = tempfile::tempdir().unwrap();
        for database in [
            Database::open(directory.path(), &DatabaseConfig::default()).unwrap(),
            Database::open_in_memory(&DatabaseConfig::default()).unwrap(),
        ] {
            let mut batch = Batch::new();
            (400..500u32).for_each(|number| batch.put(Table::Storage, key(number), b"replaced"));
            batch.put(Table::Storage, key(9999), [9999u32 as u8; 40]);
            database.commit_unsynced(batch).unwrap();
            let snapshot = database.snapshot();
            let (odd, even) = (|n: &u32| n % 2 == 1, |n: &u32| n.is_multiple_of(2));
            // Two at once, with keys between each other's.
            let first = write(&database, scratch.path(), (0..1000).filter(odd));
            let second = write(&database, scratch.path(), (0..1000).filter(even));
            first.ingest().unwrap();
            second.ingest().unwrap();
            // And one behind the other.
            let mut first = write(&database, scratch.path(), 0..300);
            first.append(write(&database, scratch.path(), 300..1000)).unwrap();
            assert!(first.put(&key(999), b"").is_err());
            first.ingest().unwrap();
            assert!(rows(&database).into_iter().eq((0..1000).chain([9999])));
            assert_eq!(snapshot.prefix(Table::Storage, &[]).unwrap().count(), 101, "a snapshot stays as it is");
        }
        let database = Database::open(directory.path(), &DatabaseConfig::default()).unwrap();
        assert!(rows(&database).into_iter().eq((0..1000).chain([9999])));
        database.wipe(Table::Storage).unwrap();
        assert!(rows(&database).is_empty());
        write(&database, scratch.path(), 5..9).ingest().unwrap();
        drop(database);
        let database = Database::open(directory.path(), &DatabaseConfig::default()).unwrap();
        assert_eq!(rows(&database), [5, 6, 7, 8]);
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn rows_out_of_order_are_refused_and_what_is_not_ingested_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let database = Database::open(directory.path(), &DatabaseConfig::default()).unwrap();
        let mut writer = write(&database, scratch.path(), 0..300);
        for number in [299, 5] {
            let error = writer.put(&key(number), b"value").unwrap_err();
            assert!(matches!(error, StorageError::Unsorted { table: Table::Storage }), "{error}");
        }
        drop(writer);
        assert!(rows(&database).is_empty());
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
        write(&database, scratch.path(), 0..0).ingest().unwrap();
    }
}
