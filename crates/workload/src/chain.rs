//! The chains that workloads are blocks of.

use crate::world::FEE_RECIPIENT;
use alloy_primitives::B256;
use heddle_evm::{ChainRules, NextBlock, next_header, system_contracts};
use heddle_primitives::{Genesis, Header};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// EIP-155 id of both chains.
pub const CHAIN_ID: u64 = 31_337;
/// Timestamp of the block that is executed, in seconds; genesis was before.
pub(crate) const TIMESTAMP: u64 = 1_700_000_012;

/// Which chain a block is on. Both are at Osaka; they differ in what execution has to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// A chain with a `heddle` section: execution gives the block's access list too.
    Heddle,
    /// A plain Ethereum chain: no access list.
    Plain,
}

impl Chain {
    /// The chain's genesis.
    #[expect(clippy::expect_used, reason = "the file is this program's own, and every workload reads it")]
    pub fn genesis(self) -> Genesis {
        let mut config = json!({
            "chainId": CHAIN_ID, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0,
            "londonBlock": 0, "terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": true,
            "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0, "osakaTime": 0,
        });
        if self == Self::Heddle {
            config["heddle"] = heddle_section();
        }
        let alloc: BTreeMap<_, _> = system_contracts().into_iter().collect();
        let file = json!({
            "config": config, "alloc": alloc, "difficulty": "0x0", "gasLimit": "0x1c9c380", "timestamp": "0x6553f100",
        });
        Genesis::from_json(&file.to_string()).expect("a genesis file")
    }
}

/// One validator, whose key is the base point of its curve: nobody signs here.
fn heddle_section() -> Value {
    let validator = json!({
        "publicKey": "0x5866666666666666666666666666666666666666666666666666666666666666",
        "power": 1,
        "feeRecipient": FEE_RECIPIENT,
    });
    json!({ "validators": [validator], "blockTimeMs": 500 })
}

/// The header of a chain's first block, with room for `gas`.
pub(crate) fn first_header(rules: &ChainRules, genesis: &Genesis, gas: u64) -> Header {
    let next = NextBlock {
        timestamp: TIMESTAMP,
        fee_recipient: FEE_RECIPIENT,
        parent_beacon_block_root: B256::ZERO,
        gas_limit_target: gas,
    };
    Header { gas_limit: gas, ..next_header(rules, genesis.header(), &next) }
}
