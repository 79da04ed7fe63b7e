//! Validators come, go, change their keys, are jailed and slashed while the chain runs.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod hostile;

use alloy_primitives::{Address, B256};
use alloy_sol_types::{SolCall, sol};
use heddle_e2e::{Network, account, contract_call, eventually, quantity, run, turn};
use heddle_network::Topic;
use heddle_primitives::{ConsensusMessage, registry};
use hostile::{Hostile, STOLEN};
use serde_json::{Value, json};

sol! {
    function add(bytes32 key, uint64 power, address feeRecipient);
    function remove(bytes32 key);
    function rotateKey(bytes32 oldKey, bytes32 newKey);
    function unjail(bytes32 key);
    function isTombstoned(bytes32 key) returns (bool);
}

/// Blocks an epoch: long enough for every validator's vote to be in some certificate of it.
const EPOCH: u64 = 30;

/// A network whose set the first test account administers.
async fn network() -> Network {
    let administrator = format!("admin:{}", account(0).address());
    let epoch = EPOCH.to_string();
    let options = ["--block-time", "100ms", "--epoch-length", &epoch, "--registry", &administrator];
    Network::create_with(4, &options).await
}

/// The administrator calls the registry through node 0, and the call succeeds.
async fn administer(network: &Network, call: impl SolCall) {
    let (rpc, administrator) = (network.rpc(0), account(0));
    let nonce = rpc.nonce(administrator.address()).await;
    let signed = contract_call(&administrator, nonce, registry::ADDRESS, call.abi_encode());
    rpc.call("eth_sendRawTransaction", json!([signed.raw])).await;
    let receipt = eventually("the receipt of the registry's call", async || rpc.receipt(signed.hash).await).await;
    assert_eq!(receipt["status"], "0x1", "{receipt}");
}

/// The keys of the validators that decide the block after the last one.
async fn members(network: &Network, node: usize) -> Vec<B256> {
    let set = network.rpc(node).call("heddle_getValidators", json!(["pending"])).await;
    let members = set["validators"].as_array().unwrap().iter();
    members.map(|member| serde_json::from_value(member["publicKey"].clone()).unwrap()).collect()
}

async fn wait_members(network: &Network, node: usize, what: &str, is_so: impl Fn(&[B256]) -> bool) {
    eventually(what, async || is_so(&members(network, node).await).then_some(())).await;
}

/// Waits until a validator's precommit is in a certificate.
async fn wait_signature(network: &Network, validator: &str) {
    let rpc = network.rpc(0);
    eventually(&format!("a signature of {validator}"), async || {
        let commit = rpc.call("heddle_getCommit", json!(["latest"])).await;
        let signatures = commit["signatures"].as_array()?;
        signatures.iter().any(|signature| signature["validator"] == validator).then_some(())
    })
    .await;
}

#[tokio::test]
async fn four_validators_become_seven_and_four_again() {
    let _turn = turn().await;
    let mut network = network().await;
    let mut newcomers = Vec::new();
    for _ in 0..3 {
        newcomers.push(network.add_candidate().await);
    }
    network.start_all().await;
    let mut added = Vec::new();
    for node in &newcomers {
        let (key, address) = network.validator(*node).await;
        let call = addCall { key, power: 1, feeRecipient: Address::repeat_byte(*node as u8) };
        administer(&network, call).await;
        added.push((key, address));
    }
    wait_members(&network, 0, "a set of seven", |members| members.len() == 7).await;
    for (_, address) in &added {
        wait_signature(&network, address).await;
    }
    let url = network.rpc(0).url();
    let listed = run(&["validators", "--rpc", &url]).await;
    assert_eq!(listed.result()["validators"].as_array().unwrap().len(), 7);
    assert!(added.iter().all(|(_, address)| listed.stderr.contains(address)), "{}", listed.stderr);

    // Two of seven at most leave in one epoch: a third of the power would be too much.
    for pair in added.chunks(2) {
        let before = members(&network, 0).await.len();
        for (key, _) in pair {
            administer(&network, removeCall { key: *key }).await;
        }
        wait_members(&network, 0, "a smaller set", |members| members.len() == before - pair.len()).await;
    }
    let height = network.wait_blocks(0, 5).await;
    network.wait_heights(0..7, height).await;
    network.check_agreement(0..7, height).await;
    assert_eq!(members(&network, 6).await, members(&network, 0).await);
}

