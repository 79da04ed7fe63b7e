//! Accounts, storage, and where the node stands.

use crate::node::{BALANCE, CHAIN_ID, FEE_RECIPIENT, LOGGER, TestNode, keys, logging, raw, transaction, user};
use alloy_primitives::{Address, B256, U256, keccak256};
use heddle_chain::History;
use heddle_rpc::SyncProgress;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn balances_now_and_before() {
    let node = TestNode::start().await;
    let recipient = Address::repeat_byte(1);
    let block = node.mine_all(&[&transaction(0, 0, recipient, 5, [])]).await;
    let balance = async |address: Address, block: Value| node.get("eth_getBalance", json!([address, block])).await;
    assert_eq!(balance(recipient, json!("latest")).await, "0x5");
    assert_eq!(balance(recipient, json!("0x0")).await, "0x0");
    assert_eq!(balance(recipient, json!({"blockHash": block.header.seal()})).await, "0x5");
    assert_eq!(balance(recipient, json!({"blockNumber": "0x0"})).await, "0x0");
    assert_eq!(balance(user(0).address(), json!("earliest")).await, format!("{BALANCE:#x}"));
    assert_eq!(balance(FEE_RECIPIENT, Value::Null).await, format!("{:#x}", 21_000 * 2_000_000_000u64));

    let price = 21_000 * (u128::from(block.header.base_fee_per_gas.unwrap()) + 2_000_000_000);
    assert_eq!(balance(user(0).address(), json!("latest")).await, format!("{:#x}", BALANCE - 5 - price));
}

#[tokio::test(flavor = "multi_thread")]
async fn state_of_no_block_is_an_error() {
    let node = TestNode::start().await;
    let address = Address::repeat_byte(1);
    let header_not_found = (-32000, "header not found".to_owned());
    assert_eq!(node.error("eth_getBalance", json!([address, "0x9"])).await, header_not_found);
    assert_eq!(node.error("eth_getCode", json!([address, "0x9"])).await, header_not_found);
    assert_eq!(node.error("eth_call", json!([{"to": address}, "0x9"])).await, header_not_found);
    assert_eq!(node.error("eth_getStorageAt", json!([address, "0x0", "0x9"])).await, header_not_found);
    let unknown = json!([address, {"blockHash": B256::repeat_byte(1)}]);
    assert_eq!(node.error("eth_getBalance", unknown).await, (-32000, "header for hash not found".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn pruned_state_is_an_error_that_names_the_oldest_block_served() {
    let node = TestNode::start().await;
    for nonce in 0..3 {
        node.mine_all(&[&transaction(0, nonce, Address::repeat_byte(1), 5, [])]).await;
    }
    while !node.chain.prune_history(History::Full(1)).unwrap().is_done() {}
    let address = Address::repeat_byte(1);
    assert_eq!(node.get("eth_getBalance", json!([address, "0x2"])).await, "0xa");
    let pruned = (-32000, "state of block 1 is pruned: the oldest kept is of block 2".to_owned());
    let by_hash = json!({"blockHash": node.chain.header(1).unwrap().unwrap().seal()});
    for block in [json!("0x1"), by_hash] {
        for method in ["eth_getBalance", "eth_getTransactionCount", "eth_getCode"] {
            assert_eq!(node.error(method, json!([address, block])).await, pruned, "{method}");
        }
        assert_eq!(node.error("eth_getStorageAt", json!([address, "0x0", block])).await, pruned);
        assert_eq!(node.error("eth_call", json!([{"to": address}, block])).await, pruned);
        assert_eq!(node.error("eth_getProof", json!([address, [], block])).await, pruned);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pending_nonce_counts_what_waits() {
    let node = TestNode::start().await;
    let sender = user(0).address();
    let nonce = async |tag: &str| node.get("eth_getTransactionCount", json!([sender, tag])).await;
    assert_eq!((nonce("latest").await, nonce("pending").await), (json!("0x0"), json!("0x0")));
    for number in 0..3 {
        node.send(&transaction(0, number, Address::repeat_byte(1), 5, [])).await;
    }
    assert_eq!((nonce("latest").await, nonce("pending").await), (json!("0x0"), json!("0x3")));
    node.mine().await;
    assert_eq!((nonce("latest").await, nonce("pending").await), (json!("0x3"), json!("0x3")));
    assert_eq!(nonce("0x0").await, "0x0");
}

#[tokio::test(flavor = "multi_thread")]
async fn code_and_storage() {
    let node = TestNode::start().await;
    let code = node.get("eth_getCode", json!([LOGGER, "latest"])).await;
    assert_eq!(code, "0x5f355f5fa15f355f555f355f5260205ff3");
    assert_eq!(node.get("eth_getCode", json!([user(0).address(), "latest"])).await, "0x");
    let value = B256::with_last_byte(7);
    node.mine_all(&[&logging(0, 0, value)]).await;
    for slot in ["0x0", "0x0000000000000000000000000000000000000000000000000000000000000000"] {
        assert_eq!(node.get("eth_getStorageAt", json!([LOGGER, slot, "latest"])).await, json!(value));
    }
    assert_eq!(node.get("eth_getStorageAt", json!([LOGGER, "0x1", "latest"])).await, json!(B256::ZERO));
    assert_eq!(node.get("eth_getStorageAt", json!([LOGGER, "0x0", "0x0"])).await, json!(B256::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_tells_where_it_stands() {
    let node = TestNode::start().await;
    assert_eq!(node.get("web3_clientVersion", json!([])).await, "heddle/v0.0.0/test");
    assert_eq!(node.get("web3_sha3", json!(["0x68656464"])).await, json!(keccak256("hedd")));
    assert_eq!(node.get("net_version", json!([])).await, CHAIN_ID.to_string());
    assert_eq!(node.get("net_peerCount", json!([])).await, "0x3");
    assert_eq!(node.get("net_listening", json!([])).await, true);
    assert_eq!(node.get("eth_chainId", json!([])).await, format!("{CHAIN_ID:#x}"));
    assert_eq!(node.get("eth_syncing", json!([])).await, false);
    *node.status.progress.lock() = Some(SyncProgress { starting: 1, current: 2, highest: 30, state: None });
    let syncing = node.get("eth_syncing", json!([])).await;
    assert_eq!(
        (&syncing["startingBlock"], &syncing["currentBlock"], &syncing["highestBlock"]),
        (&json!("0x1"), &json!("0x2"), &json!("0x1e"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_add_up_to_the_wei() {
    let node = TestNode::start().await;
    let calls = (0..50).map(|nonce| transaction(0, nonce, user(1).address(), 1, []));
    let batch = calls
        .zip(0..)
        .map(|(tx, id)| json!({"jsonrpc": "2.0", "id": id, "method": "eth_sendRawTransaction", "params": [raw(&tx)]}));
    let answer = crate::client::post(node.address(), Value::from_iter(batch).to_string()).await.json();
    assert!(answer.as_array().unwrap().iter().all(|entry| entry.get("error").is_none()), "{answer}");
    let block = node.mine().await;
    assert_eq!(block.block.body.transactions.len(), 50);
    let mut total = U256::ZERO;
    for address in [user(0).address(), user(1).address(), user(2).address(), FEE_RECIPIENT] {
        total += serde_json::from_value::<U256>(node.get("eth_getBalance", json!([address, "latest"])).await).unwrap();
    }
    let burnt = U256::from(block.header.gas_used) * U256::from(block.header.base_fee_per_gas.unwrap());
    assert_eq!(total + burnt, U256::from(BALANCE) * U256::from(3));
    assert!(keys(&answer[0]).contains(&"result"));
}
