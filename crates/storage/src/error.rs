//! What can go wrong with storage. None of it is a peer's fault.

use crate::Table;
use std::path::{Path, PathBuf};

/// Why storage did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The operator's: another process owns the directory or the file.
    #[error("{} is in use by another process{}", path.display(), owner(*pid))]
    Locked {
        /// The directory or the file.
        path: PathBuf,
        /// The other process, if it could be read.
        pid: Option<u32>,
    },
    /// Nobody's: another process changed the files every time they were opened.
    #[error("database {} changes faster than it can be opened: try again", directory.display())]
    Busy {
        /// The database's directory.
        directory: PathBuf,
    },
    /// The operator's: the database was written by another version of this program.
    #[error(
        "database {} has format {found}, but this version reads format {supported}: use the version that wrote it, or another directory",
        directory.display()
    )]
    Format {
        /// The database's directory.
        directory: PathBuf,
        /// The format found, or what stands in its place.
        found: String,
        /// The format that this version reads and writes.
        supported: u32,
    },
    /// The disk's, or ours: rewriting an older database failed; it can be tried again.
    #[error("cannot bring database {} from format {from} to {}: {source}", directory.display(), from + 1)]
    Migration {
        /// The database's directory.
        directory: PathBuf,
        /// The format that it still has.
        from: u32,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync + 'static>,
    },
    /// The disk's: writes that were there when the database was last closed are gone.
    #[error(
        "database {} ends at write {found}, but was closed after write {expected}: its files are damaged or missing, restore them from a copy or sync anew",
        directory.display()
    )]
    RolledBack {
        /// The database's directory.
        directory: PathBuf,
        /// Sequence number of the last write found.
        found: u64,
        /// Sequence number of the last write when it was closed.
        expected: u64,
    },
    /// The system's: a file operation failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system's or the disk's: RocksDB failed.
    #[error("database: {0}")]
    Engine(#[from] rocksdb::Error),
    /// Ours: rows for a file were not given in the order of their keys.
    #[error("rows of table {} are written out of order", table.name())]
    Unsorted {
        /// The table.
        table: Table,
    },
    /// Ours: a table was not opened with the database.
    #[error("database: table {0} is not open")]
    UnknownTable(&'static str),
    /// The disk's: a file does not hold what was written to it.
    #[error("{} is corrupt at byte {offset}: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the damage starts.
        offset: u64,
        /// What does not check.
        reason: &'static str,
    },
    /// The caller's: a record or file would exceed its bound.
    #[error("{what} of {bytes} bytes is larger than {bytes_max} bytes")]
    TooLarge {
        /// What was to be written.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The bound.
        bytes_max: u64,
    },
}

impl StorageError {
    /// For `map_err`: adds what was tried and on which file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

fn owner(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}
