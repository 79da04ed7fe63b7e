//! `eth_sendRawTransactionSync`.

use crate::node::{TestNode, raw, transaction};
use alloy_primitives::Address;
use heddle_rpc::{RpcConfig, RpcLimits};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const METHOD: &str = "eth_sendRawTransactionSync";

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_is_the_receipt() {
    let node = Arc::new(TestNode::start().await);
    let sent = transaction(0, 0, Address::repeat_byte(1), 5, []);
    let mut arrivals = node.mempool.subscribe();
    let (of_call, params) = (Arc::clone(&node), json!([raw(&sent)]));
    let call = tokio::spawn(async move { of_call.get(METHOD, params).await });
    arrivals.recv().await.unwrap();
    node.mine().await;
    let receipt = call.await.unwrap();
    assert_eq!(receipt["transactionHash"], json!(sent.tx_hash()));
    assert_eq!(receipt, node.get("eth_getTransactionReceipt", json!([sent.tx_hash()])).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_in_vain_learns_the_hash() {
    let node = TestNode::start().await;
    let sent = transaction(0, 0, Address::repeat_byte(1), 5, []);
    let error = node.call(METHOD, json!([raw(&sent), 1])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]), (&json!(4), &json!(sent.tx_hash())), "{error}");
    assert!(error["message"].as_str().unwrap().ends_with("wasn't processed in 1 ms"), "{error}");
    assert!(node.mempool.get(sent.tx_hash()).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_are_as_long_as_the_operator_lets_them() {
    let (sync_wait, sync_wait_max) = (Duration::from_millis(2), Duration::from_millis(3));
    let limits = RpcLimits { sync_wait, sync_wait_max, ..RpcLimits::default() };
    let node = TestNode::start_with(RpcConfig { port: 0, limits, ..RpcConfig::default() }, None).await;
    for (nonce, wanted, waited) in
        [(0, json!(null), 2), (1, json!(0), 2), (2, json!(1), 1), (3, json!(3), 3), (4, json!(4), 2)]
    {
        let sent = transaction(0, nonce, Address::repeat_byte(1), 5, []);
        let error = node.call(METHOD, json!([raw(&sent), wanted])).await.unwrap_err();
        assert!(
            error["message"].as_str().unwrap().ends_with(&format!("processed in {waited} ms")),
            "{wanted}: {error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_next_is_not_waited_for() {
    let node = TestNode::start().await;
    let gapped = transaction(0, 2, Address::repeat_byte(1), 5, []);
    let error = node.call(METHOD, json!([raw(&gapped)])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]), (&json!(5), &json!(gapped.tx_hash())), "{error}");
    assert!(error["message"].as_str().unwrap().contains("with nonce 0 is missing"), "{error}");
    let stranger = transaction(9, 0, Address::repeat_byte(1), 5, []);
    assert_eq!(node.error(METHOD, json!([raw(&stranger)])).await.0, -32000);
    assert_eq!(node.error(METHOD, json!([raw(&gapped), "soon"])).await.0, -32602);
    assert_eq!(node.error(METHOD, json!([])).await.0, -32602);
}
