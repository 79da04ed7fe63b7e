//! `debug_trace*`, `trace_*` and `ots_*`, of a contract that does everything once.

use crate::client;
use crate::node::{
    CHAIN_ID, FEE_RECIPIENT, LOGGER, REVERT_REASON, REVERTER, TestNode, legacy, signed, transaction, user,
};
use alloy_primitives::{Address, B256, TxHash, TxKind, hex};
use heddle_rpc::{Api, RpcConfig, RpcLimits};
use serde_json::{Value, json};

/// Calls [`LOGGER`], runs its code itself, calls [`REVERTER`], creates an empty contract, and sends its balance to the
/// caller by self-destruction.
const EVERYTHING: &[u8] = &hex!(
    "5f5f60205f5f60aa5af150" "5f5f60205f60aa5af450" "5f5f5f5f5f60bb5af150" "5f5f5ff050" "33ff"
);
/// Calls itself until the gas is gone.
const RECURSION: &[u8] = &hex!("5f5f5f5f5f305af100");
/// Runs for ever.
const LOOP: &[u8] = &hex!("5b5f56");

fn config(limits: RpcLimits) -> RpcConfig {
    RpcConfig { port: 0, apis: vec![Api::Eth, Api::Debug, Api::Trace, Api::Ots], limits, ..RpcConfig::default() }
}

async fn node() -> TestNode {
    TestNode::start_with(config(RpcLimits::default()), None).await
}

/// Init code that deploys `runtime`.
pub fn init_code(runtime: &[u8]) -> Vec<u8> {
    let length = u8::try_from(runtime.len()).unwrap();
    [&[0x60, length, 0x60, 10, 0x5f, 0x39, 0x60, length, 0x5f, 0xf3], runtime].concat()
}

/// Deploys a contract as user 0's first transaction.
async fn deploy(node: &TestNode, runtime: &[u8]) -> (Address, TxHash) {
    let creation = legacy(0, 0, TxKind::Create, init_code(runtime));
    node.mine_all(&[&creation]).await;
    (user(0).address().create(0), *creation.tx_hash())
}

/// A node where user 0 has called [`EVERYTHING`] in block 2, after another transaction; the contract, and the call.
async fn everything() -> (TestNode, Address, TxHash) {
    let node = node().await;
    let (contract, _) = deploy(&node, EVERYTHING).await;
    let other = transaction(1, 0, LOGGER, 0, B256::repeat_byte(7));
    let call = transaction(0, 1, contract, 5, []);
    node.mine_all(&[&other, &call]).await;
    (node, contract, *call.tx_hash())
}

