//! `heddle_blockParallelism`.

use crate::node::{LOGGER, TestNode, keys, logging, transaction, user};
use alloy_primitives::{Address, B256};
use heddle_chain::History;
use heddle_rpc::{Api, RpcConfig};
use serde_json::{Value, json};

const SOMEBODY: Address = Address::repeat_byte(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_block_says_what_its_transactions_waited_for() {
    let node = TestNode::start().await;
    let word = B256::with_last_byte;
    let block = node
        .mine_all(&[
            &logging(0, 0, word(7)),
            &logging(1, 0, word(8)),
            &transaction(2, 0, SOMEBODY, 5, []),
            &transaction(2, 1, SOMEBODY, 5, []),
        ])
        .await;
    // Whatever happens later: the answer is about the block's own parent.
    node.mine_all(&[&transaction(0, 1, SOMEBODY, 5, [])]).await;
    let hash = block.header.seal();
    let answer = node.get("heddle_blockParallelism", json!(["0x1"])).await;
    let expected = [
        "aborts",
        "conflicts",
        "criticalPathGas",
        "dependencyDepth",
        "gasUsed",
        "hash",
        "number",
        "parallelism",
        "transactions",
    ];
    assert_eq!(keys(&answer), expected);
    assert_eq!(answer["aborts"], "0x0", "who builds a block executes in order");
    assert_eq!((&answer["number"], &answer["hash"]), (&json!("0x1"), &json!(hash)));
    assert_eq!((&answer["transactions"], &answer["dependencyDepth"]), (&json!("0x4"), &json!("0x2")));
    assert_eq!(answer["gasUsed"], format!("{:#x}", block.header.gas_used));
    let quantity = |value: &Value| u64::from_str_radix(&value.as_str().unwrap()[2..], 16).unwrap();
    let critical = quantity(&answer["criticalPathGas"]);
    assert_eq!(critical, block.header.gas_used - 42_000, "the two calls of the logger are dearer than two transfers");
    let speedup = answer["parallelism"].as_f64().unwrap();
    assert_eq!((speedup * 100.0).round() as u64, block.header.gas_used * 100 / critical);

    let conflicts = answer["conflicts"].as_array().unwrap();
    let slot = json!({"address": LOGGER, "kind": "storage", "slot": B256::ZERO, "edges": "0x1"});
    let nonce = json!({"address": user(2).address(), "kind": "nonce", "edges": "0x1"});
    assert!(conflicts.contains(&slot) && conflicts.contains(&nonce), "{conflicts:?}");
    assert_eq!(conflicts.len(), 3, "and the balance of the sender of two");

    let dependencies = node.get("heddle_blockParallelism", json!([hash, true])).await["dependencies"].take();
    let senders: Vec<_> = block.senders.iter().map(|sender| *sender == user(2).address()).collect();
    let first = |is_transfer| json!(format!("{:#x}", senders.iter().position(|found| *found == is_transfer).unwrap()));
    let expected: Vec<_> = senders.iter().map(|is_transfer| first(*is_transfer)).collect();
    for (index, dependency) in dependencies.as_array().unwrap().iter().enumerate() {
        let is_first = expected[index] == format!("{index:#x}");
        assert_eq!(*dependency, if is_first { Value::Null } else { expected[index].clone() }, "{dependencies}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_named_by_number_tag_or_hash() {
    let node = TestNode::start().await;
    let genesis = node.get("heddle_blockParallelism", json!(["earliest"])).await;
    assert_eq!(genesis["aborts"], Value::Null, "nobody executes it");
    assert_eq!((&genesis["transactions"], &genesis["parallelism"]), (&json!("0x0"), &json!(1.0)));
    let hash = node.mine_all(&[&transaction(0, 0, SOMEBODY, 5, [])]).await.header.seal();
    for id in [json!("latest"), json!("0x1"), json!(hash), json!({"blockHash": hash})] {
        let answer = node.get("heddle_blockParallelism", json!([id])).await;
        assert_eq!((&answer["hash"], &answer["parallelism"]), (&json!(hash), &json!(1.0)), "{id}");
    }
    assert_eq!(node.get("heddle_blockParallelism", json!(["0x2"])).await, Value::Null);
    assert_eq!(node.get("heddle_blockParallelism", json!([B256::ZERO])).await, Value::Null);
    assert_eq!(node.error("heddle_blockParallelism", json!([])).await.0, -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_whose_parents_state_is_pruned_is_refused() {
    let node = TestNode::start().await;
    for nonce in 0..4 {
        node.mine_all(&[&transaction(0, nonce, SOMEBODY, 5, [])]).await;
    }
    while !node.chain.prune_history(History::Full(1)).unwrap().is_done() {}
    node.get("heddle_blockParallelism", json!(["latest"])).await;
    let (code, message) = node.error("heddle_blockParallelism", json!(["0x1"])).await;
    assert_eq!(code, -32000);
    assert!(message.contains("state of block 0 is pruned"), "names what is asked for: {message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_namespace_can_be_left_out() {
    let config = RpcConfig { port: 0, apis: vec![Api::Eth], ..RpcConfig::default() };
    let node = TestNode::start_with(config, None).await;
    assert_eq!(node.error("heddle_blockParallelism", json!(["latest"])).await.0, -32601);
}
