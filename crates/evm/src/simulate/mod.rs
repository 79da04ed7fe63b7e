//! Blocks that nobody proposed: `eth_simulateV1`.
//!
//! ```text
//! request -> plan (numbers, times, gaps filled) -> for each block: header -> run -> sealed block, next one's parent
//! ```

mod header;
mod plan;
mod run;
mod transaction;
mod transfers;

use crate::database::ReaderDatabase;
use crate::{CallError, CallLimits, CallOutcome, CallRequest, ChainRules, Overrides, StateReader, TransactionError};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::Address;
use heddle_primitives::{Block, Receipt, SealedHeader};
use run::Simulator;

/// Most blocks of one simulation, those between the ones asked for included.
pub const SIMULATED_BLOCKS_MAX: u64 = 256;

/// What to simulate on top of a block.
#[derive(Clone, Debug, Default)]
pub struct SimulationRequest {
    /// The blocks, in order. Numbers that are left out between them become empty blocks.
    pub blocks: Vec<BlockRequest>,
    /// Whether nonces and fees must be as in real blocks.
    pub is_validated: bool,
    /// Whether transfers of ether appear as logs of calls, as if a token at 0xeee..ee had moved.
    pub traces_transfers: bool,
}

/// One block to simulate.
#[derive(Clone, Debug, Default)]
pub struct BlockRequest {
    /// What to pretend, from this block on about accounts, and in this block alone about the block.
    pub overrides: Overrides,
    /// Its transactions.
    pub calls: Vec<NumberedCall>,
    /// What it credits after them (EIP-4895); nothing before Shanghai.
    pub withdrawals: Vec<Withdrawal>,
}

/// A message at a place in its sender's order.
#[derive(Clone, Debug, Default)]
pub struct NumberedCall {
    /// The message.
    pub request: CallRequest,
    /// Its nonce; the sender's own when absent.
    pub nonce: Option<u64>,
}

/// A block that was simulated.
#[derive(Clone, Debug)]
pub struct SimulatedBlock {
    /// The block; its transactions have signatures of zeros.
    pub block: Block,
    /// Who its transactions are from.
    pub senders: Vec<Address>,
    /// One receipt a transaction.
    pub receipts: Vec<Receipt>,
    /// What its transactions did.
    pub calls: Vec<SimulatedCall>,
}

/// What a simulated transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedCall {
    /// How it ended; with logs of transfers, if asked for.
    pub outcome: CallOutcome,
    /// Gas used before refunds.
    pub gas_peak: u64,
}

/// Why a simulation has no result. The texts are go-ethereum's where clients see its.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SimulationError {
    /// A block's number is not after the one before. The caller's fault.
    #[error("block numbers must be in order: {number} <= {before}")]
    BlockNumber {
        /// Its number.
        number: u64,
        /// The number before.
        before: u64,
    },
    /// A block's time is not after the one before. The caller's fault.
    #[error("block timestamps must be in order: {timestamp} <= {before}")]
    BlockTimestamp {
        /// Its time, in seconds.
        timestamp: u64,
        /// The time before.
        before: u64,
    },
    /// More than [`SIMULATED_BLOCKS_MAX`]. The caller's fault.
    #[error("too many blocks")]
    TooManyBlocks,
    /// A call asks for more gas than its block has left. The caller's fault.
    #[error("block gas limit reached: {asked} >= {limit}")]
    BlockGas {
        /// What the block used and the call asks for.
        asked: u64,
        /// The block's limit.
        limit: u64,
    },
    /// A call cannot be a transaction of its block. The caller's fault.
    #[error("err: {error} (supplied gas {gas})")]
    Transaction {
        /// The rule it breaks.
        error: TransactionError,
        /// Its gas limit.
        gas: u64,
    },
    /// Any other reason.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Runs blocks on top of `parent`, on the state after it. All calls together have the gas of `limits`, and all that is
/// done together its time.
///
/// # Errors
/// Nothing is simulated unless everything is: see [`SimulationError`]. A call that reverts or halts is no error.
pub fn simulate(
    rules: &ChainRules,
    reader: &dyn StateReader,
    parent: &SealedHeader,
    request: &SimulationRequest,
    limits: &CallLimits<'_>,
) -> Result<Vec<SimulatedBlock>, SimulationError> {
    let planned = plan::plan(parent, &request.blocks)?;
    let database = ReaderDatabase::new(reader).watched(*limits);
    let failure = database.failure();
    let mut state = database.into_recorder(false);
    let (gas_left, bytes_left) = (limits.gas, usize::try_from(limits.memory).unwrap_or(usize::MAX));
    let mut simulator = Simulator { rules, reader, request, limits: *limits, failure, gas_left, bytes_left };
    let mut parent = parent.clone();
    let mut blocks = Vec::with_capacity(planned.len());
    for planned in &planned {
        let header = header::begin(rules, &parent, planned, request.is_validated);
        let (after, block) = simulator.run(state, header, planned)?;
        state = after;
        parent = SealedHeader::new(block.block.header.clone());
        state.block_hashes.insert(parent.number, parent.seal());
        blocks.push(block);
    }
    Ok(blocks)
}
