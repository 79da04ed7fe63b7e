//! A key file that needs a passphrase. It is a JSON object of these fields:
//!
//! ```json
//! {
//!   "format": "heddle-key/1",
//!   "publicKey": "0x..",                                  32 bytes, in clear
//!   "kdf": "argon2id", "memoryKib": 65536, "passes": 3, "lanes": 1, "salt": "0x..",       16 bytes
//!   "cipher": "xchacha20-poly1305", "nonce": "0x..", "ciphertext": "0x.."                24 and 48 bytes
//! }
//! ```
//!
//! The passphrase and the salt give a key by Argon2id (version 19); it encrypts the 32 bytes of the secret. Associated
//! data are `format`, a zero byte and the public key, so that nobody can put another public key beside the secret.

use alloy_primitives::FixedBytes;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20poly1305::aead::rand_core::RngCore;
use chacha20poly1305::aead::{Aead, OsRng, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305};
use ed25519_dalek::VerifyingKey;
use heddle_primitives::ConsensusKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The one known value of `format`.
const FORMAT: &str = "heddle-key/1";
/// The one known value of `kdf`.
const KDF: &str = "argon2id";
/// The one known value of `cipher`.
const CIPHER: &str = "xchacha20-poly1305";

/// Why an encrypted key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncryptedKeyError {
    /// Not such a file.
    #[error("not an encrypted key of format {FORMAT}: {0}")]
    Malformed(String),
    /// What deriving the key would cost is out of bounds.
    #[error(
        "key derivation with memoryKib {}, passes {}, lanes {} is refused: at most {}, {} and {} are allowed",
        .0.memory_kib, .0.passes, .0.lanes, Cost::MAX.memory_kib, Cost::MAX.passes, Cost::MAX.lanes
    )]
    Cost(Cost),
    /// The passphrase is not the right one, or the file is damaged: nobody can tell which.
    #[error("wrong passphrase, or the file was changed")]
    Passphrase,
}

/// What one guess of a passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// Memory, in KiB.
    memory_kib: u32,
    /// Passes over the memory.
    passes: u32,
    /// Lanes that could be filled side by side.
    lanes: u32,
}

impl Cost {
    /// That of new files: RFC 9106's memory for machines that have little to spare, on one lane.
    const NEW: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
    /// The most that is spent on a file, whatever it asks for.
    const MAX: Self = Self { memory_kib: 512 * 1024, passes: 16, lanes: 16 };

    fn params(self) -> Result<Params, EncryptedKeyError> {
        let above =
            self.memory_kib > Self::MAX.memory_kib || self.passes > Self::MAX.passes || self.lanes > Self::MAX.lanes;
        match Params::new(self.memory_kib, self.passes, self.lanes, Some(32)) {
            Ok(params) if !above => Ok(params),
            _ => Err(EncryptedKeyError::Cost(self)),
        }
    }
}

/// A consensus key, encrypted by a passphrase; `Debug` shows nothing that is secret.
#[derive(Clone, Debug)]
pub struct EncryptedKey {
    fields: Fields,
    public_key: VerifyingKey,
}

/// The file, field by field.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    format: String,
    public_key: FixedBytes<32>,
    kdf: String,
    #[serde(flatten)]
    cost: Cost,
    salt: FixedBytes<16>,
    cipher: String,
    nonce: FixedBytes<24>,
    ciphertext: FixedBytes<48>,
}

impl EncryptedKey {
    /// Longest file, in bytes.
    pub const FILE_BYTES_MAX: usize = 4096;

    /// Encrypts a key by a passphrase. Takes a good part of a second.
    ///
    /// # Errors
    /// None that this cost could give.
    pub fn new(key: &ConsensusKey, passphrase: &[u8]) -> Result<Self, EncryptedKeyError> {
        Self::with_cost(key, passphrase, Cost::NEW)
    }

