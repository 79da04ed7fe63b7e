//! `heddle_getValidators`, `heddle_getCommit`, `heddle_getEvidence`.

use crate::node::{EPOCH_LENGTH, FEE_RECIPIENT, TestNode, keys, validator_key};
use alloy_primitives::{Address, B256, Bytes, hex};
use heddle_primitives::{
    Evidence, Height, Round, SignedVote, Validator, ValidatorAddress, Vote, VoteKind, decode_exact,
};
use serde_json::{Value, json};

fn validator() -> ValidatorAddress {
    Validator::new(validator_key().public_key(), 1, Address::ZERO).address
}

#[tokio::test(flavor = "multi_thread")]
async fn the_validators_of_a_height() {
    let node = TestNode::start().await;
    node.mine().await;
    let expected = |number: u64| {
        json!({
            "number": format!("{number:#x}"),
            "epoch": "0x0",
            "totalPower": "0x1",
            "validators": [{
                "address": validator(),
                "publicKey": B256::from(validator_key().public_key().to_bytes()),
                "power": "0x1",
                "feeRecipient": FEE_RECIPIENT,
            }],
        })
    };
    let last = format!("{EPOCH_LENGTH:#x}");
    let table = [
        (json!([]), 1),
        (json!(["latest"]), 1),
        (json!(["pending"]), 2),
        (json!(["earliest"]), 0),
        (json!(["0x1"]), 1),
        (json!([last]), EPOCH_LENGTH),
    ];
    for (params, number) in table {
        assert_eq!(node.get("heddle_getValidators", params.clone()).await, expected(number), "{params}");
    }
    let beyond = json!([format!("{:#x}", EPOCH_LENGTH + 1)]);
    assert_eq!(node.get("heddle_getValidators", beyond).await, Value::Null, "nobody knows yet");
    assert_eq!(node.error("heddle_getValidators", json!(["tomorrow"])).await.0, -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_the_certificate_of_its_block() {
    let node = TestNode::start().await;
    let block = node.mine().await;
    let commit = node.get("heddle_getCommit", json!(["0x1"])).await;
    let certificate = node.chain.certificate(1).unwrap().unwrap();
    let signature = Bytes::from(certificate.signatures[0].signature.as_bytes().to_vec());
    let expected = json!({
        "height": "0x1", "round": "0x0", "blockHash": block.header.seal(),
        "signatures": [{"validator": validator(), "signature": signature}],
    });
    assert_eq!(commit, expected);
    assert_eq!(node.get("heddle_getCommit", json!(["latest"])).await, expected);
    assert_eq!(node.get("heddle_getCommit", json!(["0x0"])).await, Value::Null);
    assert_eq!(node.get("heddle_getCommit", json!(["0x2"])).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_waits_and_is_then_in_a_block() {
    let node = TestNode::start().await;
    node.mine().await;
    let context = node.chain.signing_context();
    let vote = |block_hash| {
        let (height, kind) = (Height::new(1), VoteKind::Prevote);
        let vote = Vote { height, round: Round::new(2), kind, block_hash, validator: validator() };
        SignedVote::sign(vote, &validator_key(), &context)
    };
    let evidence = Evidence::of_votes(vote(None), vote(Some(B256::ZERO)), &context);
    assert!(node.chain.add_evidence(evidence.clone()).unwrap());
    let all = node.get("heddle_getEvidence", json!([])).await;
    assert_eq!(all["included"], json!([]));
    let waiting = &all["pending"][0];
    assert_eq!(keys(waiting), ["hash", "height", "kind", "raw", "round", "validator"]);
    assert_eq!(
        (&waiting["kind"], &waiting["height"], &waiting["round"]),
        (&json!("votes"), &json!("0x1"), &json!("0x2"))
    );
    assert_eq!((&waiting["validator"], &waiting["hash"]), (&json!(validator()), &json!(evidence.digest())));
    let raw = hex::decode(waiting["raw"].as_str().unwrap()).unwrap();
    assert_eq!(decode_exact::<Evidence>(&raw, 1_024), Ok(evidence));

    node.mine().await;
    let all = node.get("heddle_getEvidence", json!(["0x0", "latest"])).await;
    assert_eq!((&all["pending"], &all["included"][0]["blockNumber"]), (&json!([]), &json!("0x2")));
    let none = node.get("heddle_getEvidence", json!(["0x0", "0x1"])).await;
    assert_eq!(none["included"], json!([]));
    assert_eq!(node.error("heddle_getEvidence", json!(["0x2", "0x1"])).await.0, -32000);
    assert_eq!(node.error("heddle_getEvidence", json!(["0x0", "0xffffffff"])).await.0, -32005);
}
