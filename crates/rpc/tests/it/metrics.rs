//! What the server counts.

use crate::client::{abandon, post};
use crate::node::TestNode;
use crate::subscriptions::{connect, subscribe};
use serde_json::json;
use std::time::Duration;

/// Nothing here takes that long, however busy the machine is.
const DEADLINE: Duration = Duration::from_secs(60);

fn value(node: &TestNode, name: &str) -> u64 {
    let text = node.metrics();
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse().unwrap()
}

fn requests(node: &TestNode, method: &str, code: i32) -> u64 {
    value(node, &format!("rpc_requests_total{{method=\"{method}\",code=\"{code}\"}}"))
}

async fn until(node: &TestNode, name: &str, expected: u64) {
    let reached = async {
        while value(node, name) != expected {
            tokio::task::yield_now().await;
        }
    };
    let result = tokio::time::timeout(DEADLINE, reached).await;
    assert!(result.is_ok(), "{name} is {}, not {expected}", value(node, name));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_by_method_and_code() {
    let node = TestNode::start().await;
    assert_eq!((requests(&node, "eth_chainId", 0), requests(&node, "unknown", -32601)), (0, 0));
    node.get("eth_chainId", json!([])).await;
    node.error("eth_getBalance", json!(["nobody"])).await;
    node.error("eth_makeMeRich", json!([])).await;
    node.error("eth_subscribe", json!(["newHeads"])).await;
    let call = |method: &str| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": []});
    post(node.address(), json!([call("eth_chainId"), call("eth_blockNumber"), call("a\"}b")]).to_string()).await;

    assert_eq!(requests(&node, "eth_chainId", 0), 2);
    assert_eq!(requests(&node, "eth_blockNumber", 0), 1);
    assert_eq!(requests(&node, "eth_getBalance", -32602), 1);
    assert_eq!(requests(&node, "unknown", -32601), 3);
    assert_eq!(value(&node, "rpc_request_duration_seconds_count{method=\"eth_chainId\"}"), 2);
    assert!(!node.metrics().contains("makeMeRich"), "a caller chose a label");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_count_while_they_last() {
    let node = TestNode::start().await;
    let (websockets, subscriptions) = ("rpc_connections{transport=\"websocket\"}", "rpc_subscriptions");
    let client = connect(&node).await;
    let heads = subscribe(&client, json!(["newHeads"])).await.unwrap();
    assert!(subscribe(&client, json!(["oldHeads"])).await.is_err());
    assert_eq!((value(&node, websockets), value(&node, subscriptions)), (1, 1));
    assert_eq!((requests(&node, "eth_subscribe", 0), requests(&node, "eth_subscribe", -32601)), (1, 1));
    drop(heads);
    until(&node, subscriptions, 0).await;
    drop(client);
    until(&node, websockets, 0).await;
    abandon(node.address(), b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    until(&node, "rpc_connections{transport=\"http\"}", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_limits_refuse_is_counted() {
    let node = TestNode::start().await;
    post(node.address(), vec![b' '; 5 * 1024 * 1024 + 1]).await;
    assert_eq!(value(&node, "rpc_refused_total{limit=\"request_bytes\"}"), 1);
}
