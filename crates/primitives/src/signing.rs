//! Consensus signatures: ed25519 over SHA-256(domain, genesis hash, RLP(message)).

use crate::{Bug, Validator, ValidatorAddress, planted};
use alloy_primitives::{Address, B256};
use alloy_rlp::{BufMut, Decodable, Encodable};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// What every signed message of one chain is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningContext {
    /// Hash of the genesis block: a signature for one chain means nothing on another.
    pub genesis_hash: B256,
}

impl SigningContext {
    /// The 32 bytes that are signed: SHA-256(domain, genesis hash, RLP(message)).
    ///
    /// `domain` ends in a zero byte, so that no domain is a prefix of another.
    pub fn digest(&self, domain: &'static str, message: &impl Encodable) -> B256 {
        let mut hasher = Sha256::new();
        hasher.update(domain.as_bytes());
        hasher.update([0]);
        hasher.update(self.genesis_hash);
        hasher.update(alloy_rlp::encode(message));
        B256::from_slice(&hasher.finalize())
    }
}

/// An ed25519 signature over a message's digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsensusSignature([u8; 64]);

impl ConsensusSignature {
    /// The signature with these bytes; whether it verifies is another question.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes of R and s.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// Whether `key` signed `digest`. Strict verification (no small-order keys, no malleable encodings), so that
    /// all nodes agree on every signature.
    pub fn verify(&self, key: &VerifyingKey, digest: B256) -> bool {
        planted(Bug::SignatureUnverified)
            || key.verify_strict(digest.as_slice(), &Signature::from_bytes(&self.0)).is_ok()
    }

    /// Whether each key signed its digest, all at once. Not quite as strict as [`Self::verify`].
    pub(crate) fn verify_batch<'a>(batch: impl Iterator<Item = (&'a VerifyingKey, B256, &'a Self)>) -> bool {
        let (mut keys, mut digests, mut signatures) = (Vec::new(), Vec::new(), Vec::new());
        for (key, digest, signature) in batch {
            keys.push(*key);
            digests.push(digest);
            signatures.push(Signature::from_bytes(&signature.0));
        }
        let digests = Vec::from_iter(digests.iter().map(|digest| digest.as_slice()));
        planted(Bug::SignatureUnverified) || ed25519_dalek::verify_batch(&digests, &signatures, &keys).is_ok()
    }
}

impl fmt::Debug for ConsensusSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..8]))
    }
}

impl Encodable for ConsensusSignature {
    fn encode(&self, out: &mut dyn BufMut) {
        self.0.encode(out);
    }

    fn length(&self) -> usize {
        self.0.length()
    }
}

impl Decodable for ConsensusSignature {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        <[u8; 64]>::decode(buf).map(Self)
    }
}

/// A validator's consensus key. It is never the node's network key.
#[derive(Clone)]
pub struct ConsensusKey(SigningKey);

/// Why a key file's content is not a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is not 32 bytes of hex.
    #[error("a consensus key is 64 hexadecimal characters (32 bytes), found {0} characters")]
    Malformed(usize),
}

impl ConsensusKey {
    /// A new key from the operating system's randomness.
    pub fn generate() -> Self {
        let mut secret = Zeroizing::new([0u8; 32]);
        rand::Rng::fill(&mut rand::rng(), secret.as_mut_slice());
        Self::from_bytes(&secret)
    }

    /// The key with this secret.
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// Parses what [`Self::to_hex`] wrote.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when the text is not 32 bytes of hex.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let text = text.strip_prefix("0x").unwrap_or(text);
        let mut secret = Zeroizing::new([0u8; 32]);
        hex::decode_to_slice(text, secret.as_mut_slice()).map_err(|_| KeyError::Malformed(text.len()))?;
        Ok(Self::from_bytes(&secret))
    }

    /// The secret as hex, for a key file of mode 0600.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0.as_bytes()))
    }

    /// The key that others verify with.
    pub fn public_key(&self) -> VerifyingKey {
        self.0.verifying_key()
    }

    /// The address of the validator with this key.
    pub fn address(&self) -> ValidatorAddress {
        Validator::new(self.public_key(), 1, Address::ZERO).address
    }

    /// Signs a digest made by [`SigningContext::digest`]. Deterministic: one digest has one signature.
    pub fn sign(&self, digest: B256) -> ConsensusSignature {
        ConsensusSignature(self.0.sign(digest.as_slice()).to_bytes())
    }
}

impl fmt::Debug for ConsensusKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConsensusKey(public {})", hex::encode(self.public_key().as_bytes()))
    }
}