fn column<'a>(rows: &'a Value, path: &str) -> Vec<&'a str> {
    rows.as_array().unwrap().iter().map(|row| row.pointer(path).and_then(Value::as_str).unwrap_or("-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_call_tracer_shows_every_frame() {
    let (node, contract, hash) = everything().await;
    let options = json!({ "tracer": "callTracer", "tracerConfig": { "withLog": true } });
    let trace = node.get("debug_traceTransaction", json!([hash, options])).await;
    let receipt = node.get("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!((&trace["type"], &trace["gasUsed"]), (&json!("CALL"), &receipt["gasUsed"]));
    assert_eq!((&trace["to"], &trace["value"]), (&json!(contract), &json!("0x5")));
    let calls = &trace["calls"];
    assert_eq!(column(calls, "/type"), ["CALL", "DELEGATECALL", "CALL", "CREATE", "SELFDESTRUCT"]);
    assert_eq!(calls[0]["to"], json!(LOGGER));
    assert_eq!(calls[2]["to"], json!(REVERTER));
    assert_eq!((&calls[2]["error"], &calls[2]["revertReason"]), (&json!("execution reverted"), &json!(REVERT_REASON)));
    assert_eq!(calls[4]["value"], "0x5");
    for (call, log) in [(0, 0), (1, 1)] {
        assert_eq!(calls[call]["logs"][0]["index"], receipt["logs"][log]["logIndex"]);
    }
    let top = json!({ "tracer": "callTracer", "tracerConfig": { "onlyTopCall": true } });
    assert!(node.get("debug_traceTransaction", json!([hash, top])).await.get("calls").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flat_call_tracer_has_words_of_its_own() {
    let (node, _, hash) = everything().await;
    let options = |config: Value| json!([hash, { "tracer": "flatCallTracer", "tracerConfig": config }]);
    let flat = node.get("debug_traceTransaction", options(json!({}))).await;
    assert_eq!(column(&flat, "/error"), ["-", "-", "-", "execution reverted", "-", "-"]);
    assert!(flat[4]["action"].get("creationMethod").is_none());
    let parity = node.get("debug_traceTransaction", options(json!({ "convertParityErrors": true }))).await;
    assert_eq!(column(&parity, "/error"), ["-", "-", "-", "Reverted", "-", "-"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn struct_logs_show_what_is_asked_for() {
    let (node, _, hash) = everything().await;
    let trace = node.get("debug_traceTransaction", json!([hash])).await;
    let receipt = node.get("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!(json!(format!("{:#x}", trace["gas"].as_u64().unwrap())), receipt["gasUsed"]);
    assert_eq!((&trace["failed"], &trace["returnValue"]), (&json!(false), &json!("0x")));
    let logs = trace["structLogs"].as_array().unwrap();
    assert_eq!(
        logs[0],
        json!({ "pc": 0, "op": "PUSH0", "gas": logs[0]["gas"], "gasCost": 2, "depth": 1, "stack": [] })
    );
    let store = logs.iter().find(|log| log["op"] == "SSTORE").unwrap();
    assert_eq!(store["storage"], json!({ B256::ZERO.to_string(): B256::ZERO }));
    assert_eq!(
        (logs.last().unwrap()["op"].as_str(), logs.iter().any(|log| log["depth"] == 2)),
        (Some("SELFDESTRUCT"), true)
    );

    let options = json!({ "disableStack": true, "disableStorage": true, "enableMemory": true, "enableReturnData": true, "limit": 40 });
    let trace = node.get("debug_traceTransaction", json!([hash, options])).await;
    let logs = trace["structLogs"].as_array().unwrap();
    assert_eq!(logs.len(), 40);
    assert!(logs.iter().all(|log| log.get("stack").is_none() && log.get("storage").is_none()));
    assert!(logs.iter().any(|log| log["memory"] == json!([B256::ZERO])), "{logs:?}");
    assert!(logs.iter().any(|log| log["returnData"] == json!(B256::ZERO)), "{logs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tracer_of_user_operations_shows_what_each_frame_used() {
    let (node, contract, hash) = everything().await;
    let trace = node.get("debug_traceTransaction", json!([hash, { "tracer": "erc7562Tracer" }])).await;
    assert_eq!((&trace["type"], &trace["to"], &trace["outOfGas"]), (&json!("CALL"), &json!(contract), &json!(false)));
    assert_eq!((&trace["usedOpcodes"]["0xff"], &trace["usedOpcodes"]["0xf1"]), (&json!(1), &json!(2)));
    let logger = &trace["calls"][0];
    assert_eq!(
        (&logger["to"], &logger["accessedSlots"]["writes"]),
        (&json!(LOGGER), &json!({B256::ZERO.to_string(): 1}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_traced_by_number_hash_and_rlp() {
    let (node, _, hash) = everything().await;
    let options = json!({ "tracer": "4byteTracer" });
    let by_number = node.get("debug_traceBlockByNumber", json!(["latest", options])).await;
    assert_eq!(column(&by_number, "/txHash")[1], hash.to_string());
    let block = node.get("eth_getBlockByNumber", json!(["0x2", false])).await;
    assert_eq!(node.get("debug_traceBlockByHash", json!([block["hash"], options])).await, by_number);
    let rlp = alloy_rlp::encode(&node.chain.block(2).unwrap().unwrap().block);
    let rlp = alloy_primitives::Bytes::from(rlp);
    assert_eq!(node.get("debug_traceBlock", json!([rlp, options])).await, by_number);

    let missing = |text: String| (-32000, text);
    let unknown = B256::repeat_byte(9);
    assert_eq!(
        node.error("debug_traceBlockByHash", json!([unknown])).await,
        missing(format!("block {unknown} not found"))
    );
    assert_eq!(node.error("debug_traceBlockByNumber", json!(["0x9"])).await, missing("block #9 not found".to_owned()));
    assert_eq!(
        node.error("debug_traceBlockByNumber", json!(["0x0"])).await,
        missing("genesis is not traceable".to_owned())
    );
    assert_eq!(
        node.error("debug_traceTransaction", json!([unknown])).await,
        missing("transaction not found".to_owned())
    );
    assert_eq!(node.error("debug_traceBlock", json!(["0x00"])).await.0, -32000);
}

#[tokio::test(flavor = "multi_thread")]
async fn prestate_and_its_difference() {
    let (node, contract, hash) = everything().await;
    let trace = |config: Value| json!([hash, { "tracer": "prestateTracer", "tracerConfig": config }]);
    let before = node.get("debug_traceTransaction", trace(json!({}))).await;
    let key = |address: Address| address.to_string().to_lowercase();
    assert_eq!(before[key(contract)]["code"], json!(alloy_primitives::Bytes::from(EVERYTHING)));
    assert_eq!(before[key(user(0).address())]["nonce"], 1);
    let without = node.get("debug_traceTransaction", trace(json!({ "disableCode": true }))).await;
    assert!(without[key(contract)].get("code").is_none());
    let difference = node.get("debug_traceTransaction", trace(json!({ "diffMode": true }))).await;
    assert_eq!(difference["post"][key(user(0).address())]["nonce"], 2);
    assert_eq!(difference["post"][key(contract)]["nonce"], 2, "it has created a contract");
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_of_parity() {
    let (node, contract, hash) = everything().await;
    let traces = node.get("trace_transaction", json!([hash])).await;
    assert_eq!(column(&traces, "/type"), ["call", "call", "call", "call", "create", "suicide"]);
    assert_eq!(column(&traces, "/error"), ["-", "-", "-", "Reverted", "-", "-"]);
    assert_eq!(traces[5]["traceAddress"], json!([4]));
    assert_eq!((&traces[0]["subtraces"], &traces[0]["transactionPosition"]), (&json!(5), &json!(1)));
    assert_eq!(node.get("trace_get", json!([hash, ["0x3"]])).await, traces[4]);
    assert!(node.get("trace_get", json!([hash, ["0x9"]])).await.is_null());
    assert!(node.get("trace_transaction", json!([B256::ZERO])).await.is_null());

    let block = node.get("trace_block", json!(["0x2"])).await;
    assert_eq!(block.as_array().unwrap().len(), 7);
    assert_eq!(block.as_array().unwrap()[1..], traces.as_array().unwrap()[..]);
    assert_eq!(node.get("trace_block", json!(["0x0"])).await, json!([]));
    assert!(node.get("trace_block", json!(["0x9"])).await.is_null());

    let replayed = node.get("trace_replayTransaction", json!([hash, ["trace", "stateDiff", "vmTrace"]])).await;
    assert_eq!(replayed["trace"].as_array().unwrap().len(), 6);
    let difference = &replayed["stateDiff"][contract.to_string().to_lowercase()];
    assert_eq!(difference["nonce"], json!({ "*": { "from": "0x1", "to": "0x2" } }));
    assert_eq!(replayed["vmTrace"]["code"], json!(alloy_primitives::Bytes::from(EVERYTHING)));
    let block = node.get("trace_replayBlockTransactions", json!(["0x2", ["trace"]])).await;
    assert_eq!((&block[1]["transactionHash"], &block[1]["trace"]), (&json!(hash), &replayed["trace"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_are_found_by_address() {
    let (node, contract, _) = everything().await;
    let found = async |filter: Value| node.get("trace_filter", json!([filter])).await;
    let to_logger = json!({ "fromBlock": "0x1", "toAddress": [LOGGER] });
    assert_eq!(found(to_logger).await.as_array().unwrap().len(), 3);
    let created = found(json!({ "fromBlock": "earliest", "toBlock": "latest", "toAddress": [contract] })).await;
    assert_eq!(column(&created, "/type"), ["create", "call"]);
    let from = json!({ "fromBlock": "0x1", "fromAddress": [contract], "after": 1, "count": 2 });
    assert_eq!(column(&found(from).await, "/action/callType"), ["delegatecall", "call"]);
    assert_eq!(node.error("trace_filter", json!([{ "toBlock": "0x9" }])).await.0, -32602);

    let limited = TestNode::start_with(config(RpcLimits { trace_blocks: 1, ..RpcLimits::default() }), None).await;
    deploy(&limited, LOOP).await;
    let error = limited.error("trace_filter", json!([{ "fromBlock": "0x0" }])).await;
    assert_eq!(error, (-32005, "more than 1 blocks: try with this block range [0x0, 0x0]".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_otterscan_asks_for() {
    let (node, contract, hash) = everything().await;
    assert_eq!(node.get("ots_getApiLevel", json!([])).await, 8);
    assert_eq!(node.get("ots_hasCode", json!([contract, "latest"])).await, true);
    assert_eq!(node.get("ots_hasCode", json!([contract, "0x0"])).await, false);

    let operations = node.get("ots_getInternalOperations", json!([hash])).await;
    let types: Vec<_> = operations.as_array().unwrap().iter().map(|operation| operation["type"].clone()).collect();
    assert_eq!(types, [2, 1], "a creation, a self-destruction");
    let entries = node.get("ots_traceTransaction", json!([hash])).await;
    assert_eq!(column(&entries, "/type"), ["CALL", "CALL", "DELEGATECALL", "CALL", "CREATE", "SELFDESTRUCT"]);
    assert_eq!((&entries[0]["depth"], &entries[1]["depth"]), (&json!(0), &json!(1)));
    assert_eq!(node.get("ots_getTransactionError", json!([hash])).await, "0x");

    let sender = user(0).address();
    assert_eq!(node.get("ots_getTransactionBySenderAndNonce", json!([sender, 1])).await, json!(hash));
    assert!(node.get("ots_getTransactionBySenderAndNonce", json!([sender, 2])).await.is_null());
    let creator = node.get("ots_getContractCreator", json!([contract])).await;
    assert_eq!(creator["creator"], json!(sender));
    assert!(node.get("ots_getContractCreator", json!([sender])).await.is_null());

    let details = node.get("ots_getBlockDetails", json!(["0x2"])).await;
    assert_eq!((&details["block"]["transactionCount"], &details["issuance"]["issuance"]), (&json!(2), &json!("0x0")));
    assert_eq!(node.get("ots_getBlockDetailsByHash", json!([details["block"]["hash"]])).await, details);
    let page = node.get("ots_getBlockTransactions", json!(["0x2", 0, 1])).await;
    assert_eq!(page["fullblock"]["transactions"][0]["hash"], json!(hash));
    assert_eq!((page["receipts"].as_array().unwrap().len(), &page["receipts"][0]["logs"]), (1, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn otterscan_searches_an_addresss_transactions() {
    let (node, contract, hash) = everything().await;
    let before = node.get("ots_searchTransactionsBefore", json!([contract, 0, 25])).await;
    assert_eq!(column(&before["txs"], "/hash").first(), Some(&hash.to_string().as_str()));
    assert_eq!(before["txs"].as_array().unwrap().len(), 2, "its call and its creation");
    assert_eq!((&before["firstPage"], &before["lastPage"]), (&json!(true), &json!(true)));
    let newest = node.get("ots_searchTransactionsBefore", json!([contract, 0, 1])).await;
    assert_eq!((newest["txs"].as_array().unwrap().len(), &newest["lastPage"]), (1, &json!(false)));
    let rest = node.get("ots_searchTransactionsBefore", json!([contract, 2, 1])).await;
    assert_eq!(rest["txs"][0], before["txs"][1]);
    let after = node.get("ots_searchTransactionsAfter", json!([contract, 0, 25])).await;
    assert_eq!(after["txs"], before["txs"]);
    let logged = node.get("ots_searchTransactionsAfter", json!([LOGGER, 0, 25])).await;
    assert_eq!(logged["txs"].as_array().unwrap().len(), 2);
    // Only a call inside the transaction has to do with it.
    let inside = node.get("ots_searchTransactionsBefore", json!([contract.create(1), 0, 25])).await;
    assert_eq!(column(&inside["txs"], "/hash"), [hash.to_string()]);
    let paid = node.get("ots_searchTransactionsBefore", json!([FEE_RECIPIENT, 0, 25])).await;
    assert_eq!(paid["txs"], json!([]), "not whose tips it gets");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_transactions_error_is_its_revert_data() {
    let node = node().await;
    let failing = legacy(0, 0, TxKind::Call(REVERTER), []);
    node.mine_all(&[&failing]).await;
    let error = node.get("ots_getTransactionError", json!([failing.tx_hash()])).await;
    assert!(error.as_str().unwrap().starts_with("0x08c379a0"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_traced_without_a_transaction() {
    let node = node().await;
    let call = json!({ "to": LOGGER, "input": B256::repeat_byte(3) });
    let trace = node.get("debug_traceCall", json!([call, "latest", { "tracer": "callTracer" }])).await;
    assert_eq!((&trace["type"], &trace["output"]), (&json!("CALL"), &json!(B256::repeat_byte(3))));
    let logs = node.get("debug_traceCall", json!([call])).await;
    assert_eq!(logs["returnValue"], json!(B256::repeat_byte(3)));
    let code = "0x602a5f5260205ff3";
    let options = json!({ "tracer": "callTracer", "stateOverrides": { LOGGER.to_string(): { "code": code } } });
    let trace = node.get("debug_traceCall", json!([call, "latest", options])).await;
    assert_eq!(trace["output"], json!(B256::with_last_byte(42)));
    let reverted = node.get("debug_traceCall", json!([{ "to": REVERTER }, "latest", { "tracer": "callTracer" }])).await;
    assert_eq!(reverted["revertReason"], REVERT_REASON);
    let missing = node.error("debug_traceCall", json!([call, "0xfffffffff"])).await;
    assert_eq!(missing, (-32000, "block #68719476735 not found".to_owned()));

    let traced = node.get("trace_call", json!([call, ["trace", "stateDiff"], "latest"])).await;
    assert_eq!((&traced["output"], &traced["trace"][0]["type"]), (&json!(B256::repeat_byte(3)), &json!("call")));
    assert!(traced["stateDiff"][LOGGER.to_string().to_lowercase()]["storage"].is_object());
    let raw = crate::node::raw(&transaction(0, 7, LOGGER, 0, B256::repeat_byte(4).0));
    let traced = node.get("trace_rawTransaction", json!([raw, ["trace"]])).await;
    assert_eq!(traced["trace"][0]["action"]["from"], json!(user(0).address()));
    assert_eq!(traced["output"], json!(B256::repeat_byte(4)));
    assert_eq!(node.error("trace_rawTransaction", json!(["0x02", ["trace"]])).await.0, -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_end_at_their_limits() {
    let limits = RpcLimits { response_bytes: 16 * 1024, ..RpcLimits::default() };
    let node = TestNode::start_with(config(limits), None).await;
    let (contract, _) = deploy(&node, LOOP).await;
    let call = transaction(0, 1, contract, 0, []);
    node.mine_all(&[&call]).await;
    let (code, message) = node.error("debug_traceTransaction", json!([call.tx_hash()])).await;
    assert_eq!((code, message.starts_with("the trace is larger than 15360 bytes")), (-32005, true), "{message}");
    let error = node.error("trace_replayTransaction", json!([call.tx_hash(), ["vmTrace"]])).await;
    assert_eq!(error.0, -32005);
    let error = node.error("debug_traceTransaction", json!([call.tx_hash(), { "timeout": "1ns" }])).await;
    assert_eq!(error, (-32000, "execution aborted (timeout = 1ns)".to_owned()));
    let javascript = json!([call.tx_hash(), { "tracer": "{ result: function() {}, fault: function() {} }" }]);
    assert_eq!(node.error("debug_traceTransaction", javascript).await.0, -32000);
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_within_frames_within_frames() {
    let node = node().await;
    let (contract, _) = deploy(&node, RECURSION).await;
    // Gas for all the frames that may be open at once.
    let unsigned = alloy_consensus::TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce: 1,
        gas_price: 3_000_000_000,
        gas_limit: 16_000_000,
        to: TxKind::Call(contract),
        ..Default::default()
    };
    let call = signed(0, unsigned);
    node.mine_all(&[&call]).await;
    let trace = node.get("trace_transaction", json!([call.tx_hash()])).await;
    assert!(trace.as_array().unwrap().len() > 200);
    for parts in [json!(["trace"]), json!(["vmTrace"])] {
        assert_answers(&node, "trace_replayTransaction", json!([call.tx_hash(), parts])).await;
    }
    assert_answers(&node, "debug_traceTransaction", json!([call.tx_hash(), { "tracer": "callTracer" }])).await;
}

/// The answer is nested deeper than this test's JSON parser goes.
async fn assert_answers(node: &TestNode, method: &str, params: Value) {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let body = client::post(node.address(), request.to_string()).await.body;
    assert!(body.contains(r#""result":"#), "{method}: {}", &body[..body.len().min(200)]);
}
