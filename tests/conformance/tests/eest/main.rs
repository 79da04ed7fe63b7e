//! The runner on small fixtures in the formats of execution-spec-tests: right ones pass, and each fault is found.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod fixture;
mod pow;

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, hex};
use fixture::{
    CALLEE, SENDER, blockchain_test, engine_test, engine_x_test, genesis_hash, pre_alloc_group, state_test,
    transaction, transaction_test,
};
use heddle_conformance::{Mode, Options, Verdict, files, run};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Mutex;

/// The verdicts on the files of a directory.
fn judge_directory(directory: &Path) -> Vec<Verdict> {
    let verdicts = Mutex::new(Vec::new());
    let options = Options { mode: Mode::Sequential, threads: 1, strict_exceptions: true };
    let files = files(&[directory.to_owned()]).unwrap();
    run(&files, &options, |_, case| verdicts.lock().unwrap().push(case.verdict.clone()), || {}).unwrap();
    verdicts.into_inner().unwrap()
}

/// The verdict on a file of one case.
fn judge(test: Value) -> Verdict {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("test.json"), json!({"test": test}).to_string()).unwrap();
    let mut verdicts = judge_directory(directory.path());
    assert_eq!(verdicts.len(), 1, "{verdicts:?}");
    verdicts.remove(0)
}

fn assert_failed(test: Value, expected: &str) {
    match judge(test) {
        Verdict::Failed(reason) => assert!(reason.contains(expected), "{reason:?} does not contain {expected:?}"),
        other => panic!("{other:?}, expected a failure with {expected:?}"),
    }
}

/// The fixture with another value at a place.
fn with(mut test: Value, pointer: &str, value: Value) -> Value {
    *test.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
    test
}

/// The fixture with a new key in an object.
fn plus(mut test: Value, pointer: &str, key: &str, value: Value) -> Value {
    test.pointer_mut(pointer).unwrap()[key] = value;
    test
}

#[test]
fn state_tests_are_judged() {
    assert_eq!(judge(state_test()), Verdict::Passed);
    assert_failed(with(state_test(), "/post/Prague/0/hash", json!(B256::ZERO)), "state root");
    assert_failed(with(state_test(), "/post/Prague/0/logs", json!(B256::ZERO)), "logs hash");
    let gas = "/post/Prague/0/receipt/cumulativeGasUsed";
    assert_failed(with(state_test(), gas, json!("0x01")), "gas used");
    assert_failed(with(state_test(), "/transaction/value/0", json!("0x02")), "another value");
    assert_failed(with(state_test(), "/transaction/sender", json!(CALLEE)), "expected sender");
    assert_failed(with(state_test(), "/env/currentBaseFee", json!("0xff")), "expected a valid transaction");
    assert_failed(with(state_test(), "/env/currentNumber", json!("many")), "not a state test");
    let missing = plus(state_test(), "/post/Prague/0", "expectException", json!("TransactionException.NONCE_IS_MAX"));
    assert_failed(missing, "but the transaction was executed");
}

#[test]
fn state_tests_with_an_exception_leave_the_state() {
    let bytes = hex::encode_prefixed(transaction(20_999).encoded_2718());
    let mut test = with(state_test(), "/post/Prague/0/txbytes", json!(bytes));
    test["transaction"]["gasLimit"][0] = json!("0x5207");
    let name = "TransactionException.INTRINSIC_GAS_TOO_LOW";
    let test = plus(test, "/post/Prague/0", "expectException", json!(name));
    assert_failed(test.clone(), "state root");
    let before = test["pre"].clone();
    let test = with(test, "/post/Prague/0/state", before);
    let unchanged = blockchain_test()["genesisBlockHeader"]["stateRoot"].clone();
    let test = with(test, "/post/Prague/0/hash", unchanged);
    assert_eq!(judge(test.clone()), Verdict::Passed);
    let other = json!("TransactionException.NONCE_IS_MAX|TransactionException.SENDER_NOT_EOA");
    let test = with(test, "/post/Prague/0/expectException", other);
    assert!(matches!(judge(test), Verdict::PassedForOtherReason(_)));
}

