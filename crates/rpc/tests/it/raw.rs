//! Raw objects, headers and uncles.

use crate::node::{LOGGER, TestNode, logging, raw, transaction};
use alloy_consensus::Header;
use alloy_eips::Encodable2718;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::Decodable;
use heddle_rpc::{Api, RpcConfig};
use serde_json::{Value, json};

async fn serving_all() -> TestNode {
    TestNode::start_with(RpcConfig { port: 0, apis: Api::all_but_admin(), ..RpcConfig::default() }, None).await
}

fn bytes(value: &Value) -> Bytes {
    serde_json::from_value(value.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_objects_hash_to_what_they_are() {
    let node = serving_all().await;
    let sent = logging(0, 0, B256::repeat_byte(1));
    let block = node.mine_all(&[&sent]).await;
    let hash = block.header.seal();
    for id in [json!("0x1"), json!("latest"), json!(hash)] {
        let header = bytes(&node.get("debug_getRawHeader", json!([id])).await);
        assert_eq!(keccak256(&header), hash);
        let whole = bytes(&node.get("debug_getRawBlock", json!([id])).await);
        assert_eq!(heddle_primitives::Block::decode(&mut &whole[..]).unwrap(), *block.block);
        let receipts = node.get("debug_getRawReceipts", json!([id])).await;
        assert_eq!(receipts, json!([Bytes::from(block.receipts[0].encoded_2718())]));
    }
    let genesis = bytes(&node.get("debug_getRawHeader", json!(["earliest"])).await);
    assert_eq!(Header::decode(&mut &genesis[..]).unwrap().number, 0);
    for method in ["debug_getRawHeader", "debug_getRawBlock", "debug_getRawReceipts"] {
        assert_eq!(node.error(method, json!(["0x2"])).await, (-32000, "block 0x2 not found".to_owned()), "{method}");
        assert_eq!(node.error(method, json!(["2"])).await.0, -32602, "{method}");
    }
    assert_eq!(node.get("debug_getBadBlocks", json!([])).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_transactions_are_what_was_sent() {
    let node = serving_all().await;
    let (mined, waiting) = (transaction(0, 0, LOGGER, 0, []), transaction(0, 1, LOGGER, 0, []));
    let block = node.mine_all(&[&mined]).await;
    node.send(&waiting).await;
    for method in ["debug_getRawTransaction", "eth_getRawTransactionByHash"] {
        assert_eq!(node.get(method, json!([mined.tx_hash()])).await, json!(raw(&mined)), "{method}");
        assert_eq!(node.get(method, json!([waiting.tx_hash()])).await, json!(raw(&waiting)), "{method}");
        assert_eq!(node.get(method, json!([B256::ZERO])).await, Value::Null, "{method}");
        let bare = mined.tx_hash().to_string()[2..].to_owned();
        assert_eq!(node.error(method, json!([bare])).await.0, -32602, "{method}");
    }
    for (method, id) in [
        ("eth_getRawTransactionByBlockHashAndIndex", json!(block.header.seal())),
        ("eth_getRawTransactionByBlockNumberAndIndex", json!("latest")),
    ] {
        assert_eq!(node.get(method, json!([id, "0x0"])).await, json!(raw(&mined)), "{method}");
        assert_eq!(node.get(method, json!([id, "0x1"])).await, Value::Null, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_blocks_without_bodies() {
    let node = serving_all().await;
    let hash = node.mine().await.header.seal();
    let mut block = node.get("eth_getBlockByNumber", json!(["0x1", false])).await;
    for key in ["size", "transactions", "uncles", "withdrawals"] {
        block.as_object_mut().unwrap().remove(key);
    }
    for namespace in ["eth", "erigon"] {
        let (by_number, by_hash) = (format!("{namespace}_getHeaderByNumber"), format!("{namespace}_getHeaderByHash"));
        assert_eq!(node.get(&by_number, json!(["latest"])).await, block);
        assert_eq!(node.get(&by_hash, json!([hash])).await, block);
        assert_eq!(node.get(&by_number, json!(["0x9"])).await, Value::Null);
        assert_eq!(node.get(&by_hash, json!([B256::ZERO])).await, Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_of_validators_have_no_uncles() {
    let node = serving_all().await;
    let hash = node.mine().await.header.seal();
    for (count, uncle, id) in [
        ("eth_getUncleCountByBlockHash", "eth_getUncleByBlockHashAndIndex", json!(hash)),
        ("eth_getUncleCountByBlockNumber", "eth_getUncleByBlockNumberAndIndex", json!("latest")),
    ] {
        assert_eq!(node.get(count, json!([id])).await, "0x0");
        assert_eq!(node.get(uncle, json!([id, "0x0"])).await, Value::Null);
    }
    assert_eq!(node.get("eth_getUncleCountByBlockNumber", json!(["0x9"])).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn consensus_alone_builds_blocks() {
    let node = serving_all().await;
    let attributes = json!({
        "timestamp": "0x7fffffff", "prevRandao": B256::ZERO, "suggestedFeeRecipient": LOGGER, "withdrawals": [],
        "parentBeaconBlockRoot": B256::ZERO
    });
    let build = async |parent: B256| node.error("testing_buildBlockV1", json!([parent, attributes, []])).await;
    let head = node.chain.head().hash();
    let (code, message) = build(head).await;
    assert!(code == -32000 && message.contains("heddle"), "{message}");
    let (code, message) = build(B256::ZERO).await;
    assert!(code == -32000 && message.contains("on the head only"), "{message}");
}
