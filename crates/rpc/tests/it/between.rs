//! The state between the transactions of a block, and blocks that nobody committed.

use crate::node::{LOGGER, TestNode, logging, transaction};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use heddle_primitives::Block;
use heddle_rpc::{Api, RpcConfig};
use serde_json::{Value, json};

async fn node() -> TestNode {
    let apis = vec![Api::Eth, Api::Debug, Api::Trace];
    TestNode::start_with(RpcConfig { port: 0, apis, ..RpcConfig::default() }, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_listed_as_they_were_before_a_transaction() {
    let node = node().await;
    let value = B256::with_last_byte;
    node.mine_all(&[&logging(0, 0, value(1))]).await;
    let other = transaction(0, 1, Address::repeat_byte(1), 5, []);
    node.mine_all(&[&other, &logging(0, 2, value(2)), &logging(0, 3, B256::ZERO)]).await;
    let hash = keccak256(B256::ZERO);
    let range = async |index: u64, start: &str, count: u64| {
        node.get("debug_storageRangeAt", json!(["latest", index, LOGGER, start, count])).await
    };
    let page =
        |key: Value, value: B256| json!({"storage": {hash.to_string(): {"key": key, "value": value}}, "nextKey": null});
    assert_eq!(range(0, "0x", 10).await, page(Value::Null, value(1)), "only its hash is known");
    assert_eq!(range(1, "0x00", 10).await, page(Value::Null, value(1)));
    assert_eq!(range(2, "0x", 10).await, page(json!(B256::ZERO), value(2)));
    assert_eq!(range(0, "0x", 0).await, json!({"storage": {}, "nextKey": hash}), "where to go on");
    assert_eq!(range(0, "0xff", 10).await, json!({"storage": {}, "nextKey": null}), "behind the only slot");
    let (code, message) = node.error("debug_storageRangeAt", json!(["latest", 3, LOGGER, "0x", 1])).await;
    assert_eq!((code, &*message), (-32000, "transaction index 3 out of range: block 2 has 3 transactions"));
    let long = Bytes::from(vec![0; 33]);
    assert_eq!(node.error("debug_storageRangeAt", json!(["latest", 0, LOGGER, long, 1])).await.0, -32602);
    let genesis = node.error("debug_storageRangeAt", json!(["0x0", 0, LOGGER, "0x", 1])).await;
    assert_eq!(genesis, (-32000, "genesis is not traceable".to_owned()));
    node.mine().await;
    assert_eq!(range(0, "0x", 10).await, json!({"storage": {}, "nextKey": null}), "the last one set it to zero");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transaction_leaves_a_root() {
    let node = node().await;
    let calls = [logging(0, 0, B256::with_last_byte(1)), transaction(1, 0, Address::repeat_byte(1), 5, [])];
    let block = node.mine_all(&[&calls[0], &calls[1]]).await;
    node.mine().await;
    let roots = node.get("debug_intermediateRoots", json!([block.header.seal()])).await;
    // Nothing comes after the last transaction.
    assert_eq!(roots[1], json!(block.header.state_root));
    assert_ne!(roots[0], roots[1]);
    assert_eq!(roots.as_array().unwrap().len(), 2);
    assert_eq!(node.get("debug_intermediateRoots", json!([node.chain.head().hash()])).await, json!([]));
    assert_eq!(node.error("debug_intermediateRoots", json!([B256::ZERO])).await.0, -32000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_need_not_be_committed_to_be_traced() {
    let node = node().await;
    let call = logging(0, 0, B256::with_last_byte(1));
    node.mine_all(&[&call]).await;
    node.mine().await;
    let committed = node.chain.block(1).unwrap().unwrap().block;
    let trace = async |block: &Block| {
        let rlp = Bytes::from(alloy_rlp::encode(block));
        node.call("debug_traceBlock", json!([rlp, {"tracer": "prestateTracer"}])).await
    };
    let expected = trace(&committed).await.unwrap();
    // Somebody else's block of the same transactions, and of other roots than they give.
    let mut other = committed.clone();
    (other.header.state_root, other.header.timestamp) = (B256::ZERO, committed.header.timestamp + 1);
    assert_ne!(other.header.hash_slow(), committed.header.hash_slow());
    assert_eq!(trace(&other).await, Ok(expected));

    let message = async |block: &Block| {
        let error = trace(block).await.expect_err(&format!("{:?}", block.header));
        assert_eq!(error["code"], -32000);
        error["message"].as_str().unwrap().to_owned()
    };
    let change = |change: &dyn Fn(&mut Block)| {
        let mut block = committed.clone();
        change(&mut block);
        block
    };
    let orphan = message(&change(&|block| block.header.parent_hash = B256::ZERO)).await;
    assert_eq!(orphan, format!("parent {} not found", B256::ZERO));
    for broken in [
        change(&|block| block.header.number = 7),
        change(&|block| block.header.base_fee_per_gas = Some(1)),
        change(&|block| block.header.gas_limit = u64::MAX),
        change(&|block| block.body.transactions.clear()),
    ] {
        assert!(message(&broken).await.starts_with("invalid block: "), "{:?}", message(&broken).await);
    }
    assert_eq!(node.error("debug_traceBlock", json!(["0xc0"])).await.0, -32000);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_see_what_the_ones_before_them_did() {
    let node = node().await;
    let (from, to) = (crate::node::user(0).address(), Address::repeat_byte(0x51));
    let transfer = |from: Address, to: Address, value: u64| json!({"from": from, "to": to, "value": U256::from(value)});
    let calls = json!([[transfer(from, to, 5), ["trace", "stateDiff"]], [transfer(to, from, 5), ["trace"]]]);
    let traces = node.get("trace_callMany", json!([calls, "latest"])).await;
    assert_eq!(traces.as_array().unwrap().len(), 2);
    assert_eq!(traces[0]["stateDiff"][to.to_string().to_lowercase()]["balance"]["+"], "0x5");
    assert_eq!(traces[1]["trace"][0]["action"]["from"], json!(to));
    let alone = json!([[transfer(to, from, 5), ["trace"]]]);
    let (code, message) = node.error("trace_callMany", json!([alone])).await;
    assert!(code == -32000 && message.starts_with("insufficient funds"), "{message}");
    assert_eq!(node.get("trace_callMany", json!([[], "latest"])).await, json!([]));
    assert_eq!(node.get("eth_getBalance", json!([to, "latest"])).await, "0x0", "nothing was kept");
}
