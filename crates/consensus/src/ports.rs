//! What consensus needs from others.

use async_trait::async_trait;
use heddle_primitives::{
    CertifiedBlock, ConsensusMessage, Evidence, Height, ProposedBlock, Round, Validator, ValidatorSet,
};
use std::io;
use std::sync::Arc;

/// An error of the application itself (a database, a bug), never a peer's: consensus ends with it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ApplicationError(pub String);

/// What the application says about a proposed block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockVerdict {
    /// It may be voted for.
    Valid,
    /// It breaks a rule, named in the text.
    Invalid(String),
    /// The head is no longer the block's parent: the height was committed meanwhile, the answer does not matter.
    Stale,
}

/// The chain and the mempool, as consensus sees them.
#[async_trait]
pub trait Application: Send + Sync + 'static {
    /// The validators that decide `height`, which may be any; `None` where they are not known yet, which they are up to
    /// the height after the head. Usually in memory.
    ///
    /// # Errors
    /// The application fails.
    fn validators(&self, height: Height) -> Result<Option<Arc<ValidatorSet>>, ApplicationError>;

    /// Whether transactions wait to be mined. Cheap.
    fn has_transactions(&self) -> bool;

    /// Returns when [`Self::has_transactions`] may be true. Cancel-safe.
    async fn wait_for_transactions(&self);

    /// Builds the block to propose in this round, on the head; `None` when the head is no longer `height - 1`.
    async fn build(&self, height: Height, round: Round) -> Result<Option<ProposedBlock>, ApplicationError>;

    /// Executes a proposed block and checks every field. Its beneficiary must be `proposer`'s fee recipient.
    async fn validate(&self, block: ProposedBlock, proposer: Validator) -> Result<BlockVerdict, ApplicationError>;

    /// Commits a decided block: durable at return. Also good when this very block is committed already.
    async fn commit(&self, block: CertifiedBlock) -> Result<(), ApplicationError>;

    /// Keeps evidence whose signatures verify until a block includes it: durable at return. True when it is new and of
    /// use; a repetition, one too old, or one against whom nothing more can be done is not.
    ///
    /// # Errors
    /// The application fails.
    async fn report_evidence(&self, evidence: Evidence) -> Result<bool, ApplicationError>;

    /// Peers are at `heard`, above what consensus decides here: sync should look. Never blocks; called often.
    fn behind(&self, heard: Height);
}

/// The consensus topic.
#[async_trait]
pub trait Outbound: Send + Sync + 'static {
    /// Sends a message to all peers; may wait for room in a bounded queue. Loss is allowed.
    async fn publish(&self, message: ConsensusMessage);
}

/// The consensus log and the sign-state file. Blocking: called on the blocking pool, one call at a time, in the
/// order `append`.. `sync` `replace_sign_state`. Any error ends consensus.
pub trait DurableLog: Send + 'static {
    /// Adds a record; durable only after [`Self::sync`].
    ///
    /// # Errors
    /// The record was not written.
    fn append(&mut self, record: &[u8]) -> io::Result<()>;

    /// Makes all appended records durable.
    ///
    /// # Errors
    /// They may not be on disk.
    fn sync(&mut self) -> io::Result<()>;

    /// Replaces the sign-state file, durable at return.
    ///
    /// # Errors
    /// The old content may still stand.
    fn replace_sign_state(&mut self, state: &[u8]) -> io::Result<()>;

    /// Empties the log for a new height, durable at return. The sign-state file stays.
    ///
    /// # Errors
    /// Old records may still stand.
    fn reset(&mut self) -> io::Result<()>;
}
