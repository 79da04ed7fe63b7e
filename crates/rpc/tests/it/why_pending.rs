//! `heddle_whyPending` and `heddle_syncState`.

use crate::node::{LOGGER, TestNode, transaction, transaction_of, user};
use alloy_primitives::{B256, TxHash, U64, U256};
use heddle_primitives::ValidatorAddress;
use heddle_rpc::{Ballot, ConsensusPosition, ConsensusReport, ConsensusStep, Nil, SyncProgress, ValidatorReport};
use serde_json::{Value, json};

async fn why(node: &TestNode, hash: impl Into<TxHash>) -> Value {
    node.get("heddle_whyPending", json!([hash.into()])).await
}

fn says(answer: &Value, words: &str) {
    assert!(answer["sentence"].as_str().unwrap().contains(words), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_nothing_keeps_is_mined() {
    let node = TestNode::start().await;
    let sent = node.send(&transaction(0, 0, LOGGER, 0, [])).await;
    assert_eq!(why(&node, sent).await["reason"], "next-block");
    node.mine().await;
    let answer = why(&node, sent).await;
    assert_eq!((&answer["reason"], &answer["blockNumber"]), (&json!("mined"), &json!("0x1")));
    let answer = why(&node, B256::ZERO).await;
    assert_eq!(answer["reason"], "unknown");
    says(&answer, "send it again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_senders_other_transactions_and_funds_count() {
    let node = TestNode::start().await;
    let gapped = node.send(&transaction(0, 2, LOGGER, 0, [])).await;
    node.send(&transaction(0, 0, LOGGER, 0, [])).await;
    let answer = why(&node, gapped).await;
    assert_eq!((&answer["reason"], &answer["missing"]), (&json!("nonce-gap"), &json!("0x1")));
    says(&answer, "transaction with nonce 1 is missing");

    // The balance pays for either of them and not for both.
    let most = U256::from(crate::node::BALANCE) * U256::from(2) / U256::from(3);
    node.send(&transaction_of(1, 0, 20_000_000_000, 2_000_000_000, U256::from(1))).await;
    node.send(&transaction_of(1, 2, 20_000_000_000, 2_000_000_000, most)).await;
    let dear = transaction_of(1, 1, 20_000_000_000, 2_000_000_000, most);
    node.send(&dear).await;
    let third = node.mempool.content_from(user(1).address()).queued[0].hash();
    let answer = why(&node, third).await;
    assert_eq!(answer["reason"], "insufficient-funds");
    says(&answer, "wei more");
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_count() {
    let node = TestNode::start().await;
    let base_fee = u128::from(node.chain.head().next_base_fee);
    let cheap = node.send(&transaction_of(0, 0, base_fee - 1, 1, U256::ZERO)).await;
    let behind = node.send(&transaction(0, 1, LOGGER, 0, [])).await;
    let answer = why(&node, cheap).await;
    assert_eq!((&answer["reason"], &answer["isOwn"]), (&json!("fee-cap-too-low"), &json!(true)));
    let answer = why(&node, behind).await;
    assert_eq!((&answer["reason"], &answer["isOwn"]), (&json!("fee-cap-too-low"), &json!(false)));
    says(&answer, "with nonce 0 goes before it");

    // More than a block of gas that pays more: each asks for 200,000 of 30,000,000.
    for nonce in 0..150 {
        node.mempool
            .submit(&crate::node::raw(&transaction(1, nonce, LOGGER, 0, [])), heddle_mempool::Origin::Local)
            .unwrap();
    }
    let outbid = node.send(&transaction_of(2, 0, 20_000_000_000, 1, U256::ZERO)).await;
    let answer = why(&node, outbid).await;
    assert_eq!((&answer["reason"], &answer["ahead"]), (&json!("tip-too-low"), &json!("0x96")), "{answer}");
    assert_eq!(answer["tipOfBlock"], json!(U256::from(2_000_000_000)));
    says(&answer, "tips more than 2000000000");
}

/// Consensus at height 1 since the beginning of time; one of two validators votes.
fn silent_half() -> ConsensusReport {
    let validator = |byte, prevote| ValidatorReport {
        address: ValidatorAddress::repeat_byte(byte),
        power: U64::from(1),
        is_own: false,
        prevote,
        precommit: None,
        last_vote: None,
    };
    ConsensusReport {
        position: ConsensusPosition {
            height: U64::from(1),
            round: U64::from(3),
            step: ConsensusStep::Prevote,
            height_since: U64::ZERO,
            since: U64::ZERO,
        },
        proposer: ValidatorAddress::repeat_byte(1),
        proposal: None,
        total_power: U64::from(2),
        quorum_power: U64::from(2),
        refusal: None,
        validators: vec![validator(1, Some(Ballot::Nil(Nil::Nil))), validator(2, None)],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_stands_still_is_named_before_prices() {
    let node = TestNode::start().await;
    let sent = node.send(&transaction(0, 0, LOGGER, 0, [])).await;
    *node.status.consensus.lock() = Some(silent_half());
    let answer = why(&node, sent).await;
    assert_eq!((&answer["reason"], &answer["votedPower"]), (&json!("stalled"), &json!("0x1")));
    assert_eq!(answer["silent"], json!([ValidatorAddress::repeat_byte(2)]));
    says(&answer, "2 decides");

    let progress = SyncProgress { starting: 0, current: 5, highest: 9, state: None };
    *node.status.progress.lock() = Some(progress);
    let answer = why(&node, sent).await;
    assert_eq!((&answer["reason"], &answer["highest"]), (&json!("syncing"), &json!("0x9")));
    let state = node.get("heddle_syncState", json!([])).await;
    assert_eq!((&state["syncing"], &state["progress"]["highest"]), (&json!(true), &json!("0x9")));
    assert_eq!((&state["blocksFrom"], &state["head"]["number"]), (&json!("0x0"), &json!("0x0")));
    *node.status.progress.lock() = None;
    let state = node.get("heddle_syncState", json!([])).await;
    assert_eq!((&state["syncing"], &state["progress"]), (&json!(false), &Value::Null));
}
