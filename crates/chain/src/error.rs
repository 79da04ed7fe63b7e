//! What can go wrong, and whose fault it is.

use crate::{BackfillError, BaseError, EvidenceRuleError};
use alloy_primitives::{Address, B256};
use heddle_evm::{CallError, ExecutionError, RuleError, SimulationError, TraceError, TransactionError};
use heddle_primitives::CertificateError;
use heddle_state::StateError;
use heddle_storage::StorageError;
use std::time::Duration;

/// Who has to act on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Whoever made or sent the block: vote against it, report the peer.
    Peer,
    /// Whoever called: tell them, nothing is wrong with the node.
    Caller,
    /// This node, its disk or its network as a whole: stop.
    Ours,
}

/// The rule that a proposed block breaks. Always the fault of its author or of whoever sent it.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// A rule of the header, the body or the execution's result.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// Dated later than clocks may differ.
    #[error("timestamp {timestamp} is more than {drift} s ahead of local time {now}")]
    FutureTimestamp {
        /// The header's, in seconds.
        timestamp: u64,
        /// Local time, in seconds.
        now: u64,
        /// What is tolerated, in seconds.
        drift: u64,
    },
    /// The fees would go to somebody else than the proposer.
    #[error("beneficiary is {found}, the proposer's fee recipient is {expected}")]
    Beneficiary {
        /// The header's.
        found: Address,
        /// The fee recipient of the round's proposer.
        expected: Address,
    },
    /// The fees would go to nobody who may propose.
    #[error("beneficiary {0} is no validator's fee recipient")]
    UnknownBeneficiary(Address),
    /// The certificate of the parent is missing, or stands where there is none to give (after genesis).
    #[error("the parent certificate is {found}, after block {parent} it must be {expected}")]
    ParentCertificatePresence {
        /// Number of the parent.
        parent: u64,
        /// "present" or "absent".
        found: &'static str,
        /// "present" or "absent".
        expected: &'static str,
    },
    /// The header binds another certificate, or other evidence, than what came along.
    #[error("parentBeaconBlockRoot is {found}, parent certificate and evidence give {expected}")]
    ParentCertificateDigest {
        /// The header's.
        found: B256,
        /// What they give ([`consensus_root`](heddle_primitives::consensus_root)).
        expected: B256,
    },
    /// The certificate is for another block than the parent.
    #[error("the parent certificate is for block {found} at height {found_height}, the parent is {parent} at {height}")]
    ParentCertificateBlock {
        /// Hash in the certificate.
        found: B256,
        /// Height in the certificate.
        found_height: u64,
        /// Hash of the parent.
        parent: B256,
        /// Number of the parent.
        height: u64,
    },
    /// The certificate of the parent proves nothing.
    #[error("parent certificate: {0}")]
    ParentCertificate(#[from] CertificateError),
    /// The evidence breaks a rule.
    #[error("evidence: {0}")]
    Evidence(#[from] EvidenceRuleError),
    /// Nobody signed this transaction.
    #[error("transaction {index} has {error}")]
    Signature {
        /// Its position in the block.
        index: usize,
        /// What is wrong with the signature.
        error: TransactionError,
    },
    /// Cannot be executed.
    #[error("{0}")]
    Execution(ExecutionError),
    /// The state after execution is another.
    #[error("state root is {found}, execution gives {expected}")]
    StateRoot {
        /// The header's.
        found: B256,
        /// After executing the block.
        expected: B256,
    },
}

/// Why the chain did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The block breaks a rule: the peer's fault.
    #[error("invalid block: {0}")]
    InvalidBlock(#[from] BlockError),
    /// Evidence that proves nothing: the peer's fault.
    #[error("invalid evidence: {0}")]
    InvalidEvidence(#[from] EvidenceRuleError),
    /// Not the block after the head, for instance because another door committed it first: nobody's fault.
    #[error("block {number} does not follow the head, which is at {head}")]
    NotNext {
        /// Number of the block.
        number: u64,
        /// Number of the head.
        head: u64,
    },
    /// No such block: the caller's fault.
    #[error("block {number} is not known, the head is at {head}")]
    UnknownBlock {
        /// The number asked for.
        number: u64,
        /// Number of the head.
        head: u64,
    },
    /// A block from before the state that the chain began with: the caller's fault.
    #[error("block {number} is not in this node's database: the oldest is {oldest}")]
    AbsentBlock {
        /// The number asked for.
        number: u64,
        /// Number of the oldest block that is there.
        oldest: u64,
    },
    /// A state can only be adopted by a chain that has none but that of genesis: the caller's fault.
    #[error("the chain is at block {head}: only one at genesis can begin with another state")]
    NotAtGenesis {
        /// Number of the head.
        head: u64,
    },
    /// What was to be adopted does not fit together: the fault of whoever sent it.
    #[error("the chain cannot begin with this state: {0}")]
    Base(#[from] BaseError),
    /// What was to be put before the blocks that are there does not belong there: the peer's fault.
    #[error("not a part of this chain: {0}")]
    Backfill(#[from] BackfillError),
    /// A search over too many blocks, or backwards: the caller's fault.
    #[error("{}", range_problem(*from, *to, *blocks_max))]
    LogRange {
        /// First block asked for.
        from: u64,
        /// Last block asked for.
        to: u64,
        /// The bound.
        blocks_max: u64,
    },
    /// More logs than one answer may hold: the caller's fault.
    #[error("query exceeds {logs_max} logs, {}", narrower(*from, *number))]
    TooManyLogs {
        /// The bound.
        logs_max: usize,
        /// First block asked for.
        from: u64,
        /// The block at which the bound was passed.
        number: u64,
    },
    /// More bytes of log data than one answer may hold: the caller's fault.
    #[error("query exceeds {bytes_max} bytes of log data, {}", narrower(*from, *number))]
    TooManyLogBytes {
        /// The bound.
        bytes_max: usize,
        /// First block asked for.
        from: u64,
        /// The block at which the bound was passed.
        number: u64,
    },
    /// A search that takes longer than one may: the caller's fault.
    #[error("query takes longer than {} ms, {}", time_max.as_millis(), narrower(*from, *number))]
    SlowLogs {
        /// The bound.
        time_max: Duration,
        /// First block asked for.
        from: u64,
        /// The block that was not searched any more.
        number: u64,
    },
    /// A call or gas estimate that has no result; [`CallError`] says whether that is the caller's fault.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Transactions are not traced.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// Genesis has no parent on whose state it was executed.
    #[error("genesis is not traceable")]
    UntraceableGenesis,
    /// Blocks that cannot be simulated; [`SimulationError`] says whether that is the caller's fault.
    #[error(transparent)]
    Simulation(#[from] SimulationError),
    /// The genesis has no `heddle` section, so nobody may propose or commit: the caller's fault.
    #[error("the genesis has no heddle section: this chain is read-only")]
    ReadOnly,
    /// The genesis has a `heddle` section, so that a block without a certificate is not final: the caller's fault.
    #[error("the genesis has a heddle section: a block of this chain needs its certificate")]
    Uncertified,
    /// An imported block is not the one that is committed at its height, and committed blocks are final: the caller's
    /// fault.
    #[error("block {number} ({hash}) is not the one that is committed at its height ({committed})")]
    Conflict {
        /// The height.
        number: u64,
        /// Hash of the imported block.
        hash: B256,
        /// Hash of the committed one.
        committed: B256,
    },
    /// Two certified blocks at one height: more than a third of the voting power is faulty. The node must stop.
    #[error("safety violation at height {height}: {committed} is committed, {certified} is certified too")]
    SafetyViolation {
        /// The height.
        height: u64,
        /// The block that this node committed.
        committed: B256,
        /// The other one.
        certified: B256,
    },
    /// Two thirds certified what this node finds invalid: one of them is wrong about the rules. The node must stop.
    #[error("block {number} ({hash}) is certified but invalid: {error}")]
    InvalidCertified {
        /// Number of the block.
        number: u64,
        /// Hash of the block.
        hash: B256,
        /// The rule it breaks.
        error: Box<BlockError>,
    },
    /// The database belongs to another chain.
    #[error("the database is of the chain with genesis {database}, the genesis file is of {genesis}")]
    GenesisMismatch {
        /// In the database.
        database: B256,
        /// Of the file.
        genesis: B256,
    },
    /// The genesis file says otherwise than the one that the database was written with, of what is past.
    #[error(
        "by the genesis file {rule} is {given}, by the one that this database was written with it is {known}, and its last \
         block ({number}, of time {timestamp}) is past that: start with the file that the chain runs with; only forks to \
         come can be moved"
    )]
    ForkMismatch {
        /// The fork, or other rule.
        rule: String,
        /// When it is by the file that the database was last opened with.
        known: String,
        /// When it is by the file given now.
        given: String,
        /// Number of the head.
        number: u64,
        /// Its time, in seconds since 1970.
        timestamp: u64,
    },
    /// The chain, or a block that two thirds certified, has another block where the operator's checkpoint is.
    #[error(
        "block {number} is {hash}, the checkpoint says {checkpoint}: this is another chain, or the checkpoint is wrong"
    )]
    Checkpoint {
        /// The checkpoint's height.
        number: u64,
        /// The block there.
        hash: B256,
        /// The checkpoint's hash.
        checkpoint: B256,
    },
    /// Nothing was ever written to the database: the caller's fault.
    #[error("the database holds no chain")]
    Empty,
    /// The adoption of a state was interrupted, or is going on: the caller's fault.
    #[error("the database is in the middle of adopting the state of block {number}: start its node, which ends that")]
    Adopting {
        /// The block.
        number: u64,
    },
    /// Rows contradict each other.
    #[error("the database is corrupt: {0}")]
    Corrupt(String),
    /// The thread that writes blocks failed.
    #[error("the thread that writes blocks failed: {0}")]
    Writer(String),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The state failed; or, the caller's fault, history no longer reaches that far back.
    #[error(transparent)]
    State(#[from] StateError),
    /// The executor failed for a reason that is not in the block.
    #[error("execution failed: {0}")]
    Execution(ExecutionError),
}

/// What is wrong with the range of a search, and what would be right.
fn range_problem(from: u64, to: u64, blocks_max: u64) -> String {
    match from <= to {
        true => format!("query exceeds {blocks_max} blocks, {}", narrower(from, from.saturating_add(blocks_max))),
        false => format!("block range {from} to {to} is backwards"),
    }
}

/// What would be within the bounds of a search that passed them at block `end`.
fn narrower(from: u64, end: u64) -> String {
    match end.checked_sub(1).filter(|last| *last >= from) {
        Some(last) => format!("try with this block range [{from:#x}, {last:#x}]"),
        None => format!("block {end} alone has more: ask for fewer addresses or topics"),
    }
}

impl ChainError {
    /// The block at which a search for logs passed one of its bounds.
    pub fn logs_ended_at(&self) -> Option<u64> {
        match self {
            Self::TooManyLogs { number, .. } | Self::TooManyLogBytes { number, .. } | Self::SlowLogs { number, .. } => {
                Some(*number)
            }
            _ => None,
        }
    }

    /// Who has to act.
    pub fn fault(&self) -> Fault {
        match self {
            Self::InvalidBlock(_) | Self::InvalidEvidence(_) | Self::Base(_) | Self::Backfill(_) => Fault::Peer,
            Self::NotNext { .. }
            | Self::UnknownBlock { .. }
            | Self::AbsentBlock { .. }
            | Self::NotAtGenesis { .. }
            | Self::Empty
            | Self::Adopting { .. }
            | Self::LogRange { .. }
            | Self::TooManyLogs { .. }
            | Self::TooManyLogBytes { .. }
            | Self::SlowLogs { .. }
            | Self::ReadOnly
            | Self::Uncertified
            | Self::ForkMismatch { .. }
            | Self::Conflict { .. } => Fault::Caller,
            Self::Call(CallError::State(_) | CallError::Internal(_))
            | Self::Simulation(SimulationError::Call(CallError::State(_) | CallError::Internal(_)))
            | Self::Trace(
                TraceError::Execution(_)
                | TraceError::Internal(_)
                | TraceError::Call(CallError::State(_) | CallError::Internal(_)),
            ) => Fault::Ours,
            Self::Call(_)
            | Self::Simulation(_)
            | Self::Trace(_)
            | Self::UntraceableGenesis
            | Self::State(StateError::HistoryPruned { .. } | StateError::ProofTooOld { .. }) => Fault::Caller,
            Self::SafetyViolation { .. }
            | Self::InvalidCertified { .. }
            | Self::GenesisMismatch { .. }
            | Self::Checkpoint { .. }
            | Self::Corrupt(_)
            | Self::Writer(_)
            | Self::Storage(_)
            | Self::State(_)
            | Self::Execution(_) => Fault::Ours,
        }
    }
}
