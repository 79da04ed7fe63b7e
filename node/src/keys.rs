//! Key files: hex in a file that only its owner may read.

use heddle_primitives::{ConsensusKey, KeyError};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read or written.
    #[error("key file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others could read the secret.
    #[error("key file {path} has mode {mode:o}, expected 600: run `chmod 600 {path}`")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The content is not a key.
    #[error("key file {path}: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: KeyError,
    },
}

/// Reads a consensus key, refusing a file that its group or others may read.
///
/// # Errors
/// See [`KeyFileError`].
pub fn read_consensus_key(path: &Path) -> Result<ConsensusKey, KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.into(), source };
    let mode = std::fs::metadata(path).map_err(io)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Mode { path: path.into(), mode });
    }
    let text = std::fs::read_to_string(path).map_err(io)?;
    ConsensusKey::from_hex(&text).map_err(|source| KeyFileError::Malformed { path: path.into(), source })
}

/// Writes a secret to a new file of mode 0600; an existing file is never overwritten.
///
/// # Errors
/// [`KeyFileError::Io`], also when the file exists.
pub fn write_secret(path: &Path, secret: &str) -> Result<(), KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.into(), source };
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
    file.write_all(secret.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(io)?;
    file.sync_all().map_err(io)
}
