//! What a fork has, as nodes tell each other and their users (EIP-7910).

use crate::ChainRules;
use alloy_eips::eip7910::SystemContract;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks};
use alloy_primitives::Address;
use heddle_primitives::Header;
use revm::precompile::{PrecompileSpecId, Precompiles};
use std::collections::BTreeMap;

impl ChainRules {
    /// Every moment at which a fork begins that time decides, in order, each once; in seconds since 1970.
    pub fn fork_times(&self) -> Vec<u64> {
        let time = |fork: &EthereumHardfork| self.ethereum_fork_activation(*fork).as_timestamp();
        let mut times = Vec::from_iter(EthereumHardfork::VARIANTS.iter().filter_map(time));
        times.sort_unstable();
        times.dedup();
        times
    }

    /// The precompiled contracts of a block, by their names in the proposals that introduced them.
    pub fn precompiles(&self, header: &Header) -> BTreeMap<String, Address> {
        let spec = self.environment(header).cfg_env.spec;
        let contracts = Precompiles::new(PrecompileSpecId::from_spec_id(spec)).inner();
        contracts.iter().map(|(address, contract)| (contract.id().name().to_owned(), *address)).collect()
    }

    /// The contracts that the protocol calls, or whose logs it reads, in a block of this time.
    pub fn system_contracts(&self, timestamp: u64) -> BTreeMap<SystemContract, Address> {
        let mut contracts = BTreeMap::new();
        if self.is_cancun_active_at_timestamp(timestamp) {
            contracts.extend(SystemContract::cancun());
        }
        if self.is_prague_active_at_timestamp(timestamp) {
            contracts.extend(SystemContract::prague(self.deposit_contract()));
        }
        if self.is_amsterdam_active_at_timestamp(timestamp) {
            contracts.extend(SystemContract::amsterdam());
        }
        contracts
    }
}
