//! The `pending` block.

use crate::node::{LOGGER, TestNode, logging, transaction, user};
use alloy_primitives::{Address, B256};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_can_be_asked_about_as_if_it_had_happened() {
    let node = TestNode::start().await;
    let (payee, topic) = (Address::repeat_byte(0x99), B256::repeat_byte(3));
    let (payment, logging) = (transaction(0, 0, payee, 5, []), logging(1, 0, topic));
    node.send(&payment).await;
    node.send(&logging).await;

    let at = |tag: &str| json!([payee, tag]);
    assert_eq!(node.get("eth_getBalance", at("latest")).await, "0x0");
    assert_eq!(node.get("eth_getBalance", at("pending")).await, "0x5");
    assert_eq!(node.get("eth_getStorageAt", json!([LOGGER, "0x0", "pending"])).await, json!(topic));
    assert_eq!(node.get("eth_getTransactionCount", json!([user(0).address(), "pending"])).await, "0x1");
    assert_ne!(node.get("eth_getCode", json!([LOGGER, "pending"])).await, "0x");

    // BALANCE of the payee, and NUMBER.
    let code = format!("0x73{:x}315f524360205260405ff3", payee);
    let state = json!({LOGGER.to_string(): {"code": code}});
    let seen = node.get("eth_call", json!([{"to": LOGGER}, "pending", state])).await;
    assert_eq!(seen, json!(format!("0x{:064x}{:064x}", 5, 1)));
    let spend = json!({"from": payee, "to": LOGGER, "value": "0x5"});
    assert!(node.error("eth_estimateGas", json!([spend, "latest"])).await.1.contains("insufficient funds"));
    node.get("eth_estimateGas", json!([spend, "pending"])).await;

    let block = node.get("eth_getBlockByNumber", json!(["pending", false])).await;
    assert_eq!(["hash", "nonce", "miner"].map(|name| block[name].clone()), [Value::Null, Value::Null, Value::Null]);
    assert_eq!((&block["number"], block["transactions"].as_array().unwrap().len()), (&json!("0x1"), 2));
    assert_eq!(node.get("eth_getBlockTransactionCountByNumber", json!(["pending"])).await, "0x2");
    let first = node.get("eth_getTransactionByBlockNumberAndIndex", json!(["pending", "0x0"])).await;
    assert_eq!(first["hash"], block["transactions"][0]);
    let receipts = node.get("eth_getBlockReceipts", json!(["pending"])).await;
    assert_eq!((receipts.as_array().unwrap().len(), &receipts[0]["status"]), (2, &json!("0x1")));
    assert_eq!(node.get("eth_blockNumber", json!([])).await, "0x0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_head_has_a_new_pending_block() {
    let node = TestNode::start().await;
    let number = async |tag: &str| node.get("eth_getBlockByNumber", json!([tag, false])).await["number"].clone();
    assert_eq!(number("pending").await, "0x1");
    node.mine().await;
    assert_eq!((number("latest").await, number("pending").await), (json!("0x1"), json!("0x2")));
}