#[test]
fn blockchain_tests_are_judged() {
    assert_eq!(judge(blockchain_test()), Verdict::Passed);
    assert_failed(with(blockchain_test(), "/lastblockhash", json!(genesis_hash())), "last block");
    let balance = format!("/postState/{SENDER}/balance");
    assert_failed(with(blockchain_test(), &balance, json!("0x01")), "account");
    let mut shorter = blockchain_test();
    shorter["postState"].as_object_mut().unwrap().remove(&CALLEE.to_string());
    assert_failed(shorter, "does not list");
    assert_failed(with(blockchain_test(), "/genesisBlockHeader/hash", json!(B256::ZERO)), "genesis");
    assert_failed(with(blockchain_test(), "/genesisBlockHeader/gasLimit", json!("0x5209")), "genesis");
    let valid = blockchain_test()["blocks"][1]["rlp"].clone();
    assert_failed(with(blockchain_test(), "/blocks/0/rlp", valid), "but the block was imported");
    let invalid = blockchain_test()["blocks"][0]["rlp"].clone();
    assert_failed(with(blockchain_test(), "/blocks/1/rlp", invalid), "expected valid, refused: state root");
    assert_failed(with(blockchain_test(), "/blocks/1/rlp", json!("0xc0")), "block RLP");
    assert_failed(with(blockchain_test(), "/network", json!("Nowhere")), "not known");
    let misnamed = with(blockchain_test(), "/blocks/0/expectException", json!("BlockException.INVALID_GASLIMIT"));
    assert!(matches!(judge(misnamed), Verdict::PassedForOtherReason(_)));
}

#[test]
fn old_blockchain_tests_name_no_exception() {
    let mut test = blockchain_test();
    test["blocks"][0].as_object_mut().unwrap().remove("expectException");
    assert!(matches!(judge(test), Verdict::PassedForOtherReason(_)));
}

#[test]
fn before_the_merge_the_most_difficult_chain_wins() {
    assert_eq!(judge(pow::fork_test(201)), Verdict::Passed);
    // The first of two equals stays.
    assert_failed(pow::fork_test(200), "last block");
}

#[test]
fn proof_of_work_is_not_judged() {
    let mut test = pow::fork_test(201);
    test["blocks"][2]["expectException"] = json!("BlockException.INVALID_DIFFICULTY");
    assert!(matches!(judge(test.clone()), Verdict::Skipped(_)));
    test["blocks"][2]["expectException"] = json!("BlockException.INVALID_STATE_ROOT");
    assert_failed(test, "but the block was imported");
}

#[test]
fn engine_tests_are_judged() {
    assert_eq!(judge(engine_test()), Verdict::Passed);
    let payload = "/engineNewPayloads/0/params";
    let requests = format!("{payload}/3");
    let faults = [
        (format!("{payload}/0/blockHash"), json!(B256::ZERO), "blockHash"),
        (format!("{payload}/1"), json!([]), "versioned hashes"),
        (format!("{payload}/2"), json!(B256::ZERO), "blockHash"),
        (requests.clone(), json!(["0x0001", "0x0002"]), "out of order"),
        (requests.clone(), json!(["0x01"]), "empty or out of order"),
        (requests, json!(["0x0001"]), "blockHash"),
        (format!("{payload}/0/transactions/0"), json!("0x03c0"), "transaction"),
        ("/lastblockhash".to_owned(), json!(genesis_hash()), "last block"),
    ];
    for (pointer, value, expected) in faults {
        assert_failed(with(engine_test(), &pointer, value), expected);
    }
}

#[test]
fn engine_tests_with_an_error_end_where_they_began() {
    let test = with(engine_test(), "/engineNewPayloads/0/params/1", json!([]));
    let test = with(test, "/lastblockhash", json!(genesis_hash()));
    let before = test["pre"].clone();
    let test = with(test, "/postState", before);
    let error = json!("BlockException.INVALID_VERSIONED_HASHES");
    assert_eq!(judge(plus(test.clone(), "/engineNewPayloads/0", "validationError", error)), Verdict::Passed);
    assert_failed(test, "expected valid");
    let error = json!("BlockException.INVALID_VERSIONED_HASHES");
    assert_failed(plus(engine_test(), "/engineNewPayloads/0", "validationError", error), "but the block was imported");
}

