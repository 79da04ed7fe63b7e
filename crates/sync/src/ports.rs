//! What sync needs from the chain and the network.

use crate::{ImportError, PeerFault, PeerId, RequestError};
use async_trait::async_trait;
use heddle_primitives::{
    CertifiedBlock, CertifiedHeader, Epoch, EpochStep, FinalizedBlock, Height, LightClient, Receipt, Request, Response,
    Status,
};

/// The chain that is behind.
#[async_trait]
pub trait Chain: Send + Sync + 'static {
    /// A final block that only has to be executed.
    type Ready: Send + 'static;

    /// Height of the last committed block. Called often: in memory, never blocks.
    fn head(&self) -> Height;

    /// A light client whose last header is the head's, and that knows the validators of the height after it. In memory,
    /// never blocks.
    ///
    /// # Errors
    /// In words, when a chain that can be behind has no such thing. Ours.
    fn light_client(&self) -> Result<LightClient, String>;

    /// Does with final blocks all that can be done before they are executed: that bodies are those that the headers bind, and
    /// who sent the transactions. Gives those up to the first that is not what its header binds, and in words why it is
    /// not: its sender's fault. Blocks; called off the async threads, also beside an import.
    fn prepare(&self, blocks: Vec<CertifiedBlock>) -> (Vec<Self::Ready>, Option<String>);

    /// Executes and commits blocks that follow each other, of which the first ones may be committed already; resolves when
    /// all are durable, or all before one that is not committed.
    ///
    /// # Errors
    /// See [`CommitError`](crate::CommitError) for whose fault each is.
    async fn import(&self, blocks: Vec<Self::Ready>) -> Result<(), ImportError>;
}

/// The peers that may be ahead.
#[async_trait]
pub trait Peers: Send + Sync + 'static {
    /// The connected ones. In memory, never blocks; the network bounds their number.
    fn list(&self) -> Vec<PeerId>;

    /// Asks one peer. Sync gives up after its own timeout by dropping the future.
    ///
    /// # Errors
    /// When there is no answer.
    async fn request(&self, peer: &PeerId, request: Request) -> Result<Response, RequestError>;

    /// Tells the network about a peer's fault, so that it may score or disconnect it.
    fn report(&self, peer: &PeerId, fault: PeerFault);
}

/// The blocks that peers may ask us for. Reads may block; the server calls them off the async threads.
///
/// What is not there is `None`: above the head, genesis, and what was pruned. Errors are the database's, in words.
pub trait BlockSource: Send + Sync + 'static {
    /// Where this node is.
    fn status(&self) -> Status;

    /// A committed block with its certificate, and its access list where that is kept.
    ///
    /// # Errors
    /// When the database fails, in words.
    fn finalized_block(&self, height: Height) -> Result<Option<FinalizedBlock>, String>;

    /// The header of a committed block with its certificate, and at the end of an epoch the proof of the next one's members
    /// where that is kept.
    ///
    /// # Errors
    /// When the database fails, in words.
    fn certified_header(&self, height: Height) -> Result<Option<CertifiedHeader>, String>;

    /// The receipts of a committed block, one a transaction.
    ///
    /// # Errors
    /// When the database fails, in words.
    fn receipts(&self, height: Height) -> Result<Option<Vec<Receipt>>, String>;

    /// The end of an epoch that has ended, where its proof is kept.
    ///
    /// # Errors
    /// When the database fails, in words.
    fn epoch_step(&self, epoch: Epoch) -> Result<Option<EpochStep>, String>;
}
