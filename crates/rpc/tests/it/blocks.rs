//! Blocks and their receipts.

use crate::client::post;
use crate::node::{FEE_RECIPIENT, GENESIS_TIME, LOGGER, TestNode, keys, logging, transaction, user};
use crate::subscriptions::connect;
use alloy_primitives::{Address, B256};
use heddle_rpc::{RpcConfig, RpcLimits};
use jsonrpsee::core::client::ClientT;
use serde_json::{Value, json};

const HEADER_KEYS: [&str; 22] = [
    "baseFeePerGas",
    "blobGasUsed",
    "difficulty",
    "excessBlobGas",
    "extraData",
    "gasLimit",
    "gasUsed",
    "hash",
    "logsBloom",
    "miner",
    "mixHash",
    "nonce",
    "number",
    "parentBeaconBlockRoot",
    "parentHash",
    "receiptsRoot",
    "requestsHash",
    "sha3Uncles",
    "stateRoot",
    "timestamp",
    "transactionsRoot",
    "withdrawalsRoot",
];

/// The keys that go-ethereum gives a block of Osaka.
fn block_keys() -> Vec<&'static str> {
    let mut keys = HEADER_KEYS.to_vec();
    keys.extend(["size", "transactions", "uncles", "withdrawals"]);
    keys.sort_unstable();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_has_the_shape_of_go_ethereums() {
    let node = TestNode::start().await;
    let sent = transaction(0, 0, Address::repeat_byte(1), 5, []);
    let committed = node.mine_all(&[&sent]).await;
    let block = node.get("eth_getBlockByNumber", json!(["0x1", false])).await;
    assert_eq!(keys(&block), block_keys());
    assert_eq!(block["hash"], json!(committed.header.seal()));
    assert_eq!(block["number"], "0x1");
    assert_eq!(block["timestamp"], format!("{:#x}", GENESIS_TIME + 1));
    assert_eq!(block["miner"], json!(FEE_RECIPIENT));
    assert_eq!(block["difficulty"], "0x0");
    assert_eq!(block["nonce"], "0x0000000000000000");
    assert_eq!(block["gasUsed"], "0x5208");
    assert_eq!(block["transactions"], json!([sent.tx_hash()]));
    assert_eq!((&block["uncles"], &block["withdrawals"]), (&json!([]), &json!([])));
    assert_eq!(block["size"], format!("{:#x}", node.chain.block(1).unwrap().unwrap().size));

    let full = node.get("eth_getBlockByHash", json!([block["hash"], true])).await;
    let by_hash = node.get("eth_getTransactionByHash", json!([sent.tx_hash()])).await;
    assert_eq!(full["transactions"], json!([by_hash]));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tag_of_the_head_names_the_last_committed_block() {
    let node = TestNode::start().await;
    let genesis = node.get("eth_getBlockByNumber", json!(["earliest", false])).await;
    assert_eq!(genesis["hash"], json!(node.chain.genesis().hash()));
    assert_eq!(keys(&genesis), block_keys());
    node.mine().await;
    let head = node.mine().await.header.seal();
    for tag in ["latest", "safe", "finalized", "0x2"] {
        let block = node.get("eth_getBlockByNumber", json!([tag, true])).await;
        assert_eq!(block["hash"], json!(head), "{tag}");
    }
    assert_eq!(node.get("eth_blockNumber", json!([])).await, "0x2");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_null() {
    let node = TestNode::start().await;
    let nowhere = B256::repeat_byte(0xee);
    for (method, params) in [
        ("eth_getBlockByNumber", json!(["0x5", false])),
        ("eth_getBlockByHash", json!([nowhere, true])),
        ("eth_getBlockReceipts", json!(["0x5"])),
        ("eth_getBlockReceipts", json!([nowhere])),
        ("eth_getBlockTransactionCountByNumber", json!(["0x5"])),
        ("eth_getBlockTransactionCountByHash", json!([nowhere])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x5", "0x0"])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x0", "0x0"])),
        ("eth_getTransactionByBlockHashAndIndex", json!([nowhere, "0x0"])),
        ("eth_getTransactionByHash", json!([nowhere])),
        ("eth_getTransactionReceipt", json!([nowhere])),
    ] {
        assert_eq!(node.get(method, params.clone()).await, Value::Null, "{method} {params}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_of_a_block_add_up() {
    let node = TestNode::start().await;
    let (one, two) = (logging(0, 0, B256::repeat_byte(1)), logging(0, 1, B256::repeat_byte(2)));
    let plain = transaction(1, 0, Address::repeat_byte(1), 5, []);
    let block = node.mine_all(&[&one, &two, &plain]).await;
    let receipts = node.get("eth_getBlockReceipts", json!(["latest"])).await;
    assert_eq!(receipts, node.get("eth_getBlockReceipts", json!([block.header.seal()])).await);
    let receipts = receipts.as_array().unwrap();
    assert_eq!(receipts.len(), 3);
    let number = |value: &Value| u64::from_str_radix(&value.as_str().unwrap()[2..], 16).unwrap();
    let (mut gas, mut logs) = (0, 0);
    for (index, receipt) in receipts.iter().enumerate() {
        gas += number(&receipt["gasUsed"]);
        assert_eq!(number(&receipt["cumulativeGasUsed"]), gas);
        assert_eq!(number(&receipt["transactionIndex"]), index as u64);
        for log in receipt["logs"].as_array().unwrap() {
            assert_eq!(number(&log["logIndex"]), logs);
            logs += 1;
        }
        let alone = node.get("eth_getTransactionReceipt", json!([receipt["transactionHash"]])).await;
        assert_eq!(&alone, receipt);
    }
    assert_eq!((gas, logs), (block.header.gas_used, 2));
    assert_eq!(node.get("eth_getBlockTransactionCountByNumber", json!(["latest"])).await, "0x3");
    assert_eq!(node.get("eth_getBlockTransactionCountByHash", json!([block.header.seal()])).await, "0x3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_has_the_shape_of_go_ethereums() {
    let node = TestNode::start().await;
    let sent = logging(0, 0, B256::repeat_byte(1));
    let block = node.mine_all(&[&sent]).await;
    let receipt = node.get("eth_getTransactionReceipt", json!([sent.tx_hash()])).await;
    assert_eq!(
        keys(&receipt),
        [
            "blockHash",
            "blockNumber",
            "contractAddress",
            "cumulativeGasUsed",
            "effectiveGasPrice",
            "from",
            "gasUsed",
            "logs",
            "logsBloom",
            "status",
            "to",
            "transactionHash",
            "transactionIndex",
            "type",
        ]
    );
    assert_eq!((&receipt["status"], &receipt["type"]), (&json!("0x1"), &json!("0x2")));
    assert_eq!((&receipt["from"], &receipt["to"]), (&json!(user(0).address()), &json!(LOGGER)));
    assert_eq!(receipt["contractAddress"], Value::Null);
    let price = block.header.base_fee_per_gas.unwrap() + 2_000_000_000;
    assert_eq!(receipt["effectiveGasPrice"], format!("{price:#x}"));
    assert_eq!(
        receipt["logs"],
        json!([{
            "address": LOGGER,
            "topics": [B256::repeat_byte(1)],
            "data": "0x",
            "blockNumber": "0x1",
            "blockHash": block.header.seal(),
            "blockTimestamp": format!("{:#x}", block.header.timestamp),
            "transactionHash": sent.tx_hash(),
            "transactionIndex": "0x0",
            "logIndex": "0x0",
            "removed": false,
        }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_text_is_the_same_answer_by_every_way() {
    let node = TestNode::start().await;
    node.mine_all(&[&logging(0, 0, B256::ZERO), &logging(0, 1, B256::ZERO)]).await;
    let socket = connect(&node).await;
    for (method, params) in [
        ("eth_getBlockByNumber", json!(["0x1", true])),
        ("eth_getBlockByNumber", json!(["0x1", false])),
        ("eth_getBlockReceipts", json!(["0x1"])),
    ] {
        let made = node.get(method, params.clone()).await;
        assert!(made.is_object() || made.as_array().is_some_and(|receipts| receipts.len() == 2), "{method}: {made}");
        assert_eq!(node.get(method, params.clone()).await, made, "{method}, kept");
        let call = |id| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let batch = post(node.address(), json!([call("a"), call("b")]).to_string()).await.json();
        assert_eq!(
            batch,
            json!([
                {"jsonrpc": "2.0", "id": "a", "result": made},
                {"jsonrpc": "2.0", "id": "b", "result": made},
            ])
        );
        let answer = post(node.address(), call("a name").to_string()).await;
        assert_eq!(answer.json(), json!({"jsonrpc": "2.0", "id": "a name", "result": made}));
        assert!(answer.head.contains(&format!("content-length: {}", answer.body.len())), "{}", answer.head);
        let params = params.as_array().unwrap().clone();
        assert_eq!(socket.request::<Value, _>(method, params).await.unwrap(), made, "{method}, over a WebSocket");
    }
    assert_eq!(node.get("eth_getBlockByNumber", json!(["0x2", true])).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_longer_than_an_answer_may_be_is_refused() {
    let limits = RpcLimits { response_bytes: 1_000, ..RpcLimits::default() };
    let node = TestNode::start_with(RpcConfig { port: 0, limits, ..RpcConfig::default() }, None).await;
    node.mine().await;
    for _ in 0..2 {
        let (code, message) = node.error("eth_getBlockByNumber", json!(["0x1", true])).await;
        assert_eq!((code, &*message), (-32008, "Response is too big"));
    }
}
