//! Accounts whose keys the node holds.

use crate::node::{LOGGER, REVERTER, TestNode, transaction, user};
use alloy_consensus::transaction::SignerRecoverable;
use alloy_eips::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature};
use heddle_primitives::Transaction;
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
    node.mine().await;
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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_is_not_sent() {
    let node = dev_node().await;
    let from = user(0).address();
    let request = json!({
        "from": from, "to": LOGGER, "nonce": "0x3", "gas": "0x5208", "maxFeePerGas": "0x77359400",
        "maxPriorityFeePerGas": "0x1"
    });
    let signed = node.get("eth_signTransaction", json!([request])).await;
    let raw: Bytes = serde_json::from_value(signed["raw"].clone()).unwrap();
    let decoded = Transaction::decode_2718_exact(&raw).unwrap();
    assert_eq!(decoded.recover_signer().unwrap(), from);
    assert_eq!((&signed["tx"]["hash"], &signed["tx"]["nonce"]), (&json!(decoded.tx_hash()), &json!("0x3")));
    assert_eq!(node.mempool.status().pending + node.mempool.status().queued, 0);
    for (missing, message) in [
        ("nonce", "nonce not specified"),
        ("gas", "gas not specified"),
        ("maxFeePerGas", "missing gasPrice or maxFeePerGas/maxPriorityFeePerGas"),
    ] {
        let mut request = request.clone();
        request.as_object_mut().unwrap().remove(missing);
        assert_eq!(node.error("eth_signTransaction", json!([request])).await, (-32000, message.to_owned()));
    }

    let signature = node.get("eth_sign", json!([from, "0x68656c6c6f"])).await;
    let signature = Signature::from_raw(&serde_json::from_value::<Bytes>(signature).unwrap()).unwrap();
    assert_eq!(signature.recover_address_from_msg("hello").unwrap(), from);
    let stranger = json!([user(2).address(), "0x68656c6c6f"]);
    assert_eq!(node.error("eth_sign", stranger).await, (-32000, "unknown account".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_filled_without_a_key() {
    let node = TestNode::start().await;
    node.send(&transaction(2, 0, LOGGER, 0, [])).await;
    let request = json!({"from": user(2).address(), "to": Address::repeat_byte(1), "value": "0x5"});
    let filled = node.get("eth_fillTransaction", json!([request])).await;
    let transaction = &filled["tx"];
    assert_eq!((&transaction["nonce"], &transaction["gas"]), (&json!("0x1"), &json!("0x5208")), "{filled}");
    assert_eq!((&transaction["chainId"], &transaction["type"]), (&json!("0x7a69"), &json!("0x2")));
    assert_eq!((&transaction["r"], &transaction["s"]), (&json!("0x0"), &json!("0x0")));
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_transactions_are_the_nodes_own() {
    let node = dev_node().await;
    let own = node.send(&transaction(0, 0, LOGGER, 0, [])).await;
    node.send(&transaction(2, 0, LOGGER, 0, [])).await;
    let pending = node.get("eth_pendingTransactions", json!([])).await;
    assert_eq!(pending.as_array().unwrap().len(), 1);
    assert_eq!(pending[0]["hash"], json!(own));
}
