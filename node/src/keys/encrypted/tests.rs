#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use serde_json::{Value, json};

/// The least that Argon2 allows: the tests are not about its price.
const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

fn encrypted(key: &ConsensusKey) -> EncryptedKey {
    EncryptedKey::with_cost(key, b"the passphrase", CHEAP).unwrap()
}

/// The file with some fields changed.
fn changed(key: &EncryptedKey, change: impl FnOnce(&mut Value)) -> Result<EncryptedKey, EncryptedKeyError> {
    let mut file: Value = serde_json::from_str(&key.to_json()).unwrap();
    change(&mut file);
    EncryptedKey::from_json(file.to_string().as_bytes())
}

#[test]
fn a_key_survives_encryption_and_only_its_passphrase_opens_it() {
    let key = ConsensusKey::generate();
    let file = encrypted(&key).to_json();
    assert!(file.len() <= EncryptedKey::FILE_BYTES_MAX);
    let read = EncryptedKey::from_json(file.as_bytes()).unwrap();
    assert_eq!(read.public_key(), key.public_key());
    assert_eq!(*read.decrypt(b"the passphrase").unwrap().to_hex(), *key.to_hex());
    for wrong in [&b"another"[..], b"", b"the passphrase "] {
        assert_eq!(read.decrypt(wrong).unwrap_err(), EncryptedKeyError::Passphrase);
    }
}

#[test]
fn nothing_shows_the_secret_or_repeats() {
    let key = ConsensusKey::generate();
    let (one, other) = (encrypted(&key), encrypted(&key));
    for shown in [one.to_json(), format!("{one:?}"), other.to_json()] {
        assert!(!shown.contains(key.to_hex().as_str()), "{shown}");
    }
    assert_ne!(one.fields.salt, other.fields.salt);
    assert_ne!(one.fields.nonce, other.fields.nonce);
    assert_ne!(one.fields.ciphertext, other.fields.ciphertext);
}

#[test]
fn a_changed_file_does_not_open() {
    let key = encrypted(&ConsensusKey::generate());
    let another = encrypted(&ConsensusKey::generate());
    for field in ["publicKey", "salt", "nonce", "ciphertext"] {
        let theirs: Value = serde_json::from_str(&another.to_json()).unwrap();
        let changed = changed(&key, |file| file[field] = theirs[field].clone()).unwrap();
        assert_eq!(changed.decrypt(b"the passphrase").unwrap_err(), EncryptedKeyError::Passphrase, "{field}");
    }
    let dearer = changed(&key, |file| file["passes"] = 2.into()).unwrap();
    assert_eq!(dearer.decrypt(b"the passphrase").unwrap_err(), EncryptedKeyError::Passphrase);
}

#[test]
fn a_hostile_file_costs_nothing() {
    let key = encrypted(&ConsensusKey::generate());
    let cases: [(&str, Value); 8] = [
        ("memoryKib", json!(u32::MAX)),
        ("memoryKib", json!(Cost::MAX.memory_kib + 1)),
        ("memoryKib", json!(0)),
        ("passes", json!(17)),
        ("passes", json!(0)),
        ("lanes", json!(u32::MAX)),
        ("lanes", json!(17)),
        ("lanes", json!(0)),
    ];
    for (field, value) in cases {
        let result = changed(&key, |file| file[field] = value.clone());
        assert!(matches!(result, Err(EncryptedKeyError::Cost(_))), "{field} {value}: {result:?}");
    }
}

#[test]
fn what_is_no_such_file_is_named_without_its_content() {
    let key = encrypted(&ConsensusKey::generate());
    for (field, value) in [
        ("format", json!("heddle-key/2")),
        ("kdf", json!("scrypt")),
        ("cipher", json!("aes")),
        ("publicKey", json!("topsecret")),
        ("salt", json!(["topsecret"])),
        ("ciphertext", json!("0x00")),
        ("passes", json!(-1)),
        // Not a point of the curve.
        ("publicKey", json!(format!("0x02{}", "00".repeat(31)))),
    ] {
        let error = changed(&key, |file| file[field] = value.clone()).unwrap_err();
        assert!(matches!(error, EncryptedKeyError::Malformed(_)), "{field} {value}: {error:?}");
        assert!(!error.to_string().contains("topsecret"), "{error}");
    }
    for field in ["format", "publicKey", "kdf", "memoryKib", "salt", "cipher", "nonce", "ciphertext"] {
        let error = changed(&key, |file| _ = file.as_object_mut().unwrap().remove(field)).unwrap_err();
        assert!(matches!(error, EncryptedKeyError::Malformed(_)), "{field}: {error:?}");
    }
}

#[test]
fn new_files_are_dear_enough_and_within_bounds() {
    let key = EncryptedKey::new(&ConsensusKey::generate(), b"the passphrase").unwrap();
    assert_eq!(key.fields.cost, Cost::NEW);
    EncryptedKey::from_json(key.to_json().as_bytes()).unwrap().decrypt(b"the passphrase").unwrap();
}
