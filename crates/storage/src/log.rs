//! The consensus log: what a node must remember of the height it is deciding.
//!
//! The file is a magic followed by frames, one for each [`ConsensusLog::sync`]:
//!
//! ```text
//! frame   = length of the payload (4) | CRC-32C of the length (4) | CRC-32C of the payload (4) | payload
//! payload = (length of the record (4) | record)*           all numbers little-endian
//! ```
//!
//! A frame is on disk before the next one is begun, so a crash can damage only the last. Damage with an intact frame
//! behind it is therefore not a crash's doing: cutting there would forget votes that were sent.

use crate::StorageError;
use crate::durable::{CRC, replace_file};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// First bytes of the file: its kind and format.
const MAGIC: [u8; 8] = *b"heddlog1";
/// Bytes of a frame before its payload.
const HEADER_BYTES: usize = 12;

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
        let (records, length) = read_frames(path, &bytes)?;
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
        let frame_bytes = HEADER_BYTES + self.pending.len() + 4 + record.len();
        refuse_above("consensus log", self.length + frame_bytes as u64, Self::LOG_BYTES_MAX)?;
        self.pending.extend_from_slice(&(record.len() as u32).to_le_bytes());
        self.pending.extend_from_slice(record);
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
        let payload = std::mem::take(&mut self.pending);
        let length = (payload.len() as u32).to_le_bytes();
        let mut frame = Vec::with_capacity(HEADER_BYTES + payload.len());
        frame.extend_from_slice(&length);
        frame.extend_from_slice(&CRC.checksum(&length).to_le_bytes());
        frame.extend_from_slice(&CRC.checksum(&payload).to_le_bytes());
        frame.extend_from_slice(&payload);
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

/// The records of all intact frames, and where they end.
fn read_frames(path: &Path, bytes: &[u8]) -> Result<(Vec<Vec<u8>>, u64), StorageError> {
    let corrupt =
        |offset: usize, reason| StorageError::Corrupt { path: path.to_owned(), offset: offset as u64, reason };
    // The file is created whole, so even its first bytes cannot be torn.
    let mut rest = bytes.strip_prefix(&MAGIC).ok_or_else(|| corrupt(0, "not a consensus log of a known format"))?;
    let mut records = Vec::new();
    while let Frame::Intact { payload, behind } = Frame::read(rest) {
        let offset = bytes.len() - rest.len();
        read_records(payload, &mut records).ok_or_else(|| corrupt(offset, "a frame does not divide into records"))?;
        rest = behind;
    }
    let end = bytes.len() - rest.len();
    if intact_frame_behind(rest) {
        return Err(corrupt(end, "a damaged frame is followed by an intact one"));
    }
    Ok((records, end as u64))
}

enum Frame<'a> {
    /// All checks pass.
    Intact { payload: &'a [u8], behind: &'a [u8] },
    /// The length checks, the payload does not (or ends early).
    BadPayload { behind: &'a [u8] },
    /// Not even the length checks.
    BadHeader,
}

impl<'a> Frame<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Self::BadHeader };
        let Some((length_sum, rest)) = rest.split_first_chunk::<4>() else { return Self::BadHeader };
        if CRC.checksum(length) != u32::from_le_bytes(*length_sum) {
            return Self::BadHeader;
        }
        let Some((payload_sum, rest)) = rest.split_first_chunk::<4>() else { return Self::BadPayload { behind: &[] } };
        match rest.split_at_checked(u32::from_le_bytes(*length) as usize) {
            None => Self::BadPayload { behind: &[] },
            Some((payload, behind)) if CRC.checksum(payload) == u32::from_le_bytes(*payload_sum) => {
                Self::Intact { payload, behind }
            }
            Some((_, behind)) => Self::BadPayload { behind },
        }
    }
}

/// Whether an intact frame stands behind the damaged one that `bytes` start with.
fn intact_frame_behind(mut bytes: &[u8]) -> bool {
    loop {
        match Frame::read(bytes) {
            Frame::Intact { .. } => return true,
            Frame::BadPayload { behind } => bytes = behind,
            // Where the next frame starts is unknown: try every byte.
            Frame::BadHeader => match bytes.split_first() {
                Some((_, behind)) => bytes = behind,
                None => return false,
            },
        }
    }
}

fn read_records(mut payload: &[u8], records: &mut Vec<Vec<u8>>) -> Option<()> {
    while !payload.is_empty() {
        let (length, rest) = payload.split_first_chunk()?;
        let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        records.push(record.to_vec());
        payload = rest;
    }
    Some(())
}

#[cfg(test)]
mod tests;
