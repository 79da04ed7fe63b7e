//! What the chain and this node offer: `eth_config`, `eth_capabilities`; and reads that came with them.

use crate::node::{LOGGER, TestNode, logging, transaction, user};
use alloy_primitives::{Address, B256};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_present_fork_is_described() {
    let node = TestNode::start().await;
    let config = node.get("eth_config", json!([])).await;
    assert_eq!((&config["next"], &config["last"]), (&Value::Null, &Value::Null));
    let current = &config["current"];
    assert_eq!((&current["activationTime"], &current["chainId"]), (&json!(0), &json!("0x7a69")));
    let status = node.get("heddle_status", json!([])).await;
    assert_eq!(current["forkId"], status["forkId"]["hash"]);
    assert_eq!(current["precompiles"]["P256VERIFY"], "0x0000000000000000000000000000000000000100");
    assert_eq!(current["precompiles"].as_object().unwrap().len(), 18);
    assert_eq!(current["systemContracts"].as_object().unwrap().len(), 5);
    assert!(current["blobSchedule"]["baseFeeUpdateFraction"].is_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn capabilities_say_how_far_back_answers_reach() {
    let node = TestNode::start().await;
    let hash = node.mine().await.header.seal();
    let said = node.get("eth_capabilities", json!([])).await;
    assert_eq!(said["head"], json!({"number": "0x1", "hash": hash}));
    for resource in ["state", "tx", "logs", "receipts", "blocks", "stateproofs"] {
        assert_eq!((&said[resource]["disabled"], &said[resource]["oldestBlock"]), (&json!(false), &json!("0x0")));
    }
    assert_eq!(said["stateproofs"]["deleteStrategy"], json!({"type": "window", "retentionBlocks": "0x2710"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_of_many_accounts_are_read_at_once() {
    let node = TestNode::start().await;
    let value = B256::repeat_byte(7);
    node.mine_all(&[&logging(0, 0, value)]).await;
    let (zero, one) = (B256::ZERO, B256::with_last_byte(1));
    let wanted = json!({LOGGER.to_string(): [one, zero], Address::ZERO.to_string(): [zero]});
    let mut expected = json!({});
    expected[format!("{LOGGER:#x}")] = json!([zero, value]);
    expected[format!("{:#x}", Address::ZERO)] = json!([zero]);
    assert_eq!(node.get("eth_getStorageValues", json!([wanted, "latest"])).await, expected);
    let error = async |wanted: Value| node.error("eth_getStorageValues", json!([wanted, "latest"])).await;
    assert_eq!(error(json!({})).await, (-32602, "empty request".to_owned()));
    let many = json!({LOGGER.to_string(): vec![zero; 1_025]});
    assert_eq!(error(many).await, (-38026, "too many slots (max 1024)".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_base_fee_is_the_next_blocks() {
    let node = TestNode::start().await;
    let said = node.get("eth_baseFee", json!([])).await;
    let block = node.mine().await;
    assert_eq!(said, format!("{:#x}", block.header.base_fee_per_gas.unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_found_by_sender_and_nonce() {
    let node = TestNode::start().await;
    let (first, second, third) =
        (transaction(0, 0, LOGGER, 0, []), transaction(0, 1, LOGGER, 0, []), transaction(0, 2, LOGGER, 0, []));
    node.mine_all(&[&first]).await;
    node.mine().await;
    node.mine_all(&[&second, &transaction(1, 0, LOGGER, 0, [])]).await;
    node.mine().await;
    node.send(&third).await;
    let find = async |nonce: u64| {
        let params = json!([user(0).address(), format!("{nonce:#x}")]);
        node.get("eth_getTransactionBySenderAndNonce", params).await
    };
    for (nonce, sent) in [&first, &second, &third].into_iter().enumerate() {
        assert_eq!(find(nonce as u64).await["hash"], json!(sent.tx_hash()), "{nonce}");
    }
    assert_eq!(find(3).await, Value::Null);
}
