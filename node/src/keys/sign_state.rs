//! What a validator's key signed last, in a file beside the key: it survives whatever happens to data directories.

use super::file::{self, FileError};
use alloy_primitives::B256;
use heddle_consensus::{SignStateMismatch, SignStateRecord};
use heddle_storage::{SignStateFile, StorageError};
use std::path::{Path, PathBuf};

/// Why a sign state cannot be used. Every message names the file and the repair.
#[derive(Debug, thiserror::Error)]
pub enum SignStateError {
    /// There is none.
    #[error(
        "{} does not exist: without it this key could contradict what it signed before. Bring it with `heddle sign-state import`; only for a key that signs nowhere else, start once with --unsafe-init-sign-state",
        .0.display()
    )]
    Missing(PathBuf),
    /// There is one already.
    #[error("{} exists already, of a key that was there before: move it away, it is the only memory of what that key signed", .0.display())]
    Exists(PathBuf),
    /// Another key's, or another chain's.
    #[error("{}: {source}: give every key and chain a file of its own with --sign-state, or bring the right one with `heddle sign-state import`", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        source: SignStateMismatch,
    },
    /// The content is damaged.
    #[error("{source}: {REPAIR}")]
    Corrupt {
        /// What is wrong, and where.
        source: StorageError,
    },
    /// The content is intact, and no record.
    #[error("{} holds no sign state ({source}): {REPAIR}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The RLP rule that it breaks.
        source: alloy_rlp::Error,
    },
    /// The file cannot be read or written, or is in use.
    #[error("sign state: {0}")]
    Storage(StorageError),
    /// Others could change it.
    #[error("sign state: {0}")]
    File(#[from] FileError),
}

/// What helps against damage.
const REPAIR: &str = "move it away and bring the last export with `heddle sign-state import`; without an export, start once with --unsafe-init-sign-state, when this key signs nowhere else";

impl From<StorageError> for SignStateError {
    fn from(source: StorageError) -> Self {
        match source {
            StorageError::Corrupt { .. } => Self::Corrupt { source },
            other => Self::Storage(other),
        }
    }
}

/// The sign state of one key, owned by this process.
#[derive(Debug)]
pub struct SignStateStore {
    file: SignStateFile,
    record: SignStateRecord,
    is_new: bool,
}

impl SignStateStore {
    /// Writes the sign state of a new key.
    ///
    /// # Errors
    /// [`SignStateError::Exists`] and others.
    pub fn create(path: &Path, public_key: [u8; 32]) -> Result<(), SignStateError> {
        match Self::open_any(path)? {
            (_, Some(_)) => Err(SignStateError::Exists(path.into())),
            (mut file, None) => Ok(file.replace(&alloy_rlp::encode(SignStateRecord::fresh(public_key)))?),
        }
    }

    /// Takes ownership of a file, whatever key it is of; `None` when there is none.
    ///
    /// # Errors
    /// [`SignStateError`]; damage is never taken for absence.
    pub fn open_any(path: &Path) -> Result<(SignStateFile, Option<SignStateRecord>), SignStateError> {
        file::check_directory(path)?;
        let (file, content) = SignStateFile::open(path)?;
        Ok((file, content.map(|content| decode(path, &content)).transpose()?))
    }

    /// Reads a file that a running node may own; `None` when there is none.
    ///
    /// # Errors
    /// [`SignStateError`]; damage is never taken for absence.
    pub fn read(path: &Path) -> Result<Option<SignStateRecord>, SignStateError> {
        SignStateFile::read(path)?.map(|content| decode(path, &content)).transpose()
    }

    /// Takes ownership of the sign state of a key on a chain. `init` makes one where there is none.
    ///
    /// # Errors
    /// [`SignStateError`].
    pub fn open(path: &Path, public_key: [u8; 32], genesis_hash: B256, init: bool) -> Result<Self, SignStateError> {
        let (file, found) = Self::open_any(path)?;
        let mut record = match found {
            Some(record) => record,
            None if init => {
                tracing::warn!(file = %path.display(), "no sign state: a new one is made, as told; this key must sign nowhere else");
                SignStateRecord::fresh(public_key)
            }
            None => return Err(SignStateError::Missing(path.into())),
        };
        let mismatch = |source| SignStateError::Mismatch { path: path.into(), source };
        record.bind(public_key, genesis_hash).map_err(mismatch)?;
        let mut store = Self { file, record, is_new: found.is_none() };
        if found != Some(record) {
            store.replace(&alloy_rlp::encode(record))?;
        }
        Ok(store)
    }

    /// What the file held when it was opened.
    pub fn record(&self) -> &SignStateRecord {
        &self.record
    }

    /// Whether it was made anew at this start: the key may have signed before.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Replaces the content by another encoded record; durable at return.
    ///
    /// # Errors
    /// The disk's: the old one may still stand.
    pub fn replace(&mut self, content: &[u8]) -> Result<(), StorageError> {
        self.file.replace(content)
    }
}

fn decode(path: &Path, content: &[u8]) -> Result<SignStateRecord, SignStateError> {
    SignStateRecord::decode(content).map_err(|source| SignStateError::Malformed { path: path.into(), source })
}
