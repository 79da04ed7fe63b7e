//! The consensus log: what a node must remember of the height it is deciding.
//!
//! One frame ([`crate::frames`]) is written and synced for each [`ConsensusLog::sync`].

use crate::durable::replace_file;
use crate::frames::{self, MAGIC};
use crate::{LogDamage, StorageError};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// An append-only file of records. After an error it must be dropped, and opened again before more is appended.
#[derive(Debug)]
pub struct ConsensusLog {
    path: PathBuf,
    file: File,
    /// Bytes of the file that are complete frames.
    length: u64,
    /// Payload of the next frame.
    pending: Vec<u8>,
}

impl ConsensusLog {
    /// Largest record, in bytes: twice the largest block.
    pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;
    /// Largest file, in bytes; one height that needs more has failed for other reasons.
    pub const LOG_BYTES_MAX: u64 = 1024 * 1024 * 1024;

    /// Opens the log, creating it if there is none, and returns its records, oldest first. A last frame that a crash left
    /// incomplete is cut off.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] for damage that a crash cannot explain.
    pub fn open(path: &Path) -> Result<(Self, Vec<Vec<u8>>), StorageError> {
        let bytes = match OpenOptions::new().read(true).open(path) {
            Ok(file) => read_bounded(path, file)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let file = replace_file(path, &MAGIC)?;
                return Ok((Self::at_end(path, file, MAGIC.len() as u64), Vec::new()));
            }
            Err(source) => return Err(StorageError::io("open", path)(source)),
        };
        let damaged = |LogDamage { offset, reason }| StorageError::Corrupt { path: path.to_owned(), offset, reason };
        let (records, length) = frames::decode(&bytes).map_err(damaged)?;
        let mut file = OpenOptions::new().write(true).open(path).map_err(StorageError::io("open", path))?;
        if length < bytes.len() as u64 {
            file.set_len(length)
                .and_then(|()| file.sync_all())
                .map_err(StorageError::io("cut the torn end off", path))?;
        }
        file.seek(SeekFrom::Start(length)).map_err(StorageError::io("seek in", path))?;
        Ok((Self::at_end(path, file, length), records))
    }

    fn at_end(path: &Path, file: File, length: u64) -> Self {
        Self { path: path.to_owned(), file, length, pending: Vec::new() }
    }

    /// Adds a record; it is durable once [`Self::sync`] returns.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`]; nothing is added then.
    pub fn append(&mut self, record: &[u8]) -> Result<(), StorageError> {
        let refuse_above = |what, bytes, bytes_max| match bytes > bytes_max {
            true => Err(StorageError::TooLarge { what, bytes, bytes_max }),
            false => Ok(()),
        };
        refuse_above("consensus log record", record.len() as u64, Self::RECORD_BYTES_MAX as u64)?;
        let frame_bytes = frames::HEADER_BYTES + self.pending.len() + frames::LENGTH_BYTES + record.len();
        refuse_above("consensus log", self.length + frame_bytes as u64, Self::LOG_BYTES_MAX)?;
        frames::push(&mut self.pending, record);
        Ok(())
    }

    /// Makes every appended record survive a power loss.
    ///
    /// # Errors
    /// The disk's.
    pub fn sync(&mut self) -> Result<(), StorageError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let frame = frames::encode(&std::mem::take(&mut self.pending));
        self.file.write_all(&frame).map_err(StorageError::io("append to", &self.path))?;
        self.file.sync_data().map_err(StorageError::io("sync", &self.path))?;
        self.length += frame.len() as u64;
        Ok(())
    }

    /// Forgets all records: a new height. A crash leaves the old log or the empty one.
    ///
    /// # Errors
    /// The disk's.
    pub fn reset(&mut self) -> Result<(), StorageError> {
        self.file = replace_file(&self.path, &MAGIC)?;
        self.length = MAGIC.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

fn read_bounded(path: &Path, file: File) -> Result<Vec<u8>, StorageError> {
    let mut bytes = Vec::new();
    file.take(ConsensusLog::LOG_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(StorageError::io("read", path))?;
    if bytes.len() as u64 > ConsensusLog::LOG_BYTES_MAX {
        return Err(StorageError::Corrupt { path: path.to_owned(), offset: 0, reason: "longer than any log" });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
