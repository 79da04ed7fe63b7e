//! How far a database had come when it was last closed.
//!
//! RocksDB reads the end of its files as a crash may have left it: a damaged last entry is no entry. After an orderly
//! close nothing was being written, so a database that ends before that point lost something.

use crate::StorageError;
use crate::durable::{CRC, replace_file};
use std::path::Path;

const FILE_NAME: &str = "heddle.sequence";

/// The sequence number that the database must reach; 0 when it was never closed in order.
pub(crate) fn read(directory: &Path) -> Result<u64, StorageError> {
    let path = directory.join(FILE_NAME);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(source) => return Err(StorageError::io("read", &path)(source)),
    };
    let damaged = || StorageError::Corrupt { path: path.clone(), offset: 0, reason: "its checksum does not match" };
    let (number, checksum) = bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
    if checksum != CRC.checksum(number).to_le_bytes() {
        return Err(damaged());
    }
    Ok(u64::from_le_bytes(*number))
}

/// Records that everything up to this sequence number is durable. What was recorded before is never taken back, so a
/// database that fell behind it stays refused.
pub(crate) fn raise(directory: &Path, sequence: u64) -> Result<(), StorageError> {
    if sequence <= read(directory)? {
        return Ok(());
    }
    let number = sequence.to_le_bytes();
    let bytes = [&number[..], &CRC.checksum(&number).to_le_bytes()].concat();
    replace_file(&directory.join(FILE_NAME), &bytes).map(drop)
}
