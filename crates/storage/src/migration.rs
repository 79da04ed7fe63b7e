//! From one format to the next.

use crate::{Batch, Database, DatabaseConfig, StorageError, Table};
use std::error::Error;
use std::path::Path;

/// Raised whenever the meaning of a row changes. 1: state by plain addresses and slots. 2: by their hashes.
pub(crate) const FORMAT: u32 = 2;
/// Row of [`Table::Meta`] that holds the format, 4 bytes big-endian.
pub const META_FORMAT_KEY: &[u8] = b"storage.format";

/// How far a migration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigrationProgress {
    /// The format that is left behind.
    pub from: u32,
    /// The table being rewritten.
    pub table: Table,
    /// Rows of that table done.
    pub rows_done: u64,
    /// About how many rows it has.
    pub rows_estimate: u64,
}

/// Told about progress, after every batch.
pub type MigrationObserver<'a> = &'a mut dyn FnMut(MigrationProgress);

/// Rewrites the rows of one format to those of the next. It commits batches of its own, must be able to go on where a
/// kill between two of them left it, and returns the last one, which is committed together with the new format.
pub type MigrationStep = fn(&Database, MigrationObserver<'_>) -> Result<Batch, Box<dyn Error + Send + Sync + 'static>>;

/// A way from a format to the next; given by who knows what the rows mean.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The format that it reads.
    pub from: u32,
    /// What it does.
    pub step: MigrationStep,
}

impl Database {
    /// Opens like [`Self::open`], and brings an older database to the format of this version. A kill at any point costs
    /// no more than the work since the last batch.
    ///
    /// # Errors
    /// As [`Self::open`]; [`StorageError::Format`] also when no migration leads on, [`StorageError::Migration`] when
    /// one fails.
    pub fn open_migrating(
        directory: &Path,
        config: &DatabaseConfig,
        migrations: &[Migration],
        observer: MigrationObserver<'_>,
    ) -> Result<Self, StorageError> {
        let database = Self::open_files(directory, config)?;
        database.migrate(directory, migrations, observer)?;
        Ok(database)
    }

    /// Checks that the row with the format is as opening left it.
    ///
    /// # Errors
    /// [`StorageError::Format`] when it is not.
    pub fn check_format(&self) -> Result<(), StorageError> {
        let found = match self.get(Table::Meta, META_FORMAT_KEY)? {
            Some(row) if row == FORMAT.to_be_bytes() => return Ok(()),
            Some(row) => {
                row.try_into().map_or("of an unknown kind".to_owned(), |row| u32::from_be_bytes(row).to_string())
            }
            None => "that is not recorded".to_owned(),
        };
        Err(StorageError::Format { directory: self.inner.db.path().to_owned(), found, supported: FORMAT })
    }

    /// Writes the format to an empty database; otherwise brings it to ours.
    pub(crate) fn migrate(
        &self,
        directory: &Path,
        migrations: &[Migration],
        observer: MigrationObserver<'_>,
    ) -> Result<(), StorageError> {
        let refuse = |found: String| StorageError::Format { directory: directory.to_owned(), found, supported: FORMAT };
        let Some(row) = self.get(Table::Meta, META_FORMAT_KEY)? else {
            if self.snapshot().has_rows()? {
                return Err(refuse("that is not recorded".to_owned()));
            }
            return self.commit_format(FORMAT, Batch::new());
        };
        let format = row.try_into().map_err(|_| refuse("of an unknown kind".to_owned()))?;
        let mut format = u32::from_be_bytes(format);
        while format != FORMAT {
            let migration = migrations.iter().find(|migration| migration.from == format && format < FORMAT);
            let migration = migration.ok_or_else(|| refuse(format.to_string()))?;
            let last = (migration.step)(self, &mut *observer).map_err(|source| StorageError::Migration {
                directory: directory.to_owned(),
                from: format,
                source,
            })?;
            format += 1;
            self.commit_format(format, last)?;
        }
        Ok(())
    }

    fn commit_format(&self, format: u32, mut batch: Batch) -> Result<(), StorageError> {
        batch.put(Table::Meta, META_FORMAT_KEY, format.to_be_bytes());
        self.commit(batch)
    }
}
