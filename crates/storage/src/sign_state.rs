//! The last signed step, in a file of its own.

use crate::StorageError;
use crate::durable::{CRC, replace_file};
use crate::lock::FileLock;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// First bytes of the file: its kind and format.
const MAGIC: [u8; 8] = *b"heddsig1";
/// Magic, then the CRC-32C of the content, little-endian.
const HEADER_BYTES: usize = 12;

/// A small file that always holds exactly what was last replaced into it. It records what a validator signed, so losing
/// its content would let a restarted validator contradict itself: damage is an error, never an empty file.
///
/// One process owns the file, by a lock on `<file>.lock`: two that sign with one key would contradict each other.
#[derive(Debug)]
pub struct SignStateFile {
    path: PathBuf,
    _lock: FileLock,
}

impl SignStateFile {
    /// Largest content, in bytes.
    pub const CONTENT_BYTES_MAX: usize = 64 * 1024;

    /// Takes ownership of the file and returns its content; `None` only when the file has never been written.
    ///
    /// # Errors
    /// [`StorageError::Locked`]; [`StorageError::Corrupt`] when the content is not what was written.
    pub fn open(path: &Path) -> Result<(Self, Option<Vec<u8>>), StorageError> {
        let lock = FileLock::acquire(path, &lock_path(path))?;
        let content = Self::read(path)?;
        Ok((Self { path: path.to_owned(), _lock: lock }, content))
    }

    /// The content of a file that another process may own; `None` only when the file has never been written.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] when the content is not what was written.
    pub fn read(path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StorageError::io("open", path)(source)),
        };
        let mut bytes = Vec::new();
        let bytes_max = HEADER_BYTES + Self::CONTENT_BYTES_MAX;
        file.take(bytes_max as u64).read_to_end(&mut bytes).map_err(StorageError::io("read", path))?;
        checked_content(path, &bytes).map(Some)
    }

    /// Replaces the content: after `Ok` it survives a power loss; after an error the old or the new content does.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`], or the disk's.
    pub fn replace(&mut self, content: &[u8]) -> Result<(), StorageError> {
        if content.len() > Self::CONTENT_BYTES_MAX {
            return Err(StorageError::TooLarge {
                what: "sign state",
                bytes: content.len() as u64,
                bytes_max: Self::CONTENT_BYTES_MAX as u64,
            });
        }
        let mut bytes = Vec::with_capacity(HEADER_BYTES + content.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&CRC.checksum(content).to_le_bytes());
        bytes.extend_from_slice(content);
        replace_file(&self.path, &bytes).map(drop)
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn checked_content(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, StorageError> {
    let corrupt = |offset, reason| StorageError::Corrupt { path: path.to_owned(), offset, reason };
    let rest = bytes.strip_prefix(&MAGIC).ok_or_else(|| corrupt(0, "not a sign state file of a known format"))?;
    let (checksum, content) = rest.split_first_chunk().ok_or_else(|| corrupt(MAGIC.len() as u64, "cut short"))?;
    if u32::from_le_bytes(*checksum) != CRC.checksum(content) {
        return Err(corrupt(HEADER_BYTES as u64, "the content does not match its checksum"));
    }
    Ok(content.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_what_was_last_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sign-state");
        let (mut file, content) = SignStateFile::open(&path).unwrap();
        assert_eq!(content, None);
        for content in [&b"height 1"[..], b"", b"height 2"] {
            file.replace(content).unwrap();
            assert_eq!(SignStateFile::read(&path).unwrap().as_deref(), Some(content));
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "no temporary file stays");
    }

    #[test]
    fn a_second_owner_is_refused_until_the_first_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sign-state");
        let first = SignStateFile::open(&path).unwrap();
        let error = SignStateFile::open(&path).unwrap_err();
        assert!(matches!(&error, StorageError::Locked { path: locked, .. } if *locked == path), "{error}");
        drop(first);
        SignStateFile::open(&path).unwrap();
    }

    #[test]
    fn every_damaged_byte_and_every_truncation_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sign-state");
        let (mut file, _) = SignStateFile::open(&path).unwrap();
        file.replace(b"height 7, round 0, precommit").unwrap();
        let good = std::fs::read(&path).unwrap();
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            assert!(matches!(SignStateFile::read(&path), Err(StorageError::Corrupt { .. })), "byte {index}");
            std::fs::write(&path, &good[..index]).unwrap();
            assert!(matches!(SignStateFile::read(&path), Err(StorageError::Corrupt { .. })), "length {index}");
        }
    }

    #[test]
    fn an_unfinished_replacement_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sign-state");
        let (mut file, _) = SignStateFile::open(&path).unwrap();
        file.replace(b"old").unwrap();
        drop(file);
        std::fs::write(directory.path().join("sign-state.new"), b"half of the ne").unwrap();
        let (mut file, content) = SignStateFile::open(&path).unwrap();
        assert_eq!(content.as_deref(), Some(&b"old"[..]));
        file.replace(b"new").unwrap();
        assert_eq!(SignStateFile::read(&path).unwrap().as_deref(), Some(&b"new"[..]));
    }

    #[test]
    fn oversized_content_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (mut file, _) = SignStateFile::open(&directory.path().join("sign-state")).unwrap();
        let content = vec![0; SignStateFile::CONTENT_BYTES_MAX + 1];
        assert!(matches!(file.replace(&content), Err(StorageError::TooLarge { .. })));
    }
}
