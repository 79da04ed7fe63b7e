//! The rules of one chain, taken from its genesis.

use alloy_eips::{eip7840::BlobParams, eip7892::BlobScheduleBlobParams};
use alloy_evm::{EvmEnv, eth::spec::EthExecutorSpec};
use alloy_genesis::ChainConfig;
use alloy_hardforks::{EthereumChainHardforks, EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{Address, U256};
use heddle_primitives::{Genesis, Header};
use revm::primitives::hardfork::SpecId;

/// The rules of one chain: which fork is active when, and the parameters the forks read.
#[derive(Clone, Debug)]
pub struct ChainRules {
    chain_id: u64,
    forks: EthereumChainHardforks,
    blob_schedule: BlobScheduleBlobParams,
    /// Whose logs are deposits (EIP-6110); mainnet's contract when the genesis names none.
    deposit_contract: Option<Address>,
    dao_fork: Option<DaoFork>,
    is_heddle: bool,
    /// Whether execution gives access lists also before Amsterdam.
    has_early_access_lists: bool,
}

/// A chain's stance on the DAO fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DaoFork {
    /// Number of the fork's first block.
    pub(crate) block: u64,
    /// Whether this chain moved the DAO's ether.
    pub(crate) is_supported: bool,
}

impl ChainRules {
    /// Takes the rules from a genesis.
    pub fn new(genesis: &Genesis) -> Self {
        let config = genesis.config();
        Self {
            chain_id: genesis.chain_id(),
            forks: genesis.forks().clone(),
            blob_schedule: blob_schedule(config),
            deposit_contract: config.deposit_contract_address,
            dao_fork: config.dao_fork_block.map(|block| DaoFork { block, is_supported: config.dao_fork_support }),
            is_heddle: genesis.heddle().is_some(),
            has_early_access_lists: genesis.heddle().is_some(),
        }
    }

    /// The same rules, but before Amsterdam execution gives access lists exactly when `is_given`, whatever headers bind.
    #[must_use]
    pub fn with_early_access_lists(self, is_given: bool) -> Self {
        Self { has_early_access_lists: is_given, ..self }
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

    /// Whether a block follows the rules of after the merge: by its number or timestamp where those decide, otherwise
    /// by its difficulty, which [`crate::validate_merge`] holds against the total difficulty.
    pub fn is_paris(&self, header: &Header) -> bool {
        self.is_paris_certain(header) || (self.terminal_total_difficulty().is_some() && header.difficulty.is_zero())
    }

    /// Whether a block's number or timestamp alone say that it comes after the merge.
    pub(crate) fn is_paris_certain(&self, header: &Header) -> bool {
        self.is_paris_active_at_block(header.number) || self.is_shanghai_active_at_timestamp(header.timestamp)
    }

    /// The total difficulty that ends proof of work; `None` on a chain that does not merge.
    pub fn terminal_total_difficulty(&self) -> Option<U256> {
        self.ethereum_fork_activation(EthereumHardfork::Paris).ttd()
    }

    /// Whether execution of a block gives its EIP-7928 access list: on Heddle chains and from Amsterdam on, unless told otherwise.
    pub(crate) fn has_access_lists(&self, header: &Header) -> bool {
        self.has_early_access_lists || self.is_amsterdam_active_at_timestamp(header.timestamp)
    }

    /// The address that the genesis gives the deposit contract, if it gives one.
    pub(crate) fn deposit_contract(&self) -> Option<Address> {
        self.deposit_contract
    }

    /// The chain's stance on the DAO fork, if it knows of it.
    pub(crate) fn dao_fork(&self) -> Option<DaoFork> {
        self.dao_fork
    }

    /// Whether the DAO's ether moves in block `number`.
    pub(crate) fn is_dao_fork_at(&self, number: u64) -> bool {
        self.dao_fork == Some(DaoFork { block: number, is_supported: true })
    }

    /// The rules of one block.
    pub(crate) fn at(&self, header: &Header) -> BlockRules<'_> {
        BlockRules { chain: self, is_paris: self.is_paris(header) }
    }

    /// The EVM's configuration and block values under `header`.
    pub fn environment(&self, header: &Header) -> EvmEnv {
        let mut environment =
            EvmEnv::for_eth_block(header, self.at(header), self.chain_id, self.blob_params(header.timestamp));
        if self.is_constantinople_only(header) {
            environment.cfg_env.set_spec_and_mainnet_gas_params(SpecId::PETERSBURG);
        }
        environment
    }

    /// Whether a block is at Constantinople, with EIP-1283, and not yet at Petersburg, which took that back.
    pub(crate) fn is_constantinople_only(&self, header: &Header) -> bool {
        self.is_constantinople_active_at_block(header.number) && !self.is_petersburg_active_at_block(header.number)
    }
}

/// The file's blob parameters. The library expects Amsterdam's under a key that go-ethereum does not write.
fn blob_schedule(config: &ChainConfig) -> BlobScheduleBlobParams {
    let mut config = config.clone();
    if let Some(amsterdam) = config.blob_schedule.remove("amsterdam") {
        config.blob_schedule.insert("Amsterdam".to_owned(), amsterdam);
    }
    config.blob_schedule_blob_params()
}

/// A chain's rules at one block: only the block's header may tell whether the merge has happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockRules<'a> {
    chain: &'a ChainRules,
    is_paris: bool,
}

impl EthereumHardforks for BlockRules<'_> {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        match fork {
            EthereumHardfork::Paris if self.is_paris => ForkCondition::ZERO_BLOCK,
            EthereumHardfork::Paris => ForkCondition::Never,
            // The library moves the DAO's ether after the block's transactions; it must move before them.
            EthereumHardfork::Dao => ForkCondition::Never,
            fork => self.chain.ethereum_fork_activation(fork),
        }
    }
}

impl EthExecutorSpec for BlockRules<'_> {
    fn deposit_contract_address(&self) -> Option<Address> {
        self.chain.deposit_contract
    }
}

impl EthereumHardforks for ChainRules {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        self.forks.ethereum_fork_activation(fork)
    }
}
