//! Blocks of this chain, as it hands them out.

use alloy_primitives::{Address, B256};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use heddle_primitives::{Block, CommitCertificate, Receipt, Round, SealedHeader};
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

/// A block that was just committed: what the one broadcast says. Of one whose state was adopted only the header and the
/// certificate are known: it is told without transactions, and all else may have changed.
#[derive(Clone, Debug)]
pub struct CommittedBlock {
    /// The header with its hash.
    pub header: SealedHeader,
    /// The whole block.
    pub block: Arc<Block>,
    /// Senders of the block's transactions, in order.
    pub senders: Vec<Address>,
    /// Receipts of the block's transactions, in order.
    pub receipts: Vec<Receipt>,
    /// Why it is final; `None` on a plain Ethereum chain.
    pub certificate: Option<CommitCertificate>,
    /// Every account whose balance, nonce, code or storage the block changed, sorted; empty where that is not known.
    pub changed_accounts: Vec<Address>,
    /// How long this node took for it.
    pub timings: Timings,
}

impl CommittedBlock {
    /// The round in which it was decided; the first on a chain without rounds.
    pub fn round(&self) -> Round {
        self.certificate.as_ref().map(|certificate| certificate.round).unwrap_or_default()
    }
}

/// What a block cost this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Recovering the senders that were not known; 0 where that was done ahead of its turn, as by an import, and when this
    /// node built the block.
    pub recovery: Duration,
    /// Running its transactions.
    pub execution: Duration,
    /// Computing the state root, and beside it the receipts root.
    pub state_root: Duration,
    /// Making the rows that are written.
    pub rows: Duration,
    /// Writing them.
    pub commit: Duration,
    /// Executions of its transactions by the parallel executor, repeated ones included; 0 when another executor did it,
    /// as when this node built the block.
    pub executions: u64,
    /// How many of these were in vain, because what the transaction had read changed.
    pub aborts: u64,
    /// How many blocks were executed in order after all, because the attempt on several threads did not succeed.
    pub fallbacks: u64,
}

impl Timings {
    /// The sum of all parts.
    pub fn total(&self) -> Duration {
        self.recovery + self.execution + self.state_root + self.rows + self.commit
    }
}

impl AddAssign for Timings {
    fn add_assign(&mut self, other: Self) {
        self.recovery += other.recovery;
        self.execution += other.execution;
        self.state_root += other.state_root;
        self.rows += other.rows;
        self.commit += other.commit;
        self.executions += other.executions;
        self.aborts += other.aborts;
        self.fallbacks += other.fallbacks;
    }
}

/// A committed block as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// The header with its hash.
    pub header: SealedHeader,
    /// The whole block.
    pub block: Block,
    /// Senders of the block's transactions, in order.
    pub senders: Vec<Address>,
    /// Length of the block's RLP, in bytes.
    pub size: usize,
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionLocation {
    /// Number of its block.
    pub number: u64,
    /// Its position in the block.
    pub index: u64,
}

/// The number and hash of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(crate) struct BlockId {
    /// Its number.
    pub(crate) number: u64,
    /// Its hash.
    pub(crate) hash: B256,
}
