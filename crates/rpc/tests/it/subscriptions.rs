//! `eth_subscribe` over a WebSocket.

use crate::client::post;
use crate::node::{LOGGER, TestNode, keys, logging, transaction, user};
use alloy_primitives::{Address, B256};
use heddle_rpc::{RpcConfig, RpcLimits, SyncProgress};
use jsonrpsee::client_transport::ws::{Url, WsTransportClientBuilder};
use jsonrpsee::core::client::{Client, ClientT, Error, Subscription, SubscriptionClientT};
use jsonrpsee::core::params::ArrayParams;
use serde_json::{Value, json};

pub async fn connect(node: &TestNode) -> Client {
    let url = Url::parse(&format!("ws://{}", node.address())).unwrap();
    let (sender, receiver) = WsTransportClientBuilder::default().build(url).await.unwrap();
    Client::builder().build_with_tokio(sender, receiver)
}

fn array(params: Value) -> ArrayParams {
    let mut array = ArrayParams::new();
    for value in params.as_array().unwrap() {
        array.insert(value).unwrap();
    }
    array
}

pub async fn subscribe(client: &Client, params: Value) -> Result<Subscription<Value>, Error> {
    client.subscribe("eth_subscribe", array(params), "eth_unsubscribe").await
}

async fn next(subscription: &mut Subscription<Value>) -> Value {
    subscription.next().await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn new_heads_arrive_in_order() {
    let node = TestNode::start().await;
    let client = connect(&node).await;
    let mut heads = subscribe(&client, json!(["newHeads"])).await.unwrap();
    for number in 1..=3 {
        let block = node.mine().await;
        let head = next(&mut heads).await;
        assert_eq!(head["number"], format!("{number:#x}"));
        assert_eq!(head["hash"], json!(block.header.seal()));
        assert!(!keys(&head).contains(&"transactions"));
    }
    // The same connection answers calls, and unsubscribing ends the stream.
    assert_eq!(client.request::<Value, _>("eth_blockNumber", ArrayParams::new()).await.unwrap(), "0x3");
    heads.unsubscribe().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_arrive_as_filtered() {
    let node = TestNode::start().await;
    let client = connect(&node).await;
    let (one, two) = (B256::repeat_byte(1), B256::repeat_byte(2));
    let mut all = subscribe(&client, json!(["logs"])).await.unwrap();
    let mut some = subscribe(&client, json!(["logs", {"address": LOGGER, "topics": [two]}])).await.unwrap();
    node.mine_all(&[&logging(0, 0, one), &logging(0, 1, two)]).await;
    let expected = node.get("eth_getLogs", json!([{}])).await;
    assert_eq!(next(&mut all).await, expected[0]);
    assert_eq!(next(&mut all).await, expected[1]);
    assert_eq!(next(&mut some).await, expected[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_transactions_arrive_as_hashes_or_whole() {
    let node = TestNode::start().await;
    let client = connect(&node).await;
    let mut hashes = subscribe(&client, json!(["newPendingTransactions"])).await.unwrap();
    let mut whole = subscribe(&client, json!(["newPendingTransactions", true])).await.unwrap();
    let hash = node.send(&transaction(0, 0, Address::repeat_byte(1), 1, [])).await;
    assert_eq!(next(&mut hashes).await, json!(hash));
    let sent = next(&mut whole).await;
    assert_eq!((&sent["hash"], &sent["from"]), (&json!(hash), &json!(user(0).address())));
}

#[tokio::test(flavor = "multi_thread")]
async fn syncing_is_told_at_once_and_when_it_changes() {
    let node = TestNode::start().await;
    let client = connect(&node).await;
    let mut news = subscribe(&client, json!(["syncing"])).await.unwrap();
    assert_eq!(next(&mut news).await, json!(false));
    let progress = SyncProgress { starting: 1, current: 2, highest: 16, state: None };
    *node.status.progress.lock() = Some(progress);
    let status = json!({"startingBlock": "0x1", "currentBlock": "0x2", "highestBlock": "0x10"});
    assert_eq!(next(&mut news).await, json!({"syncing": true, "status": status}));
    *node.status.progress.lock() = None;
    assert_eq!(next(&mut news).await, json!(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_subscriptions_are_refused() {
    let node = TestNode::start().await;
    let client = connect(&node).await;
    for (params, code, message) in [
        (json!(["newBlobs"]), -32601, "no \"newBlobs\" subscription in eth namespace"),
        (json!([]), -32602, "missing value for required argument 0 (subscription)"),
        (json!(["logs", {"topics": 7}]), -32602, "invalid argument 1 (options): "),
    ] {
        let Err(Error::Call(error)) = subscribe(&client, params.clone()).await else { panic!("{params}") };
        assert_eq!(error.code(), code);
        assert!(error.message().starts_with(message), "{}", error.message());
    }
    // Over HTTP nobody could be notified.
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]});
    let answer = post(node.address(), body.to_string()).await.json();
    assert_eq!(answer["error"], json!({"code": -32601, "message": "notifications not supported"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_of_a_connection_are_bounded() {
    let node = TestNode::start().await;
    let client = connect(&node).await;
    let mut kept = Vec::new();
    for _ in 0..64 {
        kept.push(subscribe(&client, json!(["newHeads"])).await.unwrap());
    }
    assert!(matches!(subscribe(&client, json!(["newHeads"])).await, Err(Error::Call(_))));
    let other = connect(&node).await;
    subscribe(&other, json!(["newHeads"])).await.unwrap();
}

/// What they look for stays in memory.
#[tokio::test(flavor = "multi_thread")]
async fn what_subscriptions_look_for_is_bounded() {
    let limits = RpcLimits { buffered_bytes: 64 * 1024, ..RpcLimits::default() };
    let node = TestNode::start_with(RpcConfig { port: 0, limits, ..RpcConfig::default() }, None).await;
    let addresses = Vec::from_iter((0..100).map(Address::with_last_byte));
    // Each on a connection of its own: a message for which there is no memory ends the one it came over.
    let subscription = async || {
        let client = connect(&node).await;
        let subscribed = subscribe(&client, json!(["logs", {"address": &addresses}])).await;
        subscribed.map(|subscription| (client, subscription))
    };
    let mut kept = vec![subscription().await.unwrap()];
    let error = loop {
        match subscription().await {
            Ok(another) => kept.push(another),
            Err(Error::Call(error)) => break error,
            Err(_) => {}
        }
        assert!(kept.len() < 10, "nobody stops it");
    };
    assert_eq!((error.code(), error.message()), (-32005, "server is busy, try again"));
    drop(kept);
    while subscription().await.is_err() {}
}
