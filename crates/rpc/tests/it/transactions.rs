//! Transactions on their way from the caller through the mempool into a block.

use crate::node::{CHAIN_ID, LOGGER, TestNode, delegating, keys, legacy, raw, transaction, user, with_access_list};
use alloy_primitives::{Address, TxKind};
use serde_json::{Value, json};

const COMMON_KEYS: [&str; 16] = [
    "blockHash",
    "blockNumber",
    "blockTimestamp",
    "from",
    "gas",
    "gasPrice",
    "hash",
    "input",
    "nonce",
    "r",
    "s",
    "to",
    "transactionIndex",
    "type",
    "v",
    "value",
];

fn keys_with(extra: &[&'static str]) -> Vec<&'static str> {
    let mut keys = [&COMMON_KEYS, extra].concat();
    keys.sort_unstable();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_has_the_shape_of_go_ethereums() {
    let node = TestNode::start().await;
    let sent = [
        legacy(0, 0, TxKind::Call(LOGGER), []),
        with_access_list(0, 1),
        transaction(0, 2, LOGGER, 0, []),
        delegating(1, 0),
    ];
    node.mine_all(&Vec::from_iter(&sent)).await;
    let typed = ["accessList", "chainId", "yParity"];
    let fees = ["maxFeePerGas", "maxPriorityFeePerGas"];
    let expected = [
        keys_with(&["chainId"]),
        keys_with(&typed),
        keys_with(&[&typed[..], &fees].concat()),
        keys_with(&[&typed[..], &fees, &["authorizationList"]].concat()),
    ];
    for ((sent, expected), kind) in sent.iter().zip(expected).zip(["0x0", "0x1", "0x2", "0x4"]) {
        let found = node.get("eth_getTransactionByHash", json!([sent.tx_hash()])).await;
        assert_eq!(keys(&found), expected, "type {kind}");
        assert_eq!(found["type"], kind);
        assert_eq!(found["chainId"], format!("{CHAIN_ID:#x}"));
        assert_eq!(found["hash"], json!(sent.tx_hash()));
    }
    let delegation = node.get("eth_getTransactionByHash", json!([sent[3].tx_hash()])).await;
    let authorization = &delegation["authorizationList"][0];
    assert_eq!(keys(authorization), ["address", "chainId", "nonce", "r", "s", "yParity"]);
    let code = node.get("eth_getCode", json!([user(1).address(), "latest"])).await;
    assert_eq!(code, format!("0xef0100{}", &LOGGER.to_string().to_lowercase()[2..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_transaction_is_found_and_then_mined() {
    let node = TestNode::start().await;
    let sent = transaction(0, 0, Address::repeat_byte(1), 5, []);
    node.send(&sent).await;
    let waiting = node.get("eth_getTransactionByHash", json!([sent.tx_hash()])).await;
    assert_eq!(waiting["from"], json!(user(0).address()));
    assert_eq!(waiting["gasPrice"], waiting["maxFeePerGas"]);
    for key in ["blockHash", "blockNumber", "blockTimestamp", "transactionIndex"] {
        assert_eq!(waiting.get(key), Some(&Value::Null), "{key}");
    }
    assert_eq!(node.get("eth_getTransactionReceipt", json!([sent.tx_hash()])).await, Value::Null);

    let block = node.mine().await;
    let mined = node.get("eth_getTransactionByHash", json!([sent.tx_hash()])).await;
    assert_eq!((&mined["blockNumber"], &mined["transactionIndex"]), (&json!("0x1"), &json!("0x0")));
    for (method, block) in [
        ("eth_getTransactionByBlockHashAndIndex", json!(block.header.seal())),
        ("eth_getTransactionByBlockNumberAndIndex", json!("latest")),
    ] {
        assert_eq!(node.get(method, json!([block, "0x0"])).await, mined, "{method}");
        assert_eq!(node.get(method, json!([block, "0x1"])).await, Value::Null, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_created_contract_is_named_in_the_receipt() {
    let node = TestNode::start().await;
    // Init code that returns one byte of code: STOP.
    let sent = legacy(0, 0, TxKind::Create, alloy_primitives::hex!("60015ff3"));
    node.mine_all(&[&sent]).await;
    let created = user(0).address().create(0);
    let receipt = node.get("eth_getTransactionReceipt", json!([sent.tx_hash()])).await;
    assert_eq!((&receipt["contractAddress"], &receipt["to"]), (&json!(created), &Value::Null));
    assert_eq!(node.get("eth_getCode", json!([created, "latest"])).await, "0x00");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_go_ethereums() {
    let node = TestNode::start().await;
    let first = transaction(0, 0, Address::repeat_byte(1), 5, []);
    node.send(&first).await;
    let send = |tx| json!([raw(&tx)]);
    let method = "eth_sendRawTransaction";
    assert_eq!(node.error(method, send(first.clone())).await, (-32000, "already known".to_owned()));
    let dearer = transaction(0, 0, Address::repeat_byte(1), 6, []);
    assert_eq!(node.error(method, send(dearer)).await, (-32000, "replacement transaction underpriced".to_owned()));
    node.mine().await;
    let stale = transaction(0, 0, Address::repeat_byte(1), 7, []);
    let (code, message) = node.error(method, send(stale)).await;
    assert_eq!((code, message.as_str()), (-32000, "nonce too low: next nonce 1, tx nonce 0"));
    let (code, message) = node.error(method, send(transaction(9, 0, Address::ZERO, 1, []))).await;
    assert_eq!(code, -32000);
    assert!(message.starts_with("insufficient funds for gas * price + value: balance 0, tx cost "), "{message}");
    for garbage in ["0x", "0x01", "0xf8", "0xc0", "0x05c0"] {
        let (code, message) = node.error(method, json!([garbage])).await;
        assert_eq!(code, -32000, "{garbage}: {message}");
    }
    for malformed in [json!(["0xf"]), json!([[]]), json!([[2, 192]])] {
        assert_eq!(node.error(method, malformed.clone()).await.0, -32602, "{malformed}");
    }
    assert_eq!(node.error(method, json!([])).await.0, -32602);
}
