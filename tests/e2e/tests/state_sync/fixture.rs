//! A network with a state of some megabytes, and what is asked of nodes that begin with it.

use alloy_primitives::{Address, B256, Bytes, keccak256};
use heddle_e2e::{Network, path_text, quantity, run};
use serde_json::{Map, Value, json};

/// Blocks between two states that are served.
pub const INTERVAL: u32 = 10;
/// What a node logs when it has begun with a state.
pub const BEGUN: &str = "the chain begins with a fetched state";
/// An account with nothing but a balance, which is its number and one more.
pub const RICH: u64 = 77;
/// The contract with the most slots.
pub const LARGE: u64 = 0;

const ACCOUNTS: u64 = 15_000;
const CONTRACTS: u64 = 200;
const CODE_BYTES: usize = 3_000;
const SLOTS: u64 = 32;
const SLOTS_OF_LARGE: u64 = 10_000;

/// Address of a plain account.
pub fn account_address(number: u64) -> Address {
    Address::left_padding_from(&(0xacc0_0000 + number).to_be_bytes())
}

/// Address of a contract.
pub fn contract_address(number: u64) -> Address {
    Address::left_padding_from(&(0xc0de_0000 + number).to_be_bytes())
}

/// Two validators that run and serve states; there is one to serve.
pub async fn network() -> Network {
    network_serving(32).await
}

/// As [`network`], so that fetching the state takes seconds.
pub async fn slow_network() -> Network {
    network_serving(1).await
}

async fn network_serving(mebibytes_per_second: u32) -> Network {
    let mut network = Network::create_with(2, &["--block-time", "200ms"]).await;
    network.edit_genesis(enlarge);
    for validator in 0..2 {
        network.configure(validator, |toml| {
            toml.insert("snapshot.interval".into(), INTERVAL.into());
            toml.insert("snapshot.bandwidth".into(), mebibytes_per_second.into());
        });
    }
    network.start_all().await;
    network.wait_heights(0..2, u64::from(INTERVAL) + 1).await;
    network
}

/// Adds some megabytes of accounts, slots and code.
fn enlarge(genesis: &mut Value) {
    let alloc = genesis["alloc"].as_object_mut().unwrap();
    for number in 0..ACCOUNTS {
        let balance = format!("{:#x}", number + 1);
        alloc.insert(account_address(number).to_string(), json!({ "balance": balance }));
    }
    for number in 0..CONTRACTS {
        let seed = keccak256(number.to_be_bytes());
        // STOP, and something that no other has.
        let code = Bytes::from_iter([0].into_iter().chain(seed.into_iter().cycle().take(CODE_BYTES)));
        let slots = if number == LARGE { SLOTS_OF_LARGE } else { SLOTS };
        let storage = (0..slots).map(|slot| (B256::left_padding_from(&slot.to_be_bytes()).to_string(), json!(seed)));
        let contract = json!({ "balance": "0x0", "code": code, "storage": Map::from_iter(storage) });
        alloc.insert(contract_address(number).to_string(), contract);
    }
}

/// Adds a node that begins with a state and serves states itself.
pub fn add_joiner(network: &mut Network) -> usize {
    let joiner = network.add_follower();
    network.configure(joiner, |toml| {
        toml.insert("sync".into(), "snapshot".into());
        toml.insert("snapshot.interval".into(), INTERVAL.into());
        toml.insert("log.level".into(), "info,heddle_sync=debug".into());
    });
    joiner
}

/// Waits until a node has begun with a state; returns its height.
pub async fn wait_state(network: &mut Network, node: usize) -> u64 {
    let line = network.process(node).line(BEGUN).await;
    line.rsplit_once("height=").unwrap().1.trim().parse().unwrap()
}

/// Checks that a node follows, has the same blocks as node 0 from its state on, and that its state is whole.
pub async fn check_follows(network: &mut Network, node: usize, from: u64) {
    let height = network.wait_blocks(0, 3).await;
    network.wait_height(node, height).await;
    let (ours, theirs) = (network.rpc(node), network.rpc(0));
    for number in from..=height {
        assert_eq!(ours.hash(number).await, theirs.hash(number).await, "block {number} of node {node}");
    }
    let at = format!("{height:#x}");
    let slots = json!([B256::left_padding_from(&[5]), B256::repeat_byte(9)]);
    for (method, params) in [
        ("eth_getBalance", json!([account_address(RICH), at])),
        ("eth_getCode", json!([contract_address(7), at])),
        ("eth_getProof", json!([contract_address(LARGE), slots, at])),
        ("eth_getProof", json!([account_address(RICH), [], at])),
    ] {
        let answer = ours.call(method, params.clone()).await;
        assert_eq!(answer, theirs.call(method, params).await, "{method} of node {node}");
    }
    assert_eq!(quantity(&ours.call("eth_getBalance", json!([account_address(RICH), at])).await), RICH + 1);
    assert!(!network.datadir(node).join("state-sync").exists(), "what was staged is removed");
}

/// Checks every row of a node that does not run; returns its height.
pub async fn check_database(network: &Network, node: usize) -> u64 {
    let result = run(&["db", "check", "--datadir", path_text(&network.datadir(node))]).await.result();
    assert_eq!(result["findings"], 0, "{result}");
    result["head"].as_u64().unwrap()
}
