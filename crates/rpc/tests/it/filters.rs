//! Filters: polling for blocks, logs and pending transactions.

use crate::node::{TestNode, logging, transaction, user};
use alloy_primitives::{Address, B256};
use heddle_chain::LogLimits;
use heddle_rpc::{RpcConfig, RpcLimits};
use serde_json::{Value, json};

const ONE: B256 = B256::repeat_byte(1);
const TWO: B256 = B256::repeat_byte(2);

async fn changes(node: &TestNode, id: &Value) -> Value {
    node.get("eth_getFilterChanges", json!([id])).await
}

/// Block number and first topic of each log.
fn places(logs: &Value) -> Vec<(Value, Value)> {
    logs.as_array().unwrap().iter().map(|log| (log["blockNumber"].clone(), log["topics"][0].clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_told_of_once() {
    let node = TestNode::start().await;
    node.mine().await;
    let id = node.get("eth_newBlockFilter", json!([])).await;
    assert_eq!(changes(&node, &id).await, json!([]));
    let hashes = [node.mine().await, node.mine().await].map(|block| json!(block.header.seal()));
    assert_eq!(changes(&node, &id).await, json!(hashes));
    assert_eq!(changes(&node, &id).await, json!([]));
    assert_eq!(node.get("eth_uninstallFilter", json!([id])).await, true);
    assert_eq!(node.get("eth_uninstallFilter", json!([id])).await, false);
    let gone = node.error("eth_getFilterChanges", json!([id])).await;
    assert_eq!(gone, (-32000, "filter not found".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_told_of_as_filtered() {
    let node = TestNode::start().await;
    node.mine_all(&[&logging(0, 0, ONE)]).await;
    let all = node.get("eth_newFilter", json!([{"fromBlock": "0x0"}])).await;
    let some = node.get("eth_newFilter", json!([{"topics": [TWO]}])).await;
    let until = node.get("eth_newFilter", json!([{"toBlock": "0x2"}])).await;
    node.mine_all(&[&logging(0, 1, ONE), &logging(0, 2, TWO)]).await;
    node.mine_all(&[&logging(0, 3, TWO)]).await;
    let at = |number: &str, topic: B256| (json!(number), json!(topic));
    let (first, second, third) = (at("0x2", ONE), at("0x2", TWO), at("0x3", TWO));
    assert_eq!(places(&changes(&node, &all).await), [first.clone(), second.clone(), third.clone()]);
    assert_eq!(places(&changes(&node, &some).await), [second.clone(), third.clone()]);
    assert_eq!(places(&changes(&node, &until).await), [first.clone(), second.clone()]);
    for id in [&all, &some, &until] {
        assert_eq!(changes(&node, id).await, json!([]));
    }
    // All that the filter looks for, also from before it was made.
    let logs = node.get("eth_getFilterLogs", json!([all])).await;
    assert_eq!(places(&logs), [at("0x1", ONE), first, second, third]);
    let blocks = node.get("eth_newBlockFilter", json!([])).await;
    assert_eq!(node.error("eth_getFilterLogs", json!([blocks])).await, (-32000, "filter not found".to_owned()));
    let backwards = json!([{"fromBlock": "0x9", "toBlock": "0x8"}]);
    assert_eq!(node.error("eth_newFilter", backwards).await, (-32602, "invalid block range params".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_into_one_answer_is_in_the_next() {
    let limits = RpcLimits {
        logs: LogLimits { blocks_max: 10, logs_max: 2, bytes_max: 100, ..LogLimits::default() },
        ..RpcLimits::default()
    };
    let node = TestNode::start_with(RpcConfig { port: 0, limits, ..RpcConfig::default() }, None).await;
    let id = node.get("eth_newFilter", json!([{}])).await;
    for nonce in 0..3 {
        node.mine_all(&[&logging(0, nonce, ONE)]).await;
    }
    assert_eq!(places(&changes(&node, &id).await).len(), 2);
    assert_eq!(places(&changes(&node, &id).await), [(json!("0x3"), json!(ONE))]);
    node.mine_all(&[&logging(0, 3, ONE), &logging(0, 4, ONE), &logging(0, 5, ONE)]).await;
    node.mine_all(&[&logging(0, 6, ONE)]).await;
    let (code, message) = node.error("eth_getFilterChanges", json!([id])).await;
    let told = "query exceeds 2 logs, block 4 alone has more: ask for fewer addresses or topics";
    assert_eq!((code, message.as_str()), (-32005, told));
    assert_eq!(places(&changes(&node, &id).await), [(json!("0x5"), json!(ONE))], "a block too large for any answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_transactions_are_told_of_by_hash_or_whole() {
    let node = TestNode::start().await;
    let sent = |nonce| transaction(0, nonce, Address::repeat_byte(1), 5, []);
    node.send(&sent(0)).await;
    let hashes = node.get("eth_newPendingTransactionFilter", json!([])).await;
    let whole = node.get("eth_newPendingTransactionFilter", json!([true])).await;
    let (queued, next) = (node.send(&sent(2)).await, node.send(&sent(1)).await);
    assert_eq!(changes(&node, &hashes).await, json!([next, queued]), "what waits is told when it can go");
    node.mine().await;
    let found = changes(&node, &whole).await;
    assert_eq!((&found[0]["hash"], &found[1]["hash"]), (&json!(next), &json!(queued)));
    assert_eq!((&found[0]["from"], &found[0]["blockNumber"]), (&json!(user(0).address()), &json!("0x1")));
    assert_eq!(changes(&node, &hashes).await, json!([]));
    assert_eq!(changes(&node, &whole).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_filters_are_kept() {
    let limits = RpcLimits { filters: 2, ..RpcLimits::default() };
    let node = TestNode::start_with(RpcConfig { port: 0, limits, ..RpcConfig::default() }, None).await;
    let first = node.get("eth_newBlockFilter", json!([])).await;
    node.get("eth_newBlockFilter", json!([])).await;
    let (code, message) = node.error("eth_newBlockFilter", json!([])).await;
    assert!(code == -32005 && message.contains("2 filters"), "{message}");
    node.get("eth_uninstallFilter", json!([first])).await;
    node.get("eth_newBlockFilter", json!([])).await;
}
