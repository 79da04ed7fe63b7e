//! The key that gives a node its peer id. It is never the consensus key.

use crate::NodeKeyError;
use libp2p::{
    PeerId,
    identity::{Keypair, ed25519},
};
use std::{
    fs,
    io::{ErrorKind, Write},
    path::Path,
};
use zeroize::Zeroizing;

/// An ed25519 key for connections.
#[derive(Clone)]
pub struct NodeKey(ed25519::Keypair);

impl NodeKey {
    /// A new key from the operating system's randomness.
    pub fn generate() -> Self {
        Self(ed25519::Keypair::generate())
    }

    /// Parses what [`Self::to_hex`] wrote; a leading `0x` is allowed.
    ///
    /// # Errors
    /// [`NodeKeyError::Malformed`] when the text is not 32 bytes of hex.
    pub fn from_hex(text: &str) -> Result<Self, NodeKeyError> {
        let text = text.trim();
        let text = text.strip_prefix("0x").unwrap_or(text);
        let malformed = || NodeKeyError::Malformed(text.len());
        let mut secret = Zeroizing::new([0u8; 32]);
        hex::decode_to_slice(text, secret.as_mut_slice()).map_err(|_| malformed())?;
        let secret = ed25519::SecretKey::try_from_bytes(secret.as_mut_slice()).map_err(|_| malformed())?;
        Ok(Self(secret.into()))
    }

    /// The secret as hex, for a key file of mode 0600.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0.secret()))
    }

    /// Reads the key file, or creates it (mode 0600) with a new key when there is none.
    ///
    /// # Errors
    /// When the file cannot be read or written, or holds something else; it is never overwritten.
    pub fn load_or_create(path: &Path) -> Result<Self, NodeKeyError> {
        match fs::read_to_string(path).map(Zeroizing::new) {
            Ok(text) => Self::from_hex(&text)
                .map_err(|source| NodeKeyError::Content { path: path.into(), source: Box::new(source) }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = Self::generate();
                key.create_file(path).map_err(|source| NodeKeyError::File { path: path.into(), source })?;
                Ok(key)
            }
            Err(source) => Err(NodeKeyError::File { path: path.into(), source }),
        }
    }

    fn create_file(&self, path: &Path) -> std::io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        writeln!(file, "{}", *self.to_hex())?;
        file.sync_all()
    }

    /// The identity that peers see.
    pub fn peer_id(&self) -> PeerId {
        self.keypair().public().to_peer_id()
    }

    pub(crate) fn keypair(&self) -> Keypair {
        self.0.clone().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_hex_and_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.key");
        let created = NodeKey::load_or_create(&path).unwrap();
        let loaded = NodeKey::load_or_create(&path).unwrap();
        assert_eq!(created.peer_id(), loaded.peer_id());
        assert_eq!(NodeKey::from_hex(&format!("0x{}\n", *created.to_hex())).unwrap().peer_id(), created.peer_id());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_broken_key_file_is_an_error_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.key");
        fs::write(&path, "not a key").unwrap();
        let error = NodeKey::load_or_create(&path).err().unwrap().to_string();
        assert!(error.contains("node.key") && error.contains("found 9 characters"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "not a key");
    }
}
