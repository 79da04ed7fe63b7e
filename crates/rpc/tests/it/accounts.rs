//! Accounts whose keys the node holds.

use crate::node::{LOGGER, REVERTER, TestNode, user};
use alloy_primitives::{Address, B256};
use heddle_rpc::{DevAccounts, RpcConfig};
use serde_json::{Value, json};

async fn dev_node() -> TestNode {
    let accounts = DevAccounts::new(vec![user(0), user(1)]);
    TestNode::start_with(RpcConfig { port: 0, ..RpcConfig::default() }, Some(accounts)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_development_node_has_accounts() {
    let node = TestNode::start().await;
    assert_eq!(node.get("eth_accounts", json!([])).await, json!([]));
    let transfer = json!([{"from": user(0).address(), "to": Address::repeat_byte(1), "value": "0x5"}]);
    assert_eq!(node.error("eth_sendTransaction", transfer).await, (-32000, "unknown account".to_owned()));
    let node = dev_node().await;
    assert_eq!(node.get("eth_accounts", json!([])).await, json!([user(0).address(), user(1).address()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_leaves_open_is_filled_in() {
    let node = dev_node().await;
    let (from, to) = (user(0).address(), Address::repeat_byte(1));
    let mut hashes = Vec::new();
    for request in [
        json!({"from": from, "to": to, "value": "0x5"}),
        json!({"from": from, "to": LOGGER, "data": B256::repeat_byte(1), "gasPrice": "0xb2d05e00"}),
        json!({"from": from, "data": "0x60015ff3", "nonce": "0x2", "gas": "0x30d40"}),
    ] {
        hashes.push(node.get("eth_sendTransaction", json!([request])).await);
    }
    node.mine();
    for (index, (hash, kind)) in hashes.iter().zip(["0x2", "0x0", "0x2"]).enumerate() {
        let receipt = node.get("eth_getTransactionReceipt", json!([hash])).await;
        assert_eq!((&receipt["status"], &receipt["type"]), (&json!("0x1"), &json!(kind)), "{receipt}");
        let sent = node.get("eth_getTransactionByHash", json!([hash])).await;
        assert_eq!((&sent["nonce"], &sent["from"]), (&json!(format!("{index:#x}")), &json!(from)));
    }
    assert_eq!(node.get("eth_getBalance", json!([to, "latest"])).await, "0x5");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_says_why() {
    let node = dev_node().await;
    let from = user(0).address();
    let error = async |request: Value| node.error("eth_sendTransaction", json!([request])).await;
    assert_eq!(error(json!({"from": user(2).address()})).await, (-32000, "unknown account".to_owned()));
    assert_eq!(error(json!({"to": LOGGER})).await, (-32000, "unknown account".to_owned()));
    let (code, message) = error(json!({"from": from, "to": LOGGER, "chainId": "0x1"})).await;
    assert_eq!((code, message.as_str()), (-32000, "chainId does not match node's (have=1, want=31337)"));
    assert_eq!(error(json!({"from": from, "to": REVERTER})).await.0, 3);
    let both = json!({"from": from, "to": LOGGER, "gasPrice": "0x1", "maxFeePerGas": "0x1"});
    assert!(error(both).await.1.starts_with("both gasPrice and"));
}
