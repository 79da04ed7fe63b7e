//! The workloads by name.

use crate::chain::{Chain, first_header};
use crate::world::World;
use crate::{MemoryState, mixed, programs, swaps, tokens, transfers};
use heddle_evm::{BlockContext, ChainRules};
use heddle_primitives::{Header, RecoveredTransaction};

/// How much gas a workload's block uses, within a fifth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 30 million gas.
    Small,
    /// 1 billion gas.
    Large,
}

impl Size {
    /// The gas aimed at.
    pub const fn gas(self) -> u64 {
        match self {
            Self::Small => 30_000_000,
            Self::Large => 1_000_000_000,
        }
    }

    /// Accounts, and slots of one of them, that `storage-reads` chooses from.
    const fn population(self) -> u64 {
        match self {
            Self::Small => 1 << 16,
            Self::Large => 1 << 20,
        }
    }
}

/// A block, and the state that it is executed on. The same at every call, to the byte.
#[derive(Clone, Debug)]
pub struct Workload {
    /// One of [`NAMES`].
    pub name: &'static str,
    /// The state before the block.
    pub state: MemoryState,
    /// The block's header, as far as it is known before execution.
    pub header: Header,
    /// The rules of the chain that the block is on: a Heddle chain, at Osaka.
    pub rules: ChainRules,
    /// The block's transactions. Their senders are right; their signatures are not.
    pub transactions: Vec<RecoveredTransaction>,
}

/// The workload that reads all over the state.
pub const STORAGE_READS: &str = "storage-reads";

type Fill = fn(&mut World, Size);

macro_rules! catalogue {
    ($($name:expr => $fill:expr,)*) => {
        /// The names of all workloads.
        pub const NAMES: &[&str] = &[$($name),*];
        const FILLS: &[Fill] = &[$($fill),*];
    };
}

catalogue! {
    "transfers-independent" => |world, size| transfers::independent(world, size.gas()),
    "transfers-one-recipient" => |world, size| transfers::one_recipient(world, size.gas()),
    "transfers-one-sender" => |world, size| transfers::one_sender(world, size.gas()),
    "erc20-independent" => |world, size| tokens::independent(world, size.gas()),
    "erc20-clustered" => |world, size| tokens::clustered(world, size.gas()),
    "erc20-one-pair" => |world, size| tokens::one_pair(world, size.gas()),
    "swaps-v2-many-pools" => |world, size| swaps::v2::many_pools(world, size.gas()),
    "swaps-v2-one-pool" => |world, size| swaps::v2::one_pool(world, size.gas()),
    "swaps-v3-many-pools" => |world, size| swaps::v3::many_pools(world, size.gas()),
    "swaps-v3-one-pool" => |world, size| swaps::v3::one_pool(world, size.gas()),
    "mixed" => |world, size| mixed::mixed(world, size.gas()),
    "nft-mint" => |world, size| tokens::nft_mint(world, size.gas()),
    "airdrop" => |world, size| tokens::airdrop(world, size.gas()),
    "compute" => |world, size| programs::compute(world, size.gas()),
    "creation" => |world, size| programs::creation(world, size.gas()),
    "chain-conflict" => |world, size| transfers::payment_chain(world, size.gas()),
    STORAGE_READS => |world, size| programs::storage_reads(world, size.gas(), size.population()),
}

/// Every workload, each made when it is asked for.
pub fn all(size: Size) -> impl Iterator<Item = Workload> {
    NAMES.iter().zip(FILLS).map(move |(name, fill)| Workload::new(name, *fill, size))
}

/// The workload of this name; `None` when there is none.
pub fn by_name(name: &str, size: Size) -> Option<Workload> {
    let mut entries = NAMES.iter().zip(FILLS);
    let (name, fill) = entries.find(|(known, _)| **known == name)?;
    Some(Workload::new(name, *fill, size))
}

/// The workload `storage-reads` over so many accounts, and as many slots of another one.
pub fn storage_reads(size: Size, population: u64) -> Workload {
    Workload::new(STORAGE_READS, |world, size| programs::storage_reads(world, size.gas(), population), size)
}

impl Workload {
    fn new(name: &'static str, fill: impl FnOnce(&mut World, Size), size: Size) -> Self {
        let genesis = Chain::Heddle.genesis();
        let rules = ChainRules::new(&genesis);
        let mut world = World::default();
        for (address, account) in &genesis.file().alloc {
            world.state.add_genesis_account(*address, account);
        }
        fill(&mut world, size);
        // Transactions ask for more gas than they use, the last ones too.
        let header = first_header(&rules, &genesis, 2 * size.gas());
        Self { name, state: world.state, header, rules, transactions: world.transactions }
    }

    /// The same block on a plain Ethereum chain, whose execution makes no access list.
    #[must_use]
    pub fn on_plain_chain(self) -> Self {
        Self { rules: ChainRules::new(&Chain::Plain.genesis()), ..self }
    }

    /// What the transactions are executed under.
    pub fn context(&self) -> BlockContext<'_> {
        BlockContext::new(&self.header)
    }
}
