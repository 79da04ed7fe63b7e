#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use alloy_primitives::B256;
use heddle_consensus::{SignState, SignStateRecord, SignStep};
use heddle_primitives::{Height, Round};

const KEY: [u8; 32] = [7; 32];
const CHAIN: B256 = B256::repeat_byte(1);

/// A data directory with a log of three syncs, and a sign state beside it.
struct Files {
    scratch: tempfile::TempDir,
    records: Vec<Vec<u8>>,
    signed: SignStateRecord,
}

impl Files {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let last = SignState {
            height: Height::new(5),
            round: Round::new(2),
            step: SignStep::Precommit,
            digest: B256::repeat_byte(9),
        };
        let signed = SignStateRecord { public_key: KEY, genesis_hash: CHAIN, last: Some(last) };
        let records = Vec::from_iter((1..=3).map(|n| vec![n; 20]));
        let files = Self { scratch, records, signed };
        let (mut log, _) = files.open().unwrap();
        for record in &files.records {
            log.append(record).unwrap();
            log.sync().unwrap();
            log.replace_sign_state(&alloy_rlp::encode(signed)).unwrap();
        }
        files
    }

    fn open(&self) -> Result<(ConsensusFiles, Recovered), ConsensusFilesError> {
        let path = self.scratch.path().join("key.sign-state");
        let store = SignStateStore::open(&path, KEY, CHAIN, !path.exists())?;
        ConsensusFiles::open(self.scratch.path(), Some(store))
    }
}

/// Every byte flipped, and every length that a file could be cut to.
fn damages(good: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..good.len()).flat_map(|index| {
        let mut flipped = good.to_vec();
        flipped[index] ^= 0x40;
        [flipped, good[..index].to_vec()]
    })
}

#[test]
fn a_damaged_log_never_lowers_the_sign_state_and_is_named() {
    let files = Files::new();
    let path = files.scratch.path().join("consensus.log");
    let good = std::fs::read(&path).unwrap();
    let (mut opened, mut refused) = (0, 0);
    for damaged in damages(&good) {
        std::fs::write(&path, &damaged).unwrap();
        match files.open() {
            Ok((_, recovered)) => {
                opened += 1;
                assert_eq!(recovered.sign_state, Some(alloy_rlp::encode(files.signed)));
                assert!(files.records.starts_with(&recovered.records), "{:?}", recovered.records);
            }
            Err(error) => {
                refused += 1;
                let message = error.to_string();
                assert!(message.contains(path.to_str().unwrap()) && message.contains("move it away"), "{message}");
                assert_eq!(std::fs::read(&path).unwrap(), damaged);
            }
        }
    }
    assert!(opened > 0 && refused > 0, "{opened} opened, {refused} refused");
}

#[test]
fn a_damaged_sign_state_is_refused() {
    let files = Files::new();
    let path = files.scratch.path().join("key.sign-state");
    for damaged in damages(&std::fs::read(&path).unwrap()) {
        std::fs::write(&path, &damaged).unwrap();
        let message = files.open().err().unwrap().to_string();
        assert!(message.contains(path.to_str().unwrap()) && message.contains("sign-state import"), "{message}");
    }
}

#[test]
fn a_log_that_replays_to_nothing_is_named() {
    let datadir = Path::new("/data");
    let replay = ConsensusError::Core(CoreError::Replay("another vote".into()));
    let message = ConsensusFilesError::starting(replay, datadir).to_string();
    assert!(message.contains("/data/consensus.log") && message.contains("move it away"), "{message}");
    let other = ConsensusFilesError::starting(ConsensusError::ChainGone, datadir);
    assert!(matches!(other, ConsensusFilesError::Consensus(_)));
}

#[test]
fn a_follower_needs_no_sign_state_and_cannot_write_one() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut files, recovered) = ConsensusFiles::open(scratch.path(), None).unwrap();
    assert_eq!(recovered.sign_state, None);
    assert!(files.replace_sign_state(&[0xc0]).is_err());
}

#[test]
fn a_sign_state_of_an_earlier_version_is_not_overlooked() {
    let files = Files::new();
    let outdated = files.scratch.path().join("sign-state");
    std::fs::write(&outdated, "").unwrap();
    let message = files.open().err().unwrap().to_string();
    assert!(message.contains(outdated.to_str().unwrap()) && message.contains("--unsafe-init-sign-state"), "{message}");
}
