#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;

#[test]
fn a_new_key_has_a_fresh_sign_state_and_overwrites_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("keys/validator.key");
    let key = KeyFile::Plain(ConsensusKey::generate());
    create(&path, &key).unwrap();
    assert_eq!(KeyFile::read(&path).unwrap().public_key(), key.public_key());
    let record = SignStateStore::read(&sign_state_path(&path)).unwrap().unwrap();
    assert_eq!((record.public_key, record.last), (key.public_key().to_bytes(), None));

    let other = KeyFile::Plain(ConsensusKey::generate());
    assert!(matches!(create(&path, &other), Err(KeyFileError::File(FileError::Exists(_)))));
    // What is left of a key that somebody removed.
    std::fs::remove_file(&path).unwrap();
    let error = create(&path, &other).unwrap_err();
    assert!(matches!(error, KeyFileError::SignState(SignStateError::Exists(_))), "{error}");
    assert!(!path.exists());
    assert_eq!(SignStateStore::read(&sign_state_path(&path)).unwrap(), Some(record));
}

#[test]
fn every_form_of_a_key_is_read_and_no_other() {
    let path = Path::new("validator.key");
    let key = ConsensusKey::generate();
    for text in [format!("0x{}", *key.to_hex()), format!(" {}\n", *key.to_hex()), key.to_hex().to_uppercase()] {
        assert_eq!(KeyFile::parse(text.as_bytes(), path).unwrap().public_key(), key.public_key());
    }
    let half = &key.to_hex()[..32];
    let garbage: [&[u8]; 5] = [b"", half.as_bytes(), b"\xff\xfe\x00", b"{}", b"{\"secret\": 1"];
    for content in garbage {
        let error = KeyFile::parse(content, path).unwrap_err().to_string();
        assert!(error.contains("validator.key") && !error.contains(half), "{error}");
    }
}

#[test]
fn no_form_of_a_key_shows_its_secret() {
    let key = ConsensusKey::generate();
    let secret = key.to_hex();
    let plain = KeyFile::Plain(key.clone());
    let validator = ValidatorKey { key: key.clone(), sign_state: PathBuf::new(), init_sign_state: false };
    let bytes = Vec::from_iter(hex::decode(secret.as_str()).unwrap().iter().map(u8::to_string)).join(", ");
    for shown in [format!("{key:?}"), format!("{plain:?}"), format!("{validator:?}")] {
        assert!(!shown.contains(secret.as_str()) && !shown.contains(&bytes), "{shown}");
        assert!(shown.contains(&hex::encode(key.public_key().as_bytes())), "{shown}");
    }
}

#[test]
fn a_network_key_is_made_once_and_never_overwritten() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("data/node.key");
    let made = load_or_create_node_key(&path).unwrap();
    assert_eq!(load_or_create_node_key(&path).unwrap().peer_id(), made.peer_id());

    let broken = scratch.path().join("broken.key");
    file::create(&broken, b"not a key").unwrap();
    let error = load_or_create_node_key(&broken).err().unwrap().to_string();
    assert!(error.contains("broken.key") && error.contains("found 9 characters"), "{error}");
    assert_eq!(std::fs::read(&broken).unwrap(), b"not a key");
}

mod sign_state {
    use super::*;
    use heddle_consensus::{SignState, SignStateRecord, SignStep};
    use heddle_primitives::{Height, Round};

    const KEY: [u8; 32] = [7; 32];
    const CHAIN: B256 = B256::repeat_byte(1);

    fn signed(height: u64) -> SignState {
        let height = Height::new(height);
        SignState { height, round: Round::ZERO, step: SignStep::Prevote, digest: B256::repeat_byte(9) }
    }

    fn content(last: SignState) -> Vec<u8> {
        alloy_rlp::encode(SignStateRecord { public_key: KEY, genesis_hash: CHAIN, last: Some(last) })
    }

    fn refusal(path: &Path, key: [u8; 32], chain: B256, init: bool) -> String {
        SignStateStore::open(path, key, chain, init).unwrap_err().to_string()
    }

    #[test]
    fn a_key_without_one_is_refused_unless_told() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("sign-state");
        let message = refusal(&path, KEY, CHAIN, false);
        assert!(message.contains("--unsafe-init-sign-state") && message.contains(path.to_str().unwrap()), "{message}");
        assert!(!path.exists());
        assert_eq!(SignStateStore::open(&path, KEY, CHAIN, true).unwrap().record().last, None);
        SignStateStore::open(&path, KEY, CHAIN, false).unwrap();
    }

    #[test]
    fn what_was_signed_stays_whatever_the_start_is_told() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("sign-state");
        SignStateStore::create(&path, KEY).unwrap();
        let mut store = SignStateStore::open(&path, KEY, CHAIN, false).unwrap();
        store.replace(&content(signed(5))).unwrap();
        assert!(refusal(&path, KEY, CHAIN, true).contains("in use by another process"));
        assert_eq!(SignStateStore::read(&path).unwrap().unwrap().last, Some(signed(5)));
        drop(store);
        assert_eq!(SignStateStore::open(&path, KEY, CHAIN, true).unwrap().record().last, Some(signed(5)));
        assert!(matches!(SignStateStore::create(&path, KEY), Err(SignStateError::Exists(_))));
    }

    #[test]
    fn that_of_another_key_or_chain_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("sign-state");
        drop(SignStateStore::open(&path, KEY, CHAIN, true).unwrap());
        for (key, chain, word) in [([8; 32], CHAIN, "key"), (KEY, B256::repeat_byte(2), "genesis hash")] {
            let message = refusal(&path, key, chain, true);
            assert!(message.contains(word) && message.contains("--sign-state"), "{message}");
        }
    }

    #[test]
    fn damage_is_refused_with_the_repair_and_never_taken_for_absence() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("sign-state");
        let mut store = SignStateStore::open(&path, KEY, CHAIN, true).unwrap();
        store.replace(&content(signed(5))).unwrap();
        drop(store);
        let good = std::fs::read(&path).unwrap();
        for index in 0..good.len() {
            let mut flipped = good.clone();
            flipped[index] ^= 0x10;
            for bad in [&flipped[..], &good[..index]] {
                std::fs::write(&path, bad).unwrap();
                let message = refusal(&path, KEY, CHAIN, true);
                assert!(message.contains(path.to_str().unwrap()) && message.contains("sign-state import"), "{message}");
                assert_eq!(std::fs::read(&path).unwrap(), bad, "what is left of it stays for whoever can read it");
            }
        }
        // Intact as a file, and of another make.
        let (mut file, _) = heddle_storage::SignStateFile::open(&scratch.path().join("other")).unwrap();
        file.replace(b"something").unwrap();
        drop(file);
        assert!(refusal(&scratch.path().join("other"), KEY, CHAIN, true).contains("holds no sign state"));
    }
}
