//! Keys in files: what a validator signs with, what it signed last, and what names a node to its peers.
//!
//! A key file holds hex, or is encrypted by a passphrase ([`EncryptedKey`]). The sign state stands beside it.

mod encrypted;
pub mod file;
mod passphrase;
mod sign_state;
mod sign_state_export;

pub use encrypted::{EncryptedKey, EncryptedKeyError, random};
pub use file::FileError;
pub use passphrase::{PassphraseError, PassphraseSource};
pub use sign_state::{SignStateError, SignStateStore};
pub use sign_state_export::SignStateExport;

use alloy_primitives::B256;
use ed25519_dalek::VerifyingKey;
use heddle_network::{NodeKey, NodeKeyError};
use heddle_primitives::{ConsensusKey, KeyError};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be used.
    #[error("key file: {0}")]
    File(#[from] FileError),
    /// The content is neither a key nor an encrypted one.
    #[error("key file {}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: KeyError,
    },
    /// The content is no usable encrypted key, or the passphrase is wrong.
    #[error("key file {}: {source}", path.display())]
    Encrypted {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: EncryptedKeyError,
    },
    /// The content is no network key.
    #[error("key file {}: {source}", path.display())]
    NodeKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: NodeKeyError,
    },
    /// There is no passphrase.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The sign state beside it.
    #[error(transparent)]
    SignState(#[from] SignStateError),
}

/// The content of a validator's key file.
#[derive(Debug)]
pub enum KeyFile {
    /// A key in hex.
    Plain(ConsensusKey),
    /// A key that needs a passphrase.
    Encrypted(EncryptedKey),
}

impl KeyFile {
    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyFileError`]; an encrypted key is not decrypted here.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        Self::parse(&file::read(path, EncryptedKey::FILE_BYTES_MAX)?, path)
    }

    /// Reads a key file's content; `path` is where it came from.
    ///
    /// # Errors
    /// [`KeyFileError::Malformed`] or [`KeyFileError::Encrypted`].
    pub fn parse(content: &[u8], path: &Path) -> Result<Self, KeyFileError> {
        if content.trim_ascii_start().starts_with(b"{") {
            let encrypted = EncryptedKey::from_json(content);
            return encrypted
                .map(Self::Encrypted)
                .map_err(|source| KeyFileError::Encrypted { path: path.into(), source });
        }
        let key = match std::str::from_utf8(content) {
            Ok(text) => ConsensusKey::from_hex(text),
            Err(_) => Err(KeyError::Malformed(content.len())),
        };
        key.map(Self::Plain).map_err(|source| KeyFileError::Malformed { path: path.into(), source })
    }

    /// What the file holds.
    pub fn content(&self) -> Zeroizing<String> {
        match self {
            Self::Plain(key) => line(&key.to_hex()),
            Self::Encrypted(key) => Zeroizing::new(key.to_json()),
        }
    }

    /// The key that others verify with. Needs no passphrase.
    pub fn public_key(&self) -> VerifyingKey {
        match self {
            Self::Plain(key) => key.public_key(),
            Self::Encrypted(key) => key.public_key(),
        }
    }

    /// The key itself; `path` is the file's.
    ///
    /// # Errors
    /// [`KeyFileError::Passphrase`] or [`KeyFileError::Encrypted`].
    pub fn unlock(self, path: &Path, passphrase: PassphraseSource<'_>) -> Result<ConsensusKey, KeyFileError> {
        match self {
            Self::Plain(key) => Ok(key),
            Self::Encrypted(key) => key
                .decrypt(&passphrase.existing(path)?)
                .map_err(|source| KeyFileError::Encrypted { path: path.into(), source }),
        }
    }

    /// The same key, encrypted by a new passphrase.
    ///
    /// # Errors
    /// [`KeyFileError::Passphrase`].
    pub fn encrypt(self, path: &Path, passphrase: PassphraseSource<'_>) -> Result<Self, KeyFileError> {
        let Self::Plain(key) = self else { return Ok(self) };
        let encrypted = EncryptedKey::new(&key, &passphrase.chosen(path)?);
        encrypted.map(Self::Encrypted).map_err(|source| KeyFileError::Encrypted { path: path.into(), source })
    }
}

/// What a node validates with.
#[derive(Clone, Debug)]
pub struct ValidatorKey {
    /// The key.
    pub key: ConsensusKey,
    /// File of what it signed last.
    pub sign_state: PathBuf,
    /// Make that file where there is none.
    pub init_sign_state: bool,
}

impl ValidatorKey {
    /// Takes ownership of the key's sign state on a chain.
    ///
    /// # Errors
    /// [`SignStateError`].
    pub fn open_sign_state(&self, genesis_hash: B256) -> Result<SignStateStore, SignStateError> {
        let public_key = self.key.public_key().to_bytes();
        SignStateStore::open(&self.sign_state, public_key, genesis_hash, self.init_sign_state)
    }
}

/// Writes a new key with a fresh sign state beside it.
///
/// # Errors
/// When one of the two files exists; nothing is overwritten.
pub fn create(path: &Path, key: &KeyFile) -> Result<(), KeyFileError> {
    if path.symlink_metadata().is_ok() {
        return Err(FileError::Exists(path.into()).into());
    }
    file::create_directory(file::directory_of(path))?;
    SignStateStore::create(&sign_state_path(path), key.public_key().to_bytes())?;
    Ok(file::create(path, key.content().as_bytes())?)
}

/// Where the sign state of a key file stands, unless told otherwise.
pub fn sign_state_path(key_file: &Path) -> PathBuf {
    let mut name = key_file.as_os_str().to_owned();
    name.push(".sign-state");
    PathBuf::from(name)
}

/// Reads the key that names a node to its peers, or makes it at the first start.
///
/// # Errors
/// When the file cannot be read or written, or holds something else; it is never overwritten.
pub fn load_or_create_node_key(path: &Path) -> Result<NodeKey, KeyFileError> {
    /// A key is 64 characters; the rest is room for a prefix and white space.
    const BYTES_MAX: usize = 128;
    let content = match file::read(path, BYTES_MAX) {
        Ok(content) => content,
        Err(error) if error.is_absence() => {
            let key = NodeKey::generate();
            file::create(path, line(&key.to_hex()).as_bytes())?;
            return Ok(key);
        }
        Err(error) => return Err(error.into()),
    };
    let key = match std::str::from_utf8(&content) {
        Ok(text) => NodeKey::from_hex(text),
        Err(_) => Err(NodeKeyError::Malformed(content.len())),
    };
    key.map_err(|source| KeyFileError::NodeKey { path: path.into(), source })
}

/// A secret as a line, of which growing text left no copy behind.
fn line(secret: &str) -> Zeroizing<String> {
    Zeroizing::new([secret, "\n"].concat())
}

#[cfg(test)]
mod tests;
