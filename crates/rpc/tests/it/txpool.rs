//! The `txpool` namespace.

use crate::node::{LOGGER, TestNode, legacy, transaction, user};
use alloy_primitives::TxKind;
use heddle_rpc::{RpcConfig, RpcLimits};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_shown_by_sender_and_nonce() {
    let node = TestNode::start().await;
    let created = legacy(0, 0, TxKind::Create, [0]);
    let waiting = transaction(0, 12, LOGGER, 7, []);
    let other = transaction(1, 0, LOGGER, 7, []);
    for sent in [&created, &waiting, &other] {
        node.send(sent).await;
    }
    assert_eq!(node.get("txpool_status", json!([])).await, json!({"pending": "0x2", "queued": "0x1"}));

    // Keys are checksummed addresses and decimal nonces.
    let (sender, second) = (user(0).address().to_string(), user(1).address().to_string());
    let content = node.get("txpool_content", json!([])).await;
    assert_eq!(content["pending"][&sender]["0"]["hash"], json!(created.tx_hash()));
    assert_eq!(content["pending"][&second]["0"]["hash"], json!(other.tx_hash()));
    assert_eq!(content["queued"][&sender]["12"]["hash"], json!(waiting.tx_hash()));
    assert_eq!(content["queued"][&sender]["12"]["blockNumber"], Value::Null);
    let from = node.get("txpool_contentFrom", json!([user(0).address()])).await;
    assert_eq!(from, json!({"pending": content["pending"][&sender], "queued": content["queued"][&sender]}));
    let nobody = node.get("txpool_contentFrom", json!([LOGGER])).await;
    assert_eq!(nobody, json!({"pending": {}, "queued": {}}));

    let inspected = node.get("txpool_inspect", json!([])).await;
    assert_eq!(inspected["pending"][&sender]["0"], "contract creation: 0 wei + 200000 gas × 3000000000 wei");
    let expected = format!("{}: 7 wei + 200000 gas × 20000000000 wei", LOGGER.to_checksum(None));
    assert_eq!(inspected["queued"][&sender]["12"], json!(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_bounded() {
    let limits = RpcLimits { response_bytes: 1_000, ..RpcLimits::default() };
    let node = TestNode::start_with(RpcConfig { port: 0, limits, ..RpcConfig::default() }, None).await;
    node.send(&transaction(0, 0, LOGGER, 7, [0; 100])).await;
    for (method, params) in [("txpool_content", json!([])), ("txpool_contentFrom", json!([user(0).address()]))] {
        let (code, message) = node.error(method, params).await;
        assert!(code == -32005 && message.contains("more than the 1000"), "{method}: {message}");
    }
    assert!(node.get("txpool_inspect", json!([])).await["pending"].is_object());
}
