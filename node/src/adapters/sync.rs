//! Sync commits through the chain and asks through the network; peers are answered from the chain.

use async_trait::async_trait;
use heddle_chain::{Chain, ChainError, Fault};
use heddle_network::{Misbehaviour, NetworkHandle, RequestServer};
use heddle_primitives::{CertifiedBlock, FinalizedBlock, Height, Request, RequestKind, Response, Status, ValidatorSet};
use heddle_sync::{BlockSource, CommitError, PeerFault, PeerId, Peers, RequestError, SnapshotServer, SyncServer};
use std::sync::Arc;
use tracing::{debug, warn};

/// The chain as sync sees it, and as it is served to others.
pub struct SyncChain(pub Chain);

pub(super) fn commit_error(error: ChainError) -> CommitError {
    match error {
        ChainError::NotNext { .. } | ChainError::UnknownBlock { .. } => CommitError::Stale,
        error if error.fault() == Fault::Peer => CommitError::Invalid(error.to_string()),
        error => CommitError::Internal(error.to_string()),
    }
}

#[async_trait]
impl heddle_sync::Chain for SyncChain {
    fn head(&self) -> Height {
        self.0.head().height()
    }

    fn validators(&self, height: Height) -> Result<Arc<ValidatorSet>, CommitError> {
        self.0.validators(height).map_err(commit_error)
    }

    async fn commit(&self, block: CertifiedBlock) -> Result<(), CommitError> {
        let chain = self.0.clone();
        let result = tokio::task::spawn_blocking(move || chain.commit(&block)).await;
        result.map_err(|error| CommitError::Internal(error.to_string()))?.map(drop).map_err(commit_error)
    }
}

impl BlockSource for SyncChain {
    fn status(&self) -> Status {
        let head = self.0.head();
        Status { height: head.height(), hash: head.hash(), earliest: Height::GENESIS.next() }
    }

    fn finalized_block(&self, height: Height) -> Result<Option<FinalizedBlock>, String> {
        self.0.finalized_block(height.as_u64()).map_err(|error| error.to_string())
    }
}

/// The network as sync sees it.
pub struct NetworkPeers(pub NetworkHandle);

fn network_peer(peer: &PeerId) -> Option<heddle_network::PeerId> {
    heddle_network::PeerId::from_bytes(peer.as_bytes()).ok()
}

#[async_trait]
impl Peers for NetworkPeers {
    fn list(&self) -> Vec<PeerId> {
        self.0.peers().iter().map(|peer| PeerId::new(peer.peer_id.to_bytes())).collect()
    }

    async fn request(&self, peer: &PeerId, request: Request) -> Result<Response, RequestError> {
        let peer = network_peer(peer).ok_or_else(|| RequestError("not a peer id of this network".to_owned()))?;
        self.0.request(peer, request).await.map_err(|error| RequestError(error.to_string()))
    }

    fn report(&self, peer: &PeerId, fault: PeerFault) {
        debug!(%peer, %fault, "peer reported by sync");
        let misbehaviour = match fault {
            PeerFault::WrongAnswer | PeerFault::WrongAccessList(..) => Misbehaviour::InvalidResponse,
            PeerFault::BrokenPromise => Misbehaviour::Unresponsive,
            PeerFault::InvalidBlock(_) | PeerFault::State(_) => Misbehaviour::InvalidBlock,
        };
        if let Some(peer) = network_peer(peer) {
            self.0.report(peer, misbehaviour);
        }
    }
}

/// Answers the requests of peers.
pub struct PeerServer {
    /// Headers, blocks and what belongs to them.
    pub blocks: SyncServer,
    /// States.
    pub states: SnapshotServer,
}

#[async_trait]
impl RequestServer for PeerServer {
    async fn serve(&self, peer: heddle_network::PeerId, request: Request) -> Option<Response> {
        let answer = match request.kind() {
            RequestKind::Snapshots
            | RequestKind::Accounts
            | RequestKind::Storage
            | RequestKind::Code
            | RequestKind::RangeProof => self.states.answer(request).await,
            _ => self.blocks.answer(request).await,
        };
        match answer {
            Ok(response) => Some(response),
            Err(error) => {
                warn!(%peer, %error, "request not answered");
                None
            }
        }
    }
}
