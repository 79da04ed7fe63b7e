//! Suggested fees and their history.

use crate::node::{TestNode, keys, transaction};
use alloy_primitives::{Address, U256};
use heddle_rpc::{RpcConfig, RpcLimits};
use serde_json::{Value, json};
use std::time::Duration;

fn number(value: &Value) -> u128 {
    serde_json::from_value::<U256>(value.clone()).unwrap().to()
}

#[tokio::test(flavor = "multi_thread")]
async fn suggestions_follow_recent_blocks() {
    let node = TestNode::start().await;
    assert_eq!(number(&node.get("eth_maxPriorityFeePerGas", json!([])).await), 1_000_000_000);
    node.mine_all(&[&transaction(0, 0, Address::repeat_byte(1), 1, [])]).await;
    let tip = number(&node.get("eth_maxPriorityFeePerGas", json!([])).await);
    assert_eq!(tip, 2_000_000_000);
    let price = number(&node.get("eth_gasPrice", json!([])).await);
    assert_eq!(price, tip + u128::from(node.chain.head().next_base_fee));
    assert_eq!(number(&node.get("eth_blobBaseFee", json!([])).await), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn history_has_one_more_base_fee_than_blocks() {
    let node = TestNode::start().await;
    node.mine_all(&[&transaction(0, 0, Address::repeat_byte(1), 1, [])]).await;
    node.mine().await;
    let history = node.get("eth_feeHistory", json!(["0x2", "latest", [0, 50, 100]])).await;
    assert_eq!(
        keys(&history),
        ["baseFeePerBlobGas", "baseFeePerGas", "blobGasUsedRatio", "gasUsedRatio", "oldestBlock", "reward"]
    );
    assert_eq!(history["oldestBlock"], "0x1");
    let base_fees = Vec::from_iter(history["baseFeePerGas"].as_array().unwrap().iter().map(number));
    let header = |number| node.chain.header(number).unwrap().unwrap();
    let expected = [header(1).base_fee_per_gas.unwrap(), header(2).base_fee_per_gas.unwrap()];
    assert_eq!(base_fees, [expected[0].into(), expected[1].into(), node.chain.head().next_base_fee.into()]);
    assert_eq!(history["gasUsedRatio"], json!([21_000.0 / header(1).gas_limit as f64, 0.0]));
    assert_eq!(history["baseFeePerBlobGas"], json!(["0x1", "0x1", "0x1"]));
    let tip = "0x77359400";
    assert_eq!(history["reward"], json!([[tip, tip, tip], ["0x0", "0x0", "0x0"]]));

    let earlier = node.get("eth_feeHistory", json!([1, "0x1", null])).await;
    assert_eq!(earlier.get("reward"), None);
    assert_eq!(number(&earlier["baseFeePerGas"][1]), expected[1].into());
    let more_than_there_are = node.get("eth_feeHistory", json!(["0x400", "latest", []])).await;
    assert_eq!(
        (&more_than_there_are["oldestBlock"], &more_than_there_are["gasUsedRatio"][3]),
        (&json!("0x0"), &Value::Null)
    );

    let (code, message) = node.error("eth_feeHistory", json!(["0x1", "0x9", []])).await;
    assert_eq!((code, message.as_str()), (-32000, "request beyond head block: requested 9, head 2"));
    assert_eq!(node.error("eth_feeHistory", json!(["0x1", "latest", [200]])).await.0, -32000);
}

#[tokio::test(flavor = "multi_thread")]
async fn history_up_to_the_pending_block_has_its_row() {
    let node = TestNode::start().await;
    node.mine_all(&[&transaction(0, 0, Address::repeat_byte(1), 1, [])]).await;
    node.send(&transaction(0, 1, Address::repeat_byte(1), 1, [])).await;
    let history = node.get("eth_feeHistory", json!(["0x2", "pending", [50]])).await;
    assert_eq!(history["oldestBlock"], "0x1");
    let limit = node.chain.head().header.gas_limit as f64;
    assert_eq!(history["gasUsedRatio"], json!([21_000.0 / limit, 21_000.0 / limit]));
    assert_eq!(history["reward"], json!([["0x77359400"], ["0x77359400"]]));
    let base_fees = Vec::from_iter(history["baseFeePerGas"].as_array().unwrap().iter().map(number));
    assert_eq!((base_fees.len(), base_fees[1]), (3, node.chain.head().next_base_fee.into()));
    assert!(base_fees[2] < base_fees[1], "a block that is hardly full");
    let alone = node.get("eth_feeHistory", json!(["0x1", "pending"])).await;
    assert_eq!((&alone["oldestBlock"], &alone["baseFeePerGas"][1]), (&json!("0x2"), &history["baseFeePerGas"][2]));
    assert_eq!(node.get("eth_feeHistory", json!(["0x0", "pending"])).await["gasUsedRatio"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_takes_too_long_is_ended() {
    let limits = RpcLimits { call_time: Duration::ZERO, ..RpcLimits::default() };
    let node = TestNode::start_with(RpcConfig { port: 0, limits, ..RpcConfig::default() }, None).await;
    let refused = node.error("eth_feeHistory", json!(["0x1", "latest", [50]])).await;
    assert_eq!(refused, (-32005, "fee history takes longer than 0 ms, ask for fewer blocks".to_owned()));
}
