//! `debug_executionWitness`: all nodes that the block's execution needs are in it.

use crate::node::{LOGGER, TestNode, legacy, logging, transaction, user};
use crate::traces::init_code;
use alloy_primitives::{Address, B256, Bytes, TxKind, hex};
use heddle_rpc::{Api, RpcConfig, RpcLimits};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Stores its first word in the slot that is its second.
const STORE: &[u8] = &hex!("5f3560203555");

async fn node(limits: RpcLimits) -> TestNode {
    let apis = vec![Api::Eth, Api::Debug];
    TestNode::start_with(RpcConfig { port: 0, apis, limits, ..RpcConfig::default() }, None).await
}

/// The nodes that prove an account and some of its slots after a block.
async fn proof(node: &TestNode, address: Address, slots: &[u8], block: &str) -> BTreeSet<String> {
    let slots = Vec::from_iter(slots.iter().map(|slot| format!("{slot:#x}")));
    let proof = node.get("eth_getProof", json!([address, slots, block])).await;
    let of_slots = proof["storageProof"].as_array().unwrap().iter().map(|slot| &slot["proof"]);
    of_slots.chain([&proof["accountProof"]]).flat_map(texts).collect()
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_proves_all_that_the_block_reads() {
    let node = node(RpcLimits::default()).await;
    let newcomer = Address::repeat_byte(1);
    node.mine_all(&[&logging(0, 0, B256::with_last_byte(1))]).await;
    let calls = [logging(0, 1, B256::with_last_byte(2)), transaction(1, 0, newcomer, 5, [])];
    let block = node.mine_all(&[&calls[0], &calls[1]]).await;
    let witness = node.get("debug_executionWitness", json!(["0x2"])).await;
    let nodes = texts(&witness["state"]);
    for (address, slots) in [(LOGGER, &[0][..]), (user(0).address(), &[]), (user(1).address(), &[]), (newcomer, &[])] {
        assert!(proof(&node, address, slots, "0x1").await.is_subset(&nodes), "{address}");
    }
    let keys = texts(&witness["keys"]);
    for key in [json!(LOGGER), json!(newcomer), json!(B256::ZERO)] {
        assert!(keys.contains(&key.as_str().unwrap().to_lowercase()), "{key}");
    }
    let code = node.get("eth_getCode", json!([LOGGER, "0x1"])).await;
    assert!(texts(&witness["codes"]).contains(code.as_str().unwrap()));
    let parent = node.get("debug_getRawHeader", json!(["0x1"])).await;
    assert_eq!(witness["headers"].as_array().unwrap().last(), Some(&parent));

    // Also when the state is no longer the last but one.
    node.mine().await;
    let again = node.get("debug_executionWitnessByBlockHash", json!([block.header.seal()])).await;
    assert_eq!(again, witness);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_the_node_beside_a_slot_that_is_removed() {
    let node = node(RpcLimits::default()).await;
    let contract = user(0).address().create(0);
    let store = |nonce: u64, slot: u8, value: u8| {
        let input = [B256::with_last_byte(value).0, B256::with_last_byte(slot).0].concat();
        transaction(0, nonce, contract, 0, Bytes::from(input))
    };
    node.mine_all(&[&legacy(0, 0, TxKind::Create, init_code(STORE))]).await;
    node.mine_all(&[&store(1, 1, 7), &store(2, 2, 7)]).await;
    let beside = proof(&node, contract, &[2], "0x2").await;

    node.mine_all(&[&store(3, 1, 8)]).await;
    let changed = node.get("debug_executionWitness", json!(["0x3"])).await;
    assert!(!beside.is_subset(&texts(&changed["state"])), "a slot that only changes leaves the trie's shape");
    let beside = proof(&node, contract, &[2], "0x3").await;
    node.mine_all(&[&store(4, 1, 0)]).await;
    let removed = node.get("debug_executionWitness", json!(["0x4"])).await;
    assert!(beside.is_subset(&texts(&removed["state"])), "the other slot moves up");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_bounded_as_traces_are() {
    let node = node(RpcLimits { response_bytes: 4 * 1024, ..RpcLimits::default() }).await;
    node.mine_all(&[&logging(0, 0, B256::with_last_byte(1))]).await;
    assert_eq!(node.error("debug_executionWitness", json!(["latest"])).await.0, -32005);
    let genesis = (-32000, "genesis is not traceable".to_owned());
    assert_eq!(node.error("debug_executionWitness", json!(["0x0"])).await, genesis);
    assert_eq!(node.error("debug_executionWitness", json!(["0x9"])).await, (-32000, "block #9 not found".to_owned()));
}