#[tokio::test]
async fn a_validator_goes_on_with_another_key() {
    const ROTATED: usize = 3;
    let _turn = turn().await;
    let mut network = network().await;
    network.start_all().await;
    let (old, _) = network.validator(ROTATED).await;
    let new = network.new_key(ROTATED, "second.key").await;
    administer(&network, rotateKeyCall { oldKey: old, newKey: new }).await;
    let rotated = |members: &[B256]| members.contains(&new) && !members.contains(&old);
    wait_members(&network, ROTATED, "the new key", rotated).await;
    network.kill9(ROTATED).await;
    network.start(ROTATED).await;
    wait_signature(&network, &network.validator(ROTATED).await.1).await;
    let height = network.wait_blocks(0, 2).await;
    network.wait_heights(0..4, height).await;
    network.check_agreement(0..4, height).await;
}

#[tokio::test]
async fn an_absent_validator_is_jailed_and_comes_back() {
    const ABSENT: usize = 3;
    let _turn = turn().await;
    let mut network = network().await;
    network.start_all().await;
    network.wait_heights(0..4, 3).await;
    let (key, address) = network.validator(ABSENT).await;
    network.kill9(ABSENT).await;
    wait_members(&network, 0, "a set without the absent one", |members| !members.contains(&key)).await;

    network.start(ABSENT).await;
    // As long as an epoch after the block that jailed it.
    network.wait_blocks(0, EPOCH).await;
    administer(&network, unjailCall { key }).await;
    wait_members(&network, ABSENT, "the set with it", |members| members.contains(&key)).await;
    wait_signature(&network, &address).await;
    let height = network.wait_blocks(0, 2).await;
    network.wait_heights(0..4, height).await;
    network.check_agreement(0..4, height).await;
}

#[tokio::test]
async fn an_equivocator_is_convicted_and_never_comes_back() {
    let _turn = turn().await;
    let mut network = network().await;
    for node in 0..STOLEN {
        network.start(node).await;
    }
    network.wait_heights(0..STOLEN, 2).await;
    let peer = Hostile::connect(&network).await;
    let rpc = network.rpc(0);
    let included = eventually("evidence in a block", async || {
        // At the height being decided, if it has not moved on meanwhile: then the next one.
        let next = rpc.height().await + 1;
        for hash in [None, Some(B256::repeat_byte(next as u8))] {
            peer.publish(Topic::Consensus, alloy_rlp::encode(ConsensusMessage::Vote(peer.prevote(next, hash)))).await;
        }
        let evidence = rpc.call("heddle_getEvidence", json!([])).await;
        evidence["included"].as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!(included["validator"], peer.validator().address.to_string());
    assert_eq!(included["kind"], "votes");
    assert!(quantity(&included["blockNumber"]) > quantity(&included["height"]), "{included}");

    let (key, _) = network.validator(STOLEN).await;
    for node in 0..STOLEN {
        network.wait_height(node, quantity(&included["blockNumber"])).await;
        assert!(is_tombstoned(&network, node, key).await, "node {node}");
    }
    wait_members(&network, 0, "a set without it", |members| !members.contains(&key)).await;
    let evidence = rpc.call("heddle_getEvidence", json!([])).await;
    assert_eq!(evidence["included"].as_array().unwrap().len(), 1, "convicted once: {evidence}");
    let height = network.wait_blocks(0, 2).await;
    network.wait_heights(0..STOLEN, height).await;
    network.check_agreement(0..STOLEN, height).await;
}

async fn is_tombstoned(network: &Network, node: usize, key: B256) -> bool {
    let input = alloy_primitives::Bytes::from(isTombstonedCall { key }.abi_encode());
    let call = json!([{ "to": registry::ADDRESS, "data": input }, "latest"]);
    let answer: Value = network.rpc(node).call("eth_call", call).await;
    answer.as_str().unwrap().ends_with('1')
}
