//! Where a node and its consensus stand, for those who run it.
//!
//! `heddle_status` (no arguments) answers a [`StatusReport`], `heddle_consensusState` (no arguments) a
//! [`ConsensusReport`], or `null` on a node that takes no part in consensus: one that serves a plain Ethereum chain, or is
//! still fetching a state. Numbers are quantities in hex, as everywhere in Ethereum's JSON-RPC.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::ports::{ConsensusPosition, ConsensusReport, NodeReport, SyncProgress};
use crate::registry::Registry;
use alloy_primitives::{B256, FixedBytes, U64};
use heddle_primitives::{Fork, Genesis};
use jsonrpsee::server::RegisterMethodError;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Seconds before the head whose blocks make the rates.
const RATE_SECONDS: u64 = 10;
/// Less is no measure: timestamps are whole seconds.
const RATE_SECONDS_MIN: u64 = 2;
/// Blocks that make the rates at most; a chain of faster ones is measured over less time.
const RATE_BLOCKS_MAX: u64 = 1_024;

/// What `heddle_status` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// Name, version and platform.
    pub client_version: String,
    /// EIP-155 chain id.
    pub chain_id: U64,
    /// Hash of the genesis block.
    pub genesis_hash: B256,
    /// Fork identifier after the head (EIP-2124).
    pub fork_id: ForkIdReport,
    /// Every fork that the node's genesis file schedules, in order.
    pub forks: Vec<Fork>,
    /// The last committed block.
    pub head: HeadReport,
    /// Least time between two blocks, and how long an idle chain waits before an empty one, in milliseconds; `null` on a
    /// plain Ethereum chain.
    pub block_time: Option<U64>,
    /// See [`Self::block_time`].
    pub empty_block_time: Option<U64>,
    /// Where consensus is; `null` where [`ConsensusReport`] is.
    pub consensus: Option<ConsensusPosition>,
    /// How far the node is behind; `null` when it follows the head.
    pub sync: Option<SyncProgress>,
    /// Transactions that wait.
    pub mempool: MempoolReport,
    /// Transactions a second in the blocks of the last ten seconds before the head, to two decimals; `null` where the
    /// blocks that can be looked at span less than two seconds.
    pub transactions_per_second: Option<f64>,
    /// Gas a second in the same blocks.
    pub gas_per_second: Option<U64>,
    /// What only the node around the server knows.
    #[serde(flatten)]
    pub node: NodeReport,
}

/// EIP-2124's identifier of a chain and its forks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkIdReport {
    /// Checksum of the genesis hash and the forks that the head has passed.
    pub hash: FixedBytes<4>,
    /// Block number or time of the next fork; 0 when none is known.
    pub next: U64,
}

/// A block, for a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadReport {
    /// Its number.
    pub number: U64,
    /// Its hash.
    pub hash: B256,
    /// Its time, in seconds since 1970.
    pub timestamp: U64,
}

/// How many transactions wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MempoolReport {
    /// Those that could be in the next block.
    pub pending: U64,
    /// Those that wait for others.
    pub queued: U64,
}

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.scan("heddle_status", &[], status)?;
    registry.memory("heddle_consensusState", &[], consensus_state)
}

fn consensus_state(backend: &Backend, _: &mut Arguments<'_>) -> Result<Option<ConsensusReport>, MethodError> {
    Ok(backend.node.consensus())
}

fn status(backend: &Backend, _: &mut Arguments<'_>) -> Result<StatusReport, MethodError> {
    let genesis = backend.chain.genesis();
    let head = backend.chain.head();
    let (number, timestamp) = (head.header.number, head.header.timestamp);
    let pool = backend.mempool.status();
    let rates = Rates::before(backend, number, timestamp)?;
    let heddle = genesis.heddle();
    let milliseconds = |time: Duration| U64::from(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    Ok(StatusReport {
        client_version: backend.node.client_version(),
        chain_id: U64::from(genesis.chain_id()),
        genesis_hash: genesis.hash(),
        fork_id: fork_id(genesis, number, timestamp),
        forks: genesis.fork_schedule(),
        head: HeadReport { number: U64::from(number), hash: head.hash(), timestamp: U64::from(timestamp) },
        block_time: heddle.map(|heddle| milliseconds(heddle.block_time)),
        empty_block_time: heddle.map(|heddle| milliseconds(heddle.empty_block_time)),
        consensus: backend.node.consensus().map(|state| state.position),
        sync: backend.node.sync_progress(),
        mempool: MempoolReport { pending: U64::from(pool.pending as u64), queued: U64::from(pool.queued as u64) },
        transactions_per_second: rates.transactions_per_second(),
        gas_per_second: rates.gas_per_second().map(U64::from),
        node: backend.node.report(),
    })
}

fn fork_id(genesis: &Genesis, number: u64, timestamp: u64) -> ForkIdReport {
    let (hash, next) = genesis.fork_id(number, timestamp);
    ForkIdReport { hash: hash.into(), next: U64::from(next) }
}

/// What the last blocks held, over the time that they took by their own timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rates {
    transactions: u64,
    gas: u64,
    seconds: u64,
}

impl Rates {
    /// Of the blocks after the earliest that is no older than [`RATE_SECONDS`] before the head.
    fn before(backend: &Backend, head: u64, timestamp: u64) -> Result<Self, MethodError> {
        let mut rates = Self::default();
        let oldest = backend.chain.blocks_from().max(head.saturating_sub(RATE_BLOCKS_MAX));
        for number in (oldest..head).rev() {
            let Some(parent) = backend.chain.header(number)? else { break };
            let seconds = timestamp.saturating_sub(parent.timestamp);
            // Blocks that came slowly are measured all the same.
            if seconds > RATE_SECONDS && rates.seconds >= RATE_SECONDS_MIN {
                break;
            }
            let Some(block) = backend.chain.block(number + 1)? else { break };
            rates.transactions += block.block.body.transactions.len() as u64;
            rates.gas += block.header.gas_used;
            rates.seconds = seconds;
        }
        Ok(rates)
    }

    fn transactions_per_second(self) -> Option<f64> {
        Some((self.transactions * 100 / self.measure()?) as f64 / 100.0)
    }

    fn gas_per_second(self) -> Option<u64> {
        Some(self.gas / self.measure()?)
    }

    /// The seconds, when they are enough to divide by.
    fn measure(self) -> Option<u64> {
        (self.seconds >= RATE_SECONDS_MIN).then_some(self.seconds)
    }
}
