//! `eth_simulateV1` and `eth_createAccessList`.

use crate::node::{HALTER, LOGGER, REVERT_REASON, REVERTER, TestNode, user};
use alloy_primitives::{Address, B256};
use serde_json::{Value, json};

async fn simulated(node: &TestNode, options: Value) -> Vec<Value> {
    node.get("eth_simulateV1", json!([options, "latest"])).await.as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_carry_the_results_of_their_calls() {
    let node = TestNode::start().await;
    let topic = B256::repeat_byte(3);
    let from = user(0).address();
    let calls = json!([
        {"from": from, "to": LOGGER, "input": topic},
        {"from": from, "to": REVERTER},
        {"from": from, "to": HALTER, "gas": "0x7530"},
        {"from": from, "to": Address::repeat_byte(9), "value": "0x5"},
    ]);
    let options =
        json!({"blockStateCalls": [{"calls": calls}, {}], "traceTransfers": true, "returnFullTransactions": true});
    let blocks = simulated(&node, options).await;
    let (first, second) = (&blocks[0], &blocks[1]);
    assert_eq!(second["parentHash"], first["hash"]);
    assert_eq!(first["transactions"][3]["value"], "0x5");
    assert_eq!(first["transactions"][3]["r"], "0x0");
    let calls = &first["calls"];
    assert_eq!((&calls[0]["status"], &calls[0]["returnData"]), (&json!("0x1"), &json!(topic)));
    let log = &calls[0]["logs"][0];
    assert_eq!((&log["blockHash"], &log["topics"][0]), (&first["hash"], &json!(topic)));
    assert_eq!(log["transactionHash"], first["transactions"][0]["hash"]);
    assert_eq!((&calls[1]["error"]["code"], &calls[1]["returnData"]), (&json!(3), &json!("0x")));
    assert_eq!(calls[1]["error"]["message"], format!("execution reverted: {REVERT_REASON}"));
    assert_eq!(calls[2]["error"]["code"], -32015);
    assert_eq!((&calls[3]["logs"][0]["logIndex"], &calls[3]["maxUsedGas"]), (&json!("0x1"), &json!("0x5208")));
    assert_eq!(node.get("eth_blockNumber", json!([])).await, "0x0", "nothing was committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_the_codes_of_the_specification() {
    let node = TestNode::start().await;
    let poor = Address::repeat_byte(0x44);
    let calls =
        |call: Value, validation: bool| json!({"blockStateCalls": [{"calls": [call]}], "validation": validation});
    let blocks = |blocks: Value| json!({"blockStateCalls": blocks});
    let from = user(0).address();
    for (options, code) in [
        (calls(json!({"from": from, "to": LOGGER}), true), -38012),
        (
            calls(
                json!({"from": from, "to": LOGGER, "nonce": "0x9", "maxFeePerGas": "0xba43b7400", "gas": "0x30d40"}),
                true,
            ),
            -38011,
        ),
        (calls(json!({"from": from, "to": LOGGER, "gas": "0x1"}), false), -38013),
        (calls(json!({"from": poor, "to": LOGGER, "value": "0x1"}), false), -38014),
        (calls(json!({"from": from, "to": LOGGER, "gas": "0xffffffffff"}), false), -38015),
        (blocks(json!([{"blockOverrides": {"number": "0x5"}}, {"blockOverrides": {"number": "0x5"}}])), -38020),
        (blocks(json!([{"blockOverrides": {"time": "0x5"}}])), -38021),
        (blocks(json!([{"blockOverrides": {"number": "0xfff"}}])), -38026),
        (blocks(json!(vec![json!({}); 257])), -38026),
        (blocks(json!([])), -32602),
        (blocks(json!([{"stateOverrides": {LOGGER.to_string(): {"movePrecompileToAddress": poor}}}])), -32000),
    ] {
        let (found, message) = node.error("eth_simulateV1", json!([options, "latest"])).await;
        assert_eq!(found, code, "{options}: {message}");
    }
    let unknown = json!([{"blockStateCalls": [{}]}, "0x99"]);
    assert_eq!(node.error("eth_simulateV1", unknown).await, (-32000, "header not found".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_list_names_what_is_touched() {
    let node = TestNode::start().await;
    let topic = B256::repeat_byte(3);
    let made = node.get("eth_createAccessList", json!([{"to": LOGGER, "input": topic}, "latest"])).await;
    assert_eq!(made["accessList"], json!([{"address": LOGGER, "storageKeys": [B256::ZERO]}]));
    let with = json!([{"to": LOGGER, "input": topic, "accessList": made["accessList"], "gas": made["gasUsed"]}]);
    assert_eq!(node.get("eth_call", with).await, json!(topic));
    assert!(made.get("error").is_none());
    let failed = node.get("eth_createAccessList", json!([{"to": REVERTER}])).await;
    assert_eq!(failed["error"], "execution reverted");
}

#[tokio::test(flavor = "multi_thread")]
async fn withdrawals_are_credited_after_the_calls() {
    let node = TestNode::start().await;
    let lucky = Address::repeat_byte(0x77);
    let withdrawal = json!({"index": "0x1", "validatorIndex": "0x2", "address": lucky, "amount": "0x3"});
    let spend = json!({"from": lucky, "to": LOGGER, "value": "0x5"});
    let options = json!({"blockStateCalls": [
        {"blockOverrides": {"withdrawals": [withdrawal], "gasLimit": "0x1c9c380"}},
        {"calls": [spend]},
    ]});
    let blocks = simulated(&node, options).await;
    assert_eq!((&blocks[0]["withdrawals"], &blocks[1]["withdrawals"]), (&json!([withdrawal]), &json!([])));
    assert_ne!(blocks[0]["withdrawalsRoot"], blocks[1]["withdrawalsRoot"]);
    assert_eq!(blocks[1]["calls"][0]["status"], "0x1", "paid from three gwei");
    let early = json!({"blockStateCalls": [{"blockOverrides": {"withdrawals": [withdrawal]}, "calls": [spend]}]});
    assert_eq!(node.error("eth_simulateV1", json!([early, "latest"])).await.0, -38014, "not before the calls");
    let malformed = json!({"blockStateCalls": [{"blockOverrides": {"withdrawals": [{}]}}]});
    assert_eq!(node.error("eth_simulateV1", json!([malformed, "latest"])).await.0, -32602);
    let zero = json!({"index": "0x01", "validatorIndex": "0x2", "address": lucky, "amount": "0x3"});
    let zero = json!({"blockStateCalls": [{"blockOverrides": {"withdrawals": [zero]}}]});
    let (_, message) = node.error("eth_simulateV1", json!([zero, "latest"])).await;
    assert_eq!(message, "invalid argument 0 (simulation): index: hex number with leading zero digits");
}
