//! What can be made again.

use crate::database::{Kind, refuse_unknown_tables};
use crate::{Database, DatabaseConfig, DirectoryLock, StorageError, options};
use rocksdb::DB;
use std::path::Path;

impl Database {
    /// Opens, or creates, a database of rows that can be made again, and keeps other processes out. A batch that is
    /// committed survives the end of the process however it ends, but does not wait for the disk: a power loss takes back
    /// the last ones, whole and in order, and nobody checks that the rest is all that there was.
    ///
    /// # Errors
    /// [`StorageError::Locked`], [`StorageError::Format`], or RocksDB's own; other than for the first, such a directory
    /// is best removed.
    pub fn open_scratch(directory: &Path, config: &DatabaseConfig) -> Result<Self, StorageError> {
        let lock = DirectoryLock::acquire(directory)?;
        let options = options::database(config);
        refuse_unknown_tables(directory, &options)?;
        let db = DB::open_cf_descriptors(&options, directory, options::tables(config))?;
        let database = Self::of(db, Kind::Scratch(lock), None);
        database.migrate(directory, &[], &mut |_| {})?;
        Ok(database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, Table};

    fn put(number: u8) -> Batch {
        let mut batch = Batch::new();
        batch.put(Table::Accounts, [number], [number; 100]);
        batch.put(Table::Storage, [number], [number; 100]);
        batch
    }

    #[test]
    fn what_a_power_loss_leaves_of_the_log_is_a_beginning_of_the_batches() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open_scratch(directory.path(), &DatabaseConfig::default()).unwrap();
        (0..100).for_each(|number| database.commit(put(number)).unwrap());
        assert!(matches!(
            Database::open_scratch(directory.path(), &DatabaseConfig::default()),
            Err(StorageError::Locked { .. })
        ));
        // As the kernel has it after a kill, and with a page in the middle that never reached the disk.
        for lost in [None, Some(3000..7096)] {
            let copy = tempfile::tempdir().unwrap();
            for entry in std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap) {
                let mut bytes = std::fs::read(entry.path()).unwrap();
                if let Some(lost) = lost.clone().filter(|_| entry.path().extension().is_some_and(|kind| kind == "log"))
                {
                    bytes[lost].fill(0);
                }
                std::fs::write(copy.path().join(entry.file_name()), bytes).unwrap();
            }
            let recovered = Database::open_scratch(copy.path(), &DatabaseConfig::default()).unwrap();
            let snapshot = recovered.snapshot();
            let keys =
                |table| -> Vec<u8> { snapshot.prefix(table, &[]).unwrap().map(|row| row.unwrap().0[0]).collect() };
            let count = if lost.is_some() { keys(Table::Accounts).len() } else { 100 };
            assert!(lost.is_none() || (1..100).contains(&count));
            assert!(keys(Table::Accounts).into_iter().eq(0..count as u8));
            assert!(keys(Table::Storage).into_iter().eq(0..count as u8));
        }
    }
}
