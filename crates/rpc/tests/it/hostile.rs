//! Every method with arguments that nobody should send: each is answered, as a caller's mistake or with a result, and none
//! as the node's own failure, which a panic would be.

use crate::client;
use crate::node::{LOGGER, TestNode, transaction, user};
use alloy_primitives::B256;
use heddle_rpc::{Api, RpcConfig, RpcLimits};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

/// Calls of each method.
const CALLS: usize = 40;
/// What the node answers when it failed.
pub const INTERNAL_ERROR: i64 = -32603;
/// The page whose table has every method; another test compares it with the server.
const METHODS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/rpc.md");

/// Names of the methods, and how many arguments each takes.
pub fn methods() -> Vec<(String, usize)> {
    let page = std::fs::read_to_string(METHODS).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let methods = rows.map(|(name, rest)| {
        let parameters = rest.split(" |").next().unwrap_or_default();
        (name.to_owned(), parameters.split(", ").filter(|name| !name.trim().is_empty()).count())
    });
    methods.filter(|(name, _)| !matches!(name.as_str(), "eth_subscribe" | "eth_unsubscribe")).collect()
}

/// Values that some argument means, at wrong places too, and values that none does.
pub fn palette(known: &[Value]) -> Vec<Value> {
    let huge = format!("0x{}", "f".repeat(64));
    let everybody = user(0).address();
    let mut values = vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(""),
        json!("0x"),
        json!("0x0"),
        json!("0x01"),
        json!("0x1"),
        json!(huge),
        json!(format!("{huge}f")),
        json!("latest"),
        json!("pending"),
        json!("earliest"),
        json!("safe"),
        json!("no tag"),
        json!("\u{0}\u{1F980}"),
        json!("0xzz"),
        json!([]),
        json!({}),
        json!([[[]]]),
        json!([null]),
        json!([huge, huge]),
        json!({"to": LOGGER, "from": everybody, "data": "0x01", "gas": huge, "value": huge}),
        json!({"to": LOGGER, "gasPrice": "0x1", "maxFeePerGas": "0x1"}),
        json!({"data": "0x5b5f56", "gas": "0xffffffff"}),
        json!({"from": everybody, "nonce": "0xffffffffffffffff"}),
        json!({"to": LOGGER, "blobVersionedHashes": [], "maxFeePerBlobGas": "0x0"}),
        json!({"fromBlock": "0x2", "toBlock": "0x1"}),
        json!({"fromBlock": "earliest", "topics": [null, [], [null]]}),
        json!({"blockHash": huge, "address": [LOGGER, LOGGER]}),
        json!({"fromAddress": [], "after": u64::MAX, "count": u64::MAX}),
        json!({"tracer": "callTracer", "tracerConfig": {"withLog": true}}),
        json!({"tracer": "{", "timeout": "-1s"}),
        json!({"tracer": "muxTracer", "tracerConfig": {"muxTracer": {"muxTracer": {}}}}),
        json!({"timeout": "0s", "limit": -1}),
        json!({"enableMemory": true, "enableReturnData": true, "limit": 1}),
        json!(["trace", "vmTrace", "stateDiff"]),
        json!({LOGGER.to_string(): {"code": "0x5b5f56", "state": {}, "stateDiff": {}}}),
        json!({LOGGER.to_string(): {"balance": huge, "nonce": "0xffffffffffffffff", "movePrecompileToAddress": LOGGER}}),
        json!({"number": huge, "time": huge, "gasLimit": "0x0", "baseFeePerGas": huge, "blobBaseFee": huge}),
        json!({"blockStateCalls": [{"calls": [{}, {"to": LOGGER}], "blockOverrides": {"number": "0xffffffffffffffff"}}]}),
        json!({"blockStateCalls": [{"blockOverrides": {"time": "0xffffffffffffffff"}}, {}], "validation": true}),
        json!([{"calls": []}]),
        json!(["0xffffffffffffffff", 0, -1, 101, f64::MAX]),
        json!("x".repeat(70_000)),
    ];
    values.extend_from_slice(known);
    values
}

/// A node that serves whatever the open port may.
pub async fn serving_all(limits: RpcLimits) -> TestNode {
    let apis = Api::all_but_admin();
    TestNode::start_with(RpcConfig { port: 0, apis, limits, ..RpcConfig::default() }, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_answers_whatever_it_is_asked() {
    let node = serving_all(RpcLimits::default()).await;
    let sent = transaction(0, 0, LOGGER, 0, B256::repeat_byte(7));
    node.mine_all(&[&sent]).await;
    let head = node.chain.head().hash();
    let palette = palette(&[json!(sent.tx_hash()), json!(head), json!({"blockHash": head}), json!(LOGGER)]);
    let mut random = StdRng::seed_from_u64(9);
    let methods = methods();
    assert!(methods.len() > 100, "{methods:?}");
    for (method, arguments) in methods {
        for _ in 0..CALLS {
            let count = random.random_range(0..=arguments + 1);
            let params = Vec::from_iter((0..count).map(|_| palette[random.random_range(0..palette.len())].clone()));
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
            let answer = client::post(node.address(), &body).await.json();
            let asked = format!("{body:.2000} -> {answer}");
            let Some(error) = answer.get("error") else {
                assert!(answer.get("result").is_some(), "{asked}");
                continue;
            };
            let code = error["code"].as_i64();
            assert!(code.is_some_and(|code| code != INTERNAL_ERROR) && error["message"].is_string(), "{asked}");
        }
    }
    assert_eq!(client::call(node.address(), "eth_blockNumber", json!([])).await, Ok(json!("0x1")));
}