    fn with_cost(key: &ConsensusKey, passphrase: &[u8], cost: Cost) -> Result<Self, EncryptedKeyError> {
        let failed = |what: &str| EncryptedKeyError::Malformed(what.to_owned());
        let mut secret = Zeroizing::new([0; 32]);
        hex::decode_to_slice(key.to_hex().as_bytes(), secret.as_mut_slice()).map_err(|_| failed("the secret"))?;
        let mut fields = Fields {
            format: FORMAT.into(),
            public_key: key.public_key().to_bytes().into(),
            kdf: KDF.into(),
            cost,
            salt: random(),
            cipher: CIPHER.into(),
            nonce: random(),
            ciphertext: FixedBytes::ZERO,
        };
        let payload = Payload { msg: secret.as_slice(), aad: &fields.associated_data() };
        let ciphertext = fields.cipher(passphrase)?.encrypt(&fields.nonce.0.into(), payload);
        let ciphertext = ciphertext.map_err(|_| failed("the cipher"))?;
        fields.ciphertext = FixedBytes::try_from(ciphertext.as_slice()).map_err(|_| failed("the cipher"))?;
        Ok(Self { fields, public_key: key.public_key() })
    }

    /// Reads a file's content.
    ///
    /// # Errors
    /// [`EncryptedKeyError::Malformed`] or [`EncryptedKeyError::Cost`].
    pub fn from_json(text: &[u8]) -> Result<Self, EncryptedKeyError> {
        let malformed = |reason: String| EncryptedKeyError::Malformed(reason);
        // The parser's own words may quote the text, and who knows what somebody put there.
        let place = |error: serde_json::Error| format!("look at line {}, column {}", error.line(), error.column());
        let fields: Fields = serde_json::from_slice(text).map_err(|error| malformed(place(error)))?;
        for (field, found, known) in
            [("format", &fields.format, FORMAT), ("kdf", &fields.kdf, KDF), ("cipher", &fields.cipher, CIPHER)]
        {
            if found != known {
                return Err(malformed(format!("`{field}` is not {known}")));
            }
        }
        fields.cost.params()?;
        let public_key = VerifyingKey::from_bytes(&fields.public_key);
        let public_key = public_key.map_err(|_| malformed("`publicKey` is not an ed25519 key".to_owned()))?;
        Ok(Self { fields, public_key })
    }

    /// A file's content.
    pub fn to_json(&self) -> String {
        format!("{:#}\n", serde_json::json!(self.fields))
    }

    /// The public key that stands in the file. Whether the secret belongs to it shows when it is decrypted.
    pub fn public_key(&self) -> VerifyingKey {
        self.public_key
    }

    /// Decrypts the key. Takes a good part of a second.
    ///
    /// # Errors
    /// [`EncryptedKeyError::Passphrase`].
    pub fn decrypt(&self, passphrase: &[u8]) -> Result<ConsensusKey, EncryptedKeyError> {
        let payload = Payload { msg: self.fields.ciphertext.as_slice(), aad: &self.fields.associated_data() };
        let secret = self.fields.cipher(passphrase)?.decrypt(&self.fields.nonce.0.into(), payload);
        let secret = Zeroizing::new(secret.map_err(|_| EncryptedKeyError::Passphrase)?);
        let secret = secret.as_slice().try_into().map_err(|_| EncryptedKeyError::Passphrase)?;
        let key = ConsensusKey::from_bytes(secret);
        match key.public_key() == self.public_key {
            true => Ok(key),
            false => Err(EncryptedKeyError::Malformed("`publicKey` is not that of the secret".to_owned())),
        }
    }
}

impl Fields {
    fn associated_data(&self) -> Vec<u8> {
        [self.format.as_bytes(), &[0], self.public_key.as_slice()].concat()
    }

    /// The cipher under the key that the passphrase gives.
    fn cipher(&self, passphrase: &[u8]) -> Result<XChaCha20Poly1305, EncryptedKeyError> {
        let params = self.cost.params()?;
        // Ours, so that it is wiped: what is left in it leads to the key.
        let mut memory = Zeroizing::new(vec![Block::default(); params.block_count()]);
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(passphrase, self.salt.as_slice(), key.as_mut_slice(), memory.as_mut_slice())
            .map_err(|error| EncryptedKeyError::Malformed(error.to_string()))?;
        Ok(XChaCha20Poly1305::new(Key::from_slice(key.as_slice())))
    }
}

/// Bytes from the operating system's randomness.
pub fn random<const N: usize>() -> FixedBytes<N> {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    FixedBytes(bytes)
}

#[cfg(test)]
mod tests;