#[test]
fn engine_tests_may_share_their_first_state() {
    let directory = tempfile::tempdir().unwrap();
    let tests = directory.path().join("prague").join("eip4844");
    let groups = directory.path().join("pre_alloc");
    std::fs::create_dir_all(&tests).unwrap();
    std::fs::create_dir_all(&groups).unwrap();
    std::fs::write(tests.join("test.json"), json!({"test": engine_x_test("0xabcd")}).to_string()).unwrap();
    std::fs::write(groups.join("0xabcd.json"), pre_alloc_group().to_string()).unwrap();
    assert_eq!(judge_directory(directory.path()), [Verdict::Passed]);
    std::fs::write(tests.join("test.json"), json!({"test": engine_x_test("0xdcba")}).to_string()).unwrap();
    assert!(matches!(&judge_directory(directory.path())[..], [Verdict::Failed(_)]));
}

#[test]
fn transaction_tests_are_judged() {
    assert_eq!(judge(transaction_test()), Verdict::Passed);
    assert_failed(with(transaction_test(), "/result/Prague/hash", json!(B256::ZERO)), "hash");
    assert_failed(with(transaction_test(), "/result/Prague/sender", json!(CALLEE)), "sender");
    assert_failed(with(transaction_test(), "/result/Prague/intrinsicGas", json!("0x5207")), "is refused");
    assert_failed(with(transaction_test(), "/result/Prague/intrinsicGas", json!("0x5209")), "is valid");
    assert_failed(with(transaction_test(), "/txbytes", json!("0x03c0")), "expected a valid transaction");
    let shanghai = json!({"Shanghai": {"exception": "TransactionException.TYPE_3_TX_PRE_FORK"}});
    assert_eq!(judge(with(transaction_test(), "/result", shanghai)), Verdict::Passed);
    let exception = json!({"Prague": {"exception": "TransactionException.INTRINSIC_GAS_TOO_LOW"}});
    assert_failed(with(transaction_test(), "/result", exception), "but the transaction is valid");
}

#[test]
fn files_that_are_no_tests_are_failures_unless_known() {
    assert_failed(json!({"unknown": "content"}), "no known fixture format");
    let directory = tempfile::tempdir().unwrap();
    let meta = directory.path().join(".meta");
    std::fs::create_dir(&meta).unwrap();
    std::fs::write(meta.join("fixtures.json"), "{}").unwrap();
    std::fs::write(directory.path().join("index.json"), "[]").unwrap();
    std::fs::write(directory.path().join("notes.txt"), "").unwrap();
    assert_eq!(judge_directory(directory.path()), []);
    std::fs::write(directory.path().join("list.json"), "[]").unwrap();
    std::fs::write(directory.path().join("text.json"), "no JSON").unwrap();
    let verdicts = judge_directory(directory.path());
    assert!(matches!(&verdicts[..], [Verdict::Failed(_), Verdict::Failed(_)]), "{verdicts:?}");
}

#[test]
fn tries_and_rlp_are_judged() {
    let root = json!("0x8aad789dff2f538bca5d8ea56e8abe10f4c7ba3a5dea95fea4cd6e7c3a1168d3");
    let dogs = json!({"in": {"horse": "stallion"}, "root": root});
    assert_failed(dogs, "root");
    let empty = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";
    assert_eq!(judge(json!({"in": [["a", "b"], ["a", null]], "root": empty})), Verdict::Passed);
    assert_eq!(judge(json!({"in": ["cat", ["#256", 1]], "out": "0xc983636174c482010001"})), Verdict::Passed);
    assert_failed(json!({"in": ["dog"], "out": "0xc483636174"}), "decoded");
    assert_eq!(judge(json!({"in": "INVALID", "out": "0x8100"})), Verdict::Passed);
    assert_failed(json!({"in": "INVALID", "out": "0x820102"}), "expected invalid RLP");
    assert_failed(json!({"in": "VALID", "out": "0x8201"}), "expected valid RLP");
}
