//! Chains with a fork, before the merge: of empty blocks, whose miners get five ether each.

use crate::fixture::{Alloc, alloc_json, block_rlp, number};
use alloy_consensus::{EMPTY_ROOT_HASH, Header};
use alloy_primitives::{Address, B64, B256, U256};
use alloy_trie::root::state_root_unhashed;
use serde_json::{Value, json};

const REWARD: u64 = 5_000_000_000_000_000_000;

fn rewarded(miners: &[Address]) -> Alloc {
    let mut alloc = Alloc::new();
    for miner in miners {
        alloc.entry(*miner).or_default().balance += U256::from(REWARD);
    }
    alloc
}

fn root(alloc: &Alloc) -> B256 {
    state_root_unhashed(alloc.iter().map(|(address, account)| (*address, account.clone())))
}

fn genesis() -> Header {
    Header { state_root: EMPTY_ROOT_HASH, gas_limit: 5_000_000, difficulty: U256::from(1_000), ..Header::default() }
}

/// An empty block; `miners` are those of the chain to it, itself the last.
fn block(parent: &Header, miners: &[Address], difficulty: u64) -> Header {
    Header {
        parent_hash: parent.hash_slow(),
        beneficiary: *miners.last().unwrap(),
        state_root: root(&rewarded(miners)),
        number: parent.number + 1,
        timestamp: parent.timestamp + 10,
        difficulty: U256::from(difficulty),
        ..genesis()
    }
}

/// Two blocks on one branch, then one on the other that has `difficulty`; the fixture says that the other wins.
pub fn fork_test(difficulty: u64) -> Value {
    let (left, right) = (Address::repeat_byte(1), Address::repeat_byte(2));
    let genesis = genesis();
    let first = block(&genesis, &[left], 100);
    let second = block(&first, &[left, left], 100);
    let other = block(&genesis, &[right], difficulty);
    let blocks = [&first, &second, &other].map(|header| json!({"rlp": block_rlp(header, &[]), "blockHeader": {}}));
    json!({
        "network": "Frontier",
        "genesisBlockHeader": {
            "parentHash": B256::ZERO,
            "coinbase": Address::ZERO,
            "difficulty": number(1_000),
            "number": "0x00",
            "gasLimit": number(5_000_000),
            "timestamp": "0x00",
            "extraData": "0x",
            "mixHash": B256::ZERO,
            "nonce": B64::ZERO,
            "hash": genesis.hash_slow(),
        },
        "pre": {},
        "postState": alloc_json(&rewarded(&[right])),
        "lastblockhash": other.hash_slow(),
        "blocks": blocks,
        "sealEngine": "NoProof",
    })
}
