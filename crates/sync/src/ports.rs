//! What sync needs from the chain and the network.

use crate::{CommitError, PeerFault, PeerId, RequestError};
use async_trait::async_trait;
use heddle_primitives::{CertifiedBlock, FinalizedBlock, Height, Request, Response, Status, ValidatorSet};
use std::sync::Arc;

/// The chain that is behind.
#[async_trait]
pub trait Chain: Send + Sync + 'static {
    /// Height of the last committed block. Called often: in memory, never blocks.
    fn head(&self) -> Height;

    /// The validators that decide `height`, the one after the head. In memory, never blocks.
    ///
    /// # Errors
    /// [`CommitError::Stale`] when that is not the height after the head, or what the chain says of its database.
    fn validators(&self, height: Height) -> Result<Arc<ValidatorSet>, CommitError>;

    /// Executes and commits the block after the head; resolves when it is durable.
    ///
    /// # Errors
    /// See [`CommitError`] for whose fault each is.
    async fn commit(&self, block: CertifiedBlock) -> Result<(), CommitError>;
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
pub trait BlockSource: Send + Sync + 'static {
    /// Where this node is.
    fn status(&self) -> Status;

    /// A committed block with its certificate, and its access list where that is kept; `None` above the head, for genesis and for pruned heights.
    ///
    /// # Errors
    /// When the database fails, in words.
    fn finalized_block(&self, height: Height) -> Result<Option<FinalizedBlock>, String>;
}
