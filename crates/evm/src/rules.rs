//! The rules of one chain, taken from its genesis.

use alloy_eips::{eip7840::BlobParams, eip7892::BlobScheduleBlobParams};
use alloy_evm::{EvmEnv, eth::spec::EthExecutorSpec};
use alloy_hardforks::{EthereumChainHardforks, EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::Address;
use heddle_primitives::{Genesis, Header};

/// The rules of one chain: which fork is active when, and the parameters the forks read.
#[derive(Clone, Debug)]
pub struct ChainRules {
    chain_id: u64,
    forks: EthereumChainHardforks,
    blob_schedule: BlobScheduleBlobParams,
    /// Whose logs are deposits (EIP-6110); mainnet's contract when the genesis names none.
    deposit_contract: Option<Address>,
    is_heddle: bool,
}

impl ChainRules {
    /// Takes the rules from a genesis.
    pub fn new(genesis: &Genesis) -> Self {
        Self {
            chain_id: genesis.chain_id(),
            forks: genesis.forks().clone(),
            blob_schedule: genesis.config().blob_schedule_blob_params(),
            deposit_contract: genesis.config().deposit_contract_address,
            is_heddle: genesis.heddle().is_some(),
        }
    }

    /// EIP-155 chain id.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Whether blocks follow Heddle's header rules; otherwise they follow Ethereum's.
    pub fn is_heddle(&self) -> bool {
        self.is_heddle
    }

    /// The blob parameters at a block's timestamp (EIP-7840, EIP-7892); `None` before Cancun.
    pub fn blob_params(&self, timestamp: u64) -> Option<BlobParams> {
        let schedule = &self.blob_schedule;
        if let Some(params) = schedule.active_scheduled_params_at_timestamp(timestamp) {
            return Some(*params);
        }
        if self.is_osaka_active_at_timestamp(timestamp) {
            Some(schedule.osaka)
        } else if self.is_prague_active_at_timestamp(timestamp) {
            Some(schedule.prague)
        } else {
            self.is_cancun_active_at_timestamp(timestamp).then_some(schedule.cancun)
        }
    }

    /// The EVM's configuration and block values under `header`.
    pub(crate) fn environment(&self, header: &Header) -> EvmEnv {
        EvmEnv::for_eth_block(header, self, self.chain_id, self.blob_params(header.timestamp))
    }
}

impl EthereumHardforks for ChainRules {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        self.forks.ethereum_fork_activation(fork)
    }
}

impl EthExecutorSpec for ChainRules {
    fn deposit_contract_address(&self) -> Option<Address> {
        self.deposit_contract
    }
}
