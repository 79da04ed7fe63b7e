//! `eth_getProof`, judged by alloy's verifier against the state roots in the headers.

use crate::node::{CHAIN_ID, LOGGER, TestNode, keys, logging, transaction, user};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, Nibbles, TrieAccount, proof::verify_proof};
use heddle_chain::ProofLimits;
use heddle_rpc::{RpcConfig, RpcLimits};
use serde_json::{Value, json};

/// An account of one answer, if it exists, after checking the answer's proofs against the root of its block.
fn verified(answer: &Value, state_root: B256) -> Option<TrieAccount> {
    let account = TrieAccount::new(
        serde_json::from_value::<U256>(answer["nonce"].clone()).unwrap().to(),
        serde_json::from_value(answer["balance"].clone()).unwrap(),
        serde_json::from_value(answer["storageHash"].clone()).unwrap(),
        serde_json::from_value(answer["codeHash"].clone()).unwrap(),
    );
    let account = (account != TrieAccount::default()).then_some(account);
    let address: Address = serde_json::from_value(answer["address"].clone()).unwrap();
    let nodes: Vec<Bytes> = serde_json::from_value(answer["accountProof"].clone()).unwrap();
    let value = account.as_ref().map(alloy_rlp::encode);
    verify_proof(state_root, Nibbles::unpack(keccak256(address)), value, &nodes).unwrap();
    let storage_root = account.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
    for entry in answer["storageProof"].as_array().unwrap() {
        let key = serde_json::from_value::<U256>(entry["key"].clone()).unwrap();
        let value = serde_json::from_value::<U256>(entry["value"].clone()).unwrap();
        let value = (!value.is_zero()).then(|| alloy_rlp::encode(value));
        let nodes: Vec<Bytes> = serde_json::from_value(entry["proof"].clone()).unwrap();
        verify_proof(storage_root, Nibbles::unpack(keccak256(B256::from(key))), value, &nodes).unwrap();
    }
    account
}

#[tokio::test(flavor = "multi_thread")]
async fn every_block_proves_its_state() {
    let node = TestNode::start().await;
    let newcomer = Address::repeat_byte(1);
    for number in 0..3 {
        let value = B256::with_last_byte(number + 1);
        let nonce = 2 * u64::from(number);
        node.mine_all(&[&logging(0, nonce, value), &transaction(0, nonce + 1, newcomer, 5, [])]).await;
    }
    for number in 0..=3u64 {
        let root = node.chain.header(number).unwrap().unwrap().state_root;
        let block = format!("{number:#x}");
        let logger = node.get("eth_getProof", json!([LOGGER, ["0x0", "0x1"], block])).await;
        let account = verified(&logger, root).unwrap();
        assert_eq!(account.storage_root == EMPTY_ROOT_HASH, number == 0);
        assert_eq!(logger["storageProof"][0]["value"], block, "the logger stores the number of the block");
        assert_eq!(logger["storageProof"][1]["value"], "0x0");

        let sender = node.get("eth_getProof", json!([user(0).address(), [], block])).await;
        assert_eq!(verified(&sender, root).unwrap().nonce, 2 * number);
        let newcomer = node.get("eth_getProof", json!([newcomer, ["0x7"], block])).await;
        assert_eq!(verified(&newcomer, root).is_some(), number > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_has_the_shape_that_clients_know() {
    let node = TestNode::start().await;
    let block = node.mine_all(&[&logging(0, 0, B256::with_last_byte(7))]).await;
    let full = B256::ZERO;
    let hash = block.header.seal();
    for id in [json!("latest"), json!(hash), json!({"blockHash": hash, "requireCanonical": true})] {
        let answer = node.get("eth_getProof", json!([LOGGER, ["0x00", full], id])).await;
        let expected =
            ["accountProof", "address", "balance", "codeHash", "nonce", "storageHash", "storageProof"].to_vec();
        assert_eq!(keys(&answer), expected);
        assert_eq!(answer["storageProof"][0]["key"], "0x0", "a short key comes back as a number");
        assert_eq!(answer["storageProof"][1]["key"], json!(full), "a full one as it was");
    }
    let nobody = node.get("eth_getProof", json!([Address::repeat_byte(9), [], "latest"])).await;
    assert_eq!((&nobody["nonce"], &nobody["balance"]), (&json!("0x0"), &json!("0x0")));
    assert_eq!((&nobody["codeHash"], &nobody["storageHash"]), (&json!(KECCAK_EMPTY), &json!(EMPTY_ROOT_HASH)));
    assert_eq!(node.get("eth_chainId", json!([])).await, format!("{CHAIN_ID:#x}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_are_bounded() {
    let proofs = ProofLimits { blocks_max: 1, ..ProofLimits::default() };
    let limits = RpcLimits { proof_slots: 2, proofs, ..RpcLimits::default() };
    let node = TestNode::start_with(RpcConfig { port: 0, limits, ..RpcConfig::default() }, None).await;
    for nonce in 0..2 {
        node.mine_all(&[&logging(0, nonce, B256::with_last_byte(7))]).await;
    }
    let (code, message) = node.error("eth_getProof", json!([LOGGER, ["0x0", "0x1", "0x2"], "latest"])).await;
    assert_eq!((code, &*message), (-32602, "too many slots (3 requested, at most 2 are allowed)"));
    node.get("eth_getProof", json!([LOGGER, ["0x0", "0x1"], "0x1"])).await;
    let (code, message) = node.error("eth_getProof", json!([LOGGER, [], "0x0"])).await;
    assert_eq!(code, -32000);
    assert!(message.contains("block 0") && message.contains("block 1"), "names what is served: {message}");
    assert_eq!(node.error("eth_getProof", json!([LOGGER, [], "0x9"])).await.1, "header not found");
    assert_eq!(node.error("eth_getProof", json!([LOGGER, ["0xzz"], "latest"])).await.0, -32602);
}
