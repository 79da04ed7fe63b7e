//! The genesis block of a new chain.

use alloy_genesis::GenesisAccount;
use alloy_primitives::Address;
use ed25519_dalek::VerifyingKey;
use heddle_primitives::registry::{self, Governance, RegistryStart};
use heddle_primitives::{Genesis, HeddleConfig, Validator, ValidatorSet, ValidatorSetError};
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

/// Block gas limit of a new chain.
pub const GAS_LIMIT: u64 = 30_000_000;
/// Base fee of the first block, in wei per gas (EIP-1559's initial value).
const BASE_FEE: u128 = 1_000_000_000;

/// What a new chain starts from.
pub struct NewChain {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Gas limit of every block.
    pub gas_limit: u64,
    /// Least time between blocks.
    pub block_time: Duration,
    /// How long an idle chain waits before an empty block.
    pub empty_block_time: Duration,
    /// Blocks an epoch.
    pub epoch_length: u64,
    /// Who changes the validators; nobody when absent.
    pub governance: Option<Governance>,
    /// The validators of the first epoch.
    pub validators: ValidatorSet,
    /// Funded accounts.
    pub alloc: Vec<(Address, GenesisAccount)>,
}

/// The validators with these keys, each of power 1.
///
/// # Errors
/// [`ValidatorSetError`].
pub fn validator_set(keys: impl IntoIterator<Item = VerifyingKey>) -> Result<ValidatorSet, ValidatorSetError> {
    let validators = keys.into_iter().map(|key| {
        let validator = Validator::new(key, 1, Address::ZERO);
        // Fees go to an account derived from the key until the operator names another in the genesis file.
        let fee_recipient = Address::from(validator.address.0);
        Validator { fee_recipient, ..validator }
    });
    ValidatorSet::new(validators.collect())
}

/// Builds the genesis of a new chain: Osaka rules, the system contracts of its forks, the funded accounts.
///
/// # Errors
/// See [`heddle_primitives::GenesisError`].
pub fn new_chain(new: NewChain) -> Result<Genesis, Box<dyn Error>> {
    let mut file = alloy_genesis::Genesis {
        gas_limit: new.gas_limit,
        base_fee_per_gas: Some(BASE_FEE),
        alloc: BTreeMap::from_iter(heddle_evm::system_contracts()),
        ..Default::default()
    };
    file.alloc.extend(new.alloc);
    file.config.chain_id = new.chain_id;
    if let Some(governance) = new.governance {
        let registry = RegistryStart::new(governance, new.epoch_length).account(&new.validators);
        let registry = registry.ok_or("the first validators' deposits together are more wei than there can be")?;
        file.alloc.insert(registry::ADDRESS, registry);
    }
    let heddle = HeddleConfig {
        validators: new.validators,
        block_time: new.block_time,
        empty_block_time: new.empty_block_time.max(new.block_time),
        epoch_length: new.epoch_length,
        registry: new.governance.map(|_| registry::ADDRESS),
    };
    Ok(Genesis::new_heddle(file, heddle)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genesis::{accounts, parse_governance};
    use heddle_primitives::ConsensusKey;

    #[test]
    fn a_registry_begins_with_the_first_validators() {
        let keys = [1, 2, 3].map(|n| ConsensusKey::from_bytes(&[n; 32]).public_key());
        let somebody = "0x00000000000000000000000000000000000000aa";
        for (governance, balance) in [(format!("admin:{somebody}"), "0"), (format!("staking:0.5:{somebody}"), "1.5")] {
            let new = NewChain {
                chain_id: 1,
                gas_limit: GAS_LIMIT,
                block_time: Duration::from_secs(1),
                empty_block_time: Duration::from_secs(1),
                epoch_length: 7,
                governance: Some(parse_governance(&governance).unwrap()),
                validators: validator_set(keys).unwrap(),
                alloc: Vec::new(),
            };
            // Whether the registry holds the validators is checked there.
            let genesis = new_chain(new).unwrap();
            let heddle = genesis.heddle().unwrap();
            assert_eq!((heddle.epoch_length, heddle.registry), (7, Some(registry::ADDRESS)));
            let deposits = accounts::parse_balance(balance).unwrap();
            assert_eq!(genesis.file().alloc[&registry::ADDRESS].balance, deposits);
        }
    }
}
