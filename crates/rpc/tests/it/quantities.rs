//! Numbers are refused where go-ethereum refuses them, in its words; what is no number is not.

use crate::node::{LOGGER, TestNode, logging, user};
use alloy_primitives::B256;
use heddle_rpc::{Api, RpcConfig};
use serde_json::{Value, json};

async fn node() -> TestNode {
    let config = RpcConfig { port: 0, apis: Api::all_but_admin(), ..RpcConfig::default() };
    let node = TestNode::start_with(config, None).await;
    node.mine_all(&[&logging(0, 0, B256::with_last_byte(7))]).await;
    node
}

const LEADING_ZERO: &str = "hex number with leading zero digits";

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_blocks_and_indices_have_no_zeros_in_front() {
    let (node, account) = (node().await, user(0).address());
    let hash = node.chain.head().hash();
    for (method, params, place) in [
        ("eth_getBlockByNumber", json!(["0x01", false]), "0 (block)"),
        ("eth_getBlockReceipts", json!(["0x01"]), "0 (block)"),
        ("eth_getBalance", json!([account, "0x01"]), "1 (block)"),
        ("eth_getBalance", json!([account, {"blockNumber": "0x01"}]), "1 (block): blockNumber"),
        ("eth_getTransactionCount", json!([account, "0x00"]), "1 (block)"),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x1", "0x00"]), "1 (index)"),
        ("eth_getTransactionByBlockHashAndIndex", json!([hash, "0x00"]), "1 (index)"),
        ("eth_getUncleByBlockNumberAndIndex", json!(["0x1", "0x00"]), "1 (index)"),
        ("eth_getRawTransactionByBlockHashAndIndex", json!([hash, "0x00"]), "1 (index)"),
        ("eth_getTransactionBySenderAndNonce", json!([account, "0x00"]), "1 (nonce)"),
        ("eth_feeHistory", json!(["0x1", "0x01", []]), "1 (newestBlock)"),
        ("eth_getLogs", json!([{"fromBlock": "0x00"}]), "0 (filter): fromBlock"),
        ("eth_newFilter", json!([{"toBlock": "0x01"}]), "0 (filter): toBlock"),
        ("debug_traceBlockByNumber", json!(["0x01"]), "0 (block)"),
        ("trace_filter", json!([{"fromBlock": "0x01"}]), "0 (filter): fromBlock"),
    ] {
        let refused = (-32602, format!("invalid argument {place}: {LEADING_ZERO}"));
        assert_eq!(node.error(method, params.clone()).await, refused, "{method} {params}");
    }
    for (block, reason) in [
        ("1", "hex string without 0x prefix"),
        ("Latest", "hex string without 0x prefix"),
        ("0x", "hex string \"0x\""),
        ("0x8000000000000000", "block number larger than int64"),
        ("0x10000000000000000", "hex number > 64 bits"),
    ] {
        let refused = (-32602, format!("invalid argument 1 (block): {reason}"));
        assert_eq!(node.error("eth_getBalance", json!([account, block])).await, refused);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_have_the_fields_of_calls_and_overrides() {
    let node = node().await;
    let fields = ["gas", "gasPrice", "value", "nonce", "maxFeePerGas", "maxPriorityFeePerGas", "chainId"];
    for field in fields {
        for method in ["eth_call", "eth_estimateGas", "eth_createAccessList", "debug_traceCall", "eth_fillTransaction"]
        {
            let (code, message) = node.error(method, json!([{"to": LOGGER, field: "0x01"}])).await;
            let expected = format!("invalid argument 0 (transaction): {field}: {LEADING_ZERO}");
            assert_eq!((code, message), (-32602, expected), "{method}");
        }
    }
    let state = json!({LOGGER.to_string(): {"balance": "0x01"}});
    for (params, reason) in [
        (json!([{}, "latest", state]), "2 (stateOverrides): balance"),
        (json!([{}, "latest", {}, {"number": "0x01"}]), "3 (blockOverrides): number"),
    ] {
        let refused = (-32602, format!("invalid argument {reason}: {LEADING_ZERO}"));
        assert_eq!(node.error("eth_call", params).await, refused);
    }
    let simulation = json!({"blockStateCalls": [{"calls": [{"gas": "0x01"}]}]});
    let refused = (-32602, format!("invalid argument 0 (simulation): gas: {LEADING_ZERO}"));
    assert_eq!(node.error("eth_simulateV1", json!([simulation, "latest"])).await, refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_number_may_begin_with_zeros() {
    let node = node().await;
    let topic = B256::with_last_byte(7);
    let logs = node.get("eth_getLogs", json!([{"fromBlock": "0x0", "topics": [topic]}])).await;
    assert_eq!(logs.as_array().unwrap().len(), 1);
    assert_eq!(node.get("eth_call", json!([{"to": LOGGER, "data": topic}, "latest"])).await, json!(topic));
    // go-ethereum's count of blocks.
    for count in [json!("0x01"), json!(1), json!("1")] {
        assert_eq!(node.get("eth_feeHistory", json!([count, "latest", []])).await["oldestBlock"], "0x1");
    }
    // Otterscan's numbers of blocks.
    assert_eq!(node.get("ots_getBlockDetails", json!([1])).await["block"]["number"], "0x1");
    assert_eq!(node.get("ots_getBlockTransactions", json!([1, 0, 5])).await["fullblock"]["number"], "0x1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_up_to_32_bytes_in_hexadecimal() {
    let node = node().await;
    let full = format!("0x{}", "0".repeat(64));
    for slot in ["0x0", "0x", "0x00", "0x000", "0", "", "0X0", &full] {
        let stored = node.get("eth_getStorageAt", json!([LOGGER, slot, "latest"])).await;
        assert_eq!(stored, json!(B256::with_last_byte(7)), "{slot}");
    }
    // Hexadecimal, whatever it looks like.
    let proof = node.get("eth_getProof", json!([LOGGER, ["10", "0x0010", full], "latest"])).await;
    let keys = Vec::from_iter((0..3).map(|index| proof["storageProof"][index]["key"].clone()));
    assert_eq!(keys, [json!("0x10"), json!("0x10"), json!(full)]);
    for (slot, reason) in [
        (format!("{full}0"), "storage key too long (want at most 32 bytes)"),
        ("0xg".to_owned(), "invalid hex in storage key"),
    ] {
        for params in [json!([LOGGER, slot, "latest"]), json!([LOGGER, [slot], "latest"])] {
            let method = if params[1].is_array() { "eth_getProof" } else { "eth_getStorageAt" };
            let (code, message) = node.error(method, params).await;
            assert!(code == -32602 && message.starts_with(reason), "{method} {slot}: {message}");
        }
    }
    assert_eq!(node.error("eth_getStorageAt", json!([LOGGER, Value::Null])).await.0, -32602);
}
