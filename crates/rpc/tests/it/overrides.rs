//! What `eth_call` and `eth_estimateGas` may be told to pretend, and what they may cost.

use crate::node::{LOGGER, REVERTER, TestNode, user};
use alloy_primitives::{Address, B256};
use heddle_rpc::{Api, RpcConfig, RpcLimits};
use serde_json::json;
use std::time::Duration;

/// Jumps to its beginning for ever.
const ENDLESS: &str = "0x5b5f56";

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_block_are_as_pretended() {
    let node = TestNode::start().await;
    let anywhere = Address::repeat_byte(0x44);
    // NUMBER, and slot 0 behind it.
    let code =
        json!({"code": "0x435f525f5460205260405ff3", "stateDiff": {B256::ZERO.to_string(): B256::with_last_byte(7)}});
    let (state, block) = (json!({anywhere.to_string(): code}), json!({"number": "0x63"}));
    let seen = node.get("eth_call", json!([{"to": anywhere}, "latest", state, block])).await;
    assert_eq!(seen, json!(format!("0x{:064x}{:064x}", 0x63, 7)));
    assert_eq!(node.get("eth_call", json!([{"to": anywhere}, "latest", null, block])).await, "0x");

    let poor = Address::repeat_byte(0x45);
    let payment = json!({"from": poor, "to": user(0).address(), "value": "0x5"});
    assert_eq!(node.error("eth_estimateGas", json!([payment, "latest"])).await.0, -32000);
    let rich = json!({poor.to_string(): {"balance": "0x5"}});
    assert_eq!(node.get("eth_estimateGas", json!([payment, "latest", rich])).await, "0x5208");

    let contradiction = json!({LOGGER.to_string(): {"state": {}, "stateDiff": {}}});
    let (code, message) = node.error("eth_call", json!([{"to": LOGGER}, "latest", contradiction])).await;
    assert_eq!(code, -32000);
    assert!(message.ends_with("has both 'state' and 'stateDiff'"), "{message}");
    let unknown = json!({LOGGER.to_string(): {"colour": "red"}});
    assert_eq!(node.error("eth_call", json!([{"to": LOGGER}, "latest", unknown])).await.0, -32602);
    assert_eq!(node.error("eth_call", json!([{"to": REVERTER}, "latest", {}])).await.0, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_made_blocks_have_is_refused_by_name() {
    let config = RpcConfig { port: 0, apis: vec![Api::Eth, Api::Debug, Api::Trace], ..RpcConfig::default() };
    let node = TestNode::start_with(config, None).await;
    for (name, value) in [("withdrawals", json!([])), ("beaconRoot", json!(B256::ZERO))] {
        let block = json!({ name: value });
        let expected = (-32000, format!("block override \"{name}\" is not supported for this RPC method"));
        for method in ["eth_call", "eth_estimateGas", "eth_createAccessList"] {
            assert_eq!(node.error(method, json!([{"to": LOGGER}, "latest", null, block])).await, expected, "{method}");
        }
        let options = json!({"blockOverrides": block});
        assert_eq!(node.error("debug_traceCall", json!([{"to": LOGGER}, "latest", options])).await, expected);
        let traced = node.error("trace_call", json!([{"to": LOGGER}, ["trace"], "latest", null, block])).await;
        assert_eq!(traced, expected);
    }
    let nothing = json!({"withdrawals": null, "number": "0x1"});
    node.get("eth_call", json!([{"to": LOGGER}, "latest", null, nothing])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_takes_too_long_is_ended() {
    let limits = RpcLimits { call_time: Duration::ZERO, call_gas: u64::MAX, ..RpcLimits::default() };
    let node = TestNode::start_with(RpcConfig { port: 0, limits, ..RpcConfig::default() }, None).await;
    let state = json!({LOGGER.to_string(): {"code": ENDLESS}});
    for method in ["eth_call", "eth_estimateGas"] {
        let refused = node.error(method, json!([{"to": LOGGER}, "latest", state])).await;
        assert_eq!(refused, (-32000, "execution aborted (timeout = 0ns)".to_owned()), "{method}");
    }
}
