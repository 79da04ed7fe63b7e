//! Chains whose rules differ in what an executor must get right.

use crate::state::MemoryState;
use crate::world::genesis_state;
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, U256, keccak256};
use ed25519_dalek::SigningKey;
use heddle_evm::{ChainRules, amsterdam_system_contracts, system_contracts};
use heddle_primitives::{Genesis, Header, HeddleConfig, Validator, ValidatorSet};
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

pub const CHAIN_ID: u64 = 31_337;

const TO_HOMESTEAD: &str = r#""homesteadBlock":0"#;
const TO_BYZANTIUM: &str = r#""homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,"byzantiumBlock":0"#;
const TO_ISTANBUL: &str = r#","constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0"#;
const TO_LONDON: &str = r#","berlinBlock":0,"londonBlock":0"#;
const TO_SHANGHAI: &str = r#","terminalTotalDifficulty":0,"shanghaiTime":0"#;
const TO_OSAKA: &str = r#","cancunTime":0,"pragueTime":0,"osakaTime":0"#;

/// The chains that blocks are made for, those with the most to get wrong first.
pub static CHAINS: LazyLock<Vec<Chain>> = LazyLock::new(|| {
    vec![
        Chain::heddle("heddle", None),
        Chain::heddle("heddle at Amsterdam", Some(0)),
        Chain::plain("Osaka", &[TO_BYZANTIUM, TO_ISTANBUL, TO_LONDON, TO_SHANGHAI, TO_OSAKA]),
        Chain::plain("Shanghai", &[TO_BYZANTIUM, TO_ISTANBUL, TO_LONDON, TO_SHANGHAI]),
        Chain::plain("London", &[TO_BYZANTIUM, TO_ISTANBUL, TO_LONDON]),
        Chain::plain("Istanbul", &[TO_BYZANTIUM, TO_ISTANBUL]),
        Chain::plain("Byzantium", &[TO_BYZANTIUM]),
        Chain::plain("Homestead", &[TO_HOMESTEAD]),
    ]
});

/// A chain before its first block.
pub struct Chain {
    name: &'static str,
    pub rules: ChainRules,
    pub state: MemoryState,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Chain {
    fn heddle(name: &'static str, amsterdam_time: Option<u64>) -> Self {
        let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
        let config = HeddleConfig {
            validators: ValidatorSet::new(vec![Validator::new(key, 1, Address::ZERO)]).unwrap(),
            block_time: Duration::from_millis(500),
            empty_block_time: Duration::from_secs(5),
            epoch_length: 100,
            registry: None,
        };
        let mut file = alloy_genesis::Genesis { gas_limit: 30_000_000, ..Default::default() };
        file.config.chain_id = CHAIN_ID;
        file.config.amsterdam_time = amsterdam_time;
        file.alloc = system_contracts().into_iter().chain(amsterdam_system_contracts()).collect();
        Self::new(name, &Genesis::new_heddle(file, config).unwrap())
    }

    fn plain(name: &'static str, forks: &[&str]) -> Self {
        let forks = forks.concat();
        let text = format!(
            r#"{{"config":{{"chainId":{CHAIN_ID},{forks}}},"gasLimit":"0x1c9c380","difficulty":"0x0","alloc":{{}}}}"#
        );
        Self::new(name, &Genesis::from_json(&text).unwrap())
    }

    fn new(name: &'static str, genesis: &Genesis) -> Self {
        let rules = ChainRules::new(genesis);
        let state = genesis_state(rules.is_prague_active_at_timestamp(0));
        Self { name, rules, state }
    }

    /// The header of block `number`, as far as execution reads it.
    pub fn header(&self, number: u64, beneficiary: Address, gas_limit: u64, base_fee: u64) -> Header {
        let timestamp = 12 * number;
        let is_merged = self.rules.is_shanghai_active_at_timestamp(timestamp);
        let is_cancun = self.rules.is_cancun_active_at_timestamp(timestamp);
        Header {
            parent_hash: keccak256((number - 1).to_be_bytes()),
            number,
            timestamp,
            beneficiary,
            gas_limit,
            difficulty: if is_merged { U256::ZERO } else { U256::from(0x20000) },
            mix_hash: B256::repeat_byte(0x44),
            base_fee_per_gas: self.rules.is_london_active_at_block(number).then_some(base_fee),
            excess_blob_gas: is_cancun.then_some(0),
            parent_beacon_block_root: is_cancun.then_some(B256::repeat_byte(0xbe)),
            slot_number: self.rules.is_amsterdam_active_at_timestamp(timestamp).then_some(number),
            ..Header::default()
        }
    }
}
