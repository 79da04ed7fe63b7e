//! `eth_call` and `eth_estimateGas`.

use crate::node::{BALANCE, HALTER, LOGGER, REVERT_REASON, REVERTER, TestNode, user};
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::{Revert, SolError};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_returns_the_contracts_output_and_changes_nothing() {
    let node = TestNode::start().await;
    let word = B256::repeat_byte(3);
    for field in ["input", "data"] {
        let result = node.get("eth_call", json!([{"to": LOGGER, field: word}, "latest"])).await;
        assert_eq!(result, json!(word));
    }
    assert_eq!(node.get("eth_call", json!([{"to": LOGGER, "data": word}])).await, json!(word));
    assert_eq!(node.get("eth_call", json!([{"to": Address::repeat_byte(1)}, "latest"])).await, "0x");
    assert_eq!(node.get("eth_getStorageAt", json!([LOGGER, "0x0", "latest"])).await, json!(B256::ZERO));
    let different = json!([{"to": LOGGER, "data": "0x01", "input": "0x02"}, "latest"]);
    let (code, message) = node.error("eth_call", different).await;
    assert_eq!(code, -32000);
    assert!(message.starts_with(r#"both "data" and "input" are set and not equal"#), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_for_another_chain_is_refused() {
    let node = TestNode::start().await;
    for method in ["eth_call", "eth_estimateGas"] {
        let refused = node.error(method, json!([{"to": LOGGER, "chainId": "0x1"}, "latest"])).await;
        assert_eq!(refused, (-32000, "chainId does not match node's (have=1, want=31337)".to_owned()), "{method}");
        node.get(method, json!([{"to": LOGGER, "chainId": "0x7a69"}, "latest"])).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_carries_its_reason_and_data() {
    let node = TestNode::start().await;
    let data = Bytes::from(Revert::from(REVERT_REASON).abi_encode());
    for method in ["eth_call", "eth_estimateGas"] {
        let error = node.call(method, json!([{"to": REVERTER}, "latest"])).await.unwrap_err();
        let expected = json!({"code": 3, "message": format!("execution reverted: {REVERT_REASON}"), "data": data});
        assert_eq!(error, expected, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_and_a_lack_of_funds_say_why() {
    let node = TestNode::start().await;
    let (code, message) = node.error("eth_call", json!([{"to": HALTER}, "latest"])).await;
    assert_eq!(code, -32000);
    assert!(message.starts_with("invalid opcode"), "{message}");
    let (code, message) = node.error("eth_call", json!([{"to": LOGGER, "gas": "0x5300"}, "latest"])).await;
    assert_eq!((code, message.as_str()), (-32000, "out of gas"));
    let poor = json!([{"from": user(0).address(), "to": LOGGER, "value": format!("{:#x}", BALANCE + 1)}, "latest"]);
    let (code, message) = node.error("eth_call", poor).await;
    assert_eq!(code, -32000);
    assert!(message.contains("insufficient funds"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_is_enough_and_exact_for_a_transfer() {
    let node = TestNode::start().await;
    let transfer = json!([{"from": user(0).address(), "to": Address::repeat_byte(1), "value": "0x1"}]);
    assert_eq!(node.get("eth_estimateGas", transfer).await, "0x5208");
    let call = json!([{"from": user(0).address(), "to": LOGGER, "data": B256::repeat_byte(3)}, "latest"]);
    let gas = node.get("eth_estimateGas", call).await;
    let with_gas = json!([{"from": user(0).address(), "to": LOGGER, "data": B256::repeat_byte(3), "gas": gas}]);
    assert_eq!(node.get("eth_call", with_gas).await, json!(B256::repeat_byte(3)));
}
