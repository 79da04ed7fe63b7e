//! The key that gives a node its peer id. It is never the consensus key.

use crate::NodeKeyError;
use libp2p::{
    PeerId,
    identity::{Keypair, ed25519},
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
    fn a_key_survives_hex() {
        let key = NodeKey::generate();
        let read = NodeKey::from_hex(&format!("0x{}\n", *key.to_hex())).unwrap();
        assert_eq!(read.peer_id(), key.peer_id());
        assert!(matches!(NodeKey::from_hex("not a key"), Err(NodeKeyError::Malformed(9))));
    }
}
