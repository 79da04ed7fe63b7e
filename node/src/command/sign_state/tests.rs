#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use alloy_primitives::B256;
use heddle_consensus::{SignState, SignStep};
use heddle_primitives::{Height, Round};

const KEY: [u8; 32] = [7; 32];
const CHAIN: B256 = B256::repeat_byte(1);

fn record(height: u64, digest: u8) -> SignStateRecord {
    let last = SignState {
        height: Height::new(height),
        round: Round::new(3),
        step: SignStep::Prevote,
        digest: B256::repeat_byte(digest),
    };
    SignStateRecord { public_key: KEY, genesis_hash: CHAIN, last: Some(last) }
}

#[test]
fn a_record_survives_its_json() {
    for record in [SignStateRecord::fresh(KEY), record(u64::MAX, 1)] {
        let text = json!(SignStateExport::from(record)).to_string();
        assert_eq!(serde_json::from_str::<SignStateExport>(&text).unwrap().record(), Ok(record), "{text}");
    }
}

#[test]
fn half_an_export_is_refused() {
    let whole = json!(SignStateExport::from(record(5, 1)));
    let parse = |json: Value| serde_json::from_value::<SignStateExport>(json).map_err(|e| e.to_string())?.record();
    for field in ["format", "publicKey", "genesisHash", "height", "round", "step", "digest"] {
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove(field);
        parse(without).unwrap_err();
    }
    for (field, value) in [
        ("format", json!("heddle-sign-state/2")),
        ("height", Value::Null),
        ("height", json!(-1)),
        ("step", json!("commit")),
        ("genesisHash", json!(B256::ZERO)),
        ("surplus", json!(1)),
    ] {
        let mut changed = whole.clone();
        changed[field] = value;
        parse(changed).unwrap_err();
    }
}

#[test]
fn the_higher_of_the_two_wins() {
    for (here, there, merged) in [(4, 5, 5), (5, 4, 5), (5, 5, 5)] {
        let mut record_here = record(here, 1);
        merge(&mut record_here, &record(there, 1)).unwrap();
        assert_eq!(record_here, record(merged, 1));
    }
    let mut fresh = SignStateRecord::fresh(KEY);
    merge(&mut fresh, &record(5, 1)).unwrap();
    assert_eq!(fresh, record(5, 1));
    merge(&mut fresh, &SignStateRecord::fresh(KEY)).unwrap();
    assert_eq!(fresh, record(5, 1));
}

#[test]
fn contradictions_are_refused() {
    let mut here = record(5, 1);
    assert!(merge(&mut here, &record(5, 2)).unwrap_err().contains("two machines"));
    let elsewhere = SignStateRecord { genesis_hash: B256::repeat_byte(2), ..record(9, 1) };
    assert!(merge(&mut here, &elsewhere).unwrap_err().contains("genesis hash"));
    assert_eq!(here, record(5, 1));
}
