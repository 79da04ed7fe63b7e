//! Sync commits through the chain and asks through the network; peers are answered from the chain.

use async_trait::async_trait;
use heddle_chain::{BackfillError, Chain, ChainError, Fault, RecoveredCertifiedBlock};
use heddle_network::{BlockShelf, Misbehaviour, NetworkHandle, RequestServer};
use heddle_primitives::{
    CertifiedBlock, CertifiedHeader, Epoch, EpochStep, FinalizedBlock, Height, LightClient, Receipt, Request,
    RequestKind, Response, Status,
};
use heddle_sync::{
    BlockSource, CommitError, ImportError, PeerFault, PeerId, Peers, RequestError, ServeError, SnapshotServer,
    SyncServer,
};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use std::sync::Arc;
use tracing::{debug, warn};

/// The chain as sync sees it, and as it is served to others.
#[derive(Clone)]
pub struct SyncChain {
    chain: Chain,
    /// Recovers senders ahead of the import, which must not queue behind it on its own threads.
    ahead: Arc<ThreadPool>,
}

impl SyncChain {
    /// Starts the threads that work ahead of the import, as many as execute.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new(chain: Chain) -> Result<Self, ThreadPoolBuildError> {
        let threads = ThreadPoolBuilder::new().num_threads(rayon::current_num_threads());
        let ahead = threads.thread_name(|index| format!("ahead-{index}")).build()?;
        Ok(Self { chain, ahead: Arc::new(ahead) })
    }
}

pub(super) fn commit_error(error: ChainError) -> CommitError {
    match error {
        ChainError::NotNext { .. } | ChainError::UnknownBlock { .. } | ChainError::AbsentBlock { .. } => {
            CommitError::Stale
        }
        ChainError::Backfill(BackfillError::MembersMissing(_)) => CommitError::Stale,
        error if error.fault() == Fault::Peer => CommitError::Invalid(error.to_string()),
        error => CommitError::Internal(error.to_string()),
    }
}

/// Commits blocks in a row, each executed while the one before is written; returns when all are durable.
fn import(chain: &Chain, blocks: Vec<RecoveredCertifiedBlock>) -> Result<(), ImportError> {
    let mut height = chain.head().height();
    let failed = |height, error| ImportError { height, error: commit_error(error) };
    let mut importer = chain.importer().map_err(|error| failed(height, error))?;
    for block in blocks {
        height = Height::new(block.certified().proposed().block.header.number);
        if let Err(error) = importer.commit_recovered(block) {
            // What is in flight is written, whatever was wrong with this one; when that fails, it is the worse news.
            let error = importer.finish().err().unwrap_or(error);
            return Err(failed(height, error));
        }
    }
    importer.finish().map(drop).map_err(|error| failed(height, error))
}

#[async_trait]
impl heddle_sync::Chain for SyncChain {
    type Ready = RecoveredCertifiedBlock;

    fn head(&self) -> Height {
        self.chain.head().height()
    }

    fn light_client(&self) -> Result<LightClient, String> {
        self.chain.light_client_at_head().ok_or_else(|| "the genesis has no heddle section".to_owned())
    }

    fn prepare(&self, blocks: Vec<CertifiedBlock>) -> (Vec<RecoveredCertifiedBlock>, Option<String>) {
        let recover = |block: CertifiedBlock| {
            let number = block.proposed().block.header.number;
            self.chain.recover_ahead(block).map_err(|error| format!("block {number}: {error}"))
        };
        let recovered: Vec<_> = self.ahead.install(|| blocks.into_par_iter().map(recover).collect());
        let mut ready = Vec::with_capacity(recovered.len());
        for block in recovered {
            match block {
                Ok(block) => ready.push(block),
                Err(reason) => return (ready, Some(reason)),
            }
        }
        (ready, None)
    }

    async fn import(&self, blocks: Vec<RecoveredCertifiedBlock>) -> Result<(), ImportError> {
        let (chain, height) = (self.chain.clone(), self.head());
        let result = tokio::task::spawn_blocking(move || import(&chain, blocks)).await;
        result.map_err(|error| ImportError { height, error: CommitError::Internal(error.to_string()) })?
    }
}

fn words<T>(result: Result<T, ChainError>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

impl BlockSource for SyncChain {
    fn status(&self) -> Status {
        let head = self.chain.head();
        Status {
            height: head.height(),
            hash: head.hash(),
            // While a state is adopted the blocks begin behind the head already.
            earliest: Height::new(self.chain.blocks_from()).max(Height::GENESIS.next()).min(head.height().next()),
        }
    }

    fn finalized_block(&self, height: Height) -> Result<Option<FinalizedBlock>, String> {
        words(self.chain.finalized_block(height.as_u64()))
    }

    fn certified_header(&self, height: Height) -> Result<Option<CertifiedHeader>, String> {
        words(self.chain.certified_header(height))
    }

    fn receipts(&self, height: Height) -> Result<Option<Vec<Receipt>>, String> {
        words(self.chain.receipts(height.as_u64()))
    }

    fn epoch_step(&self, epoch: Epoch) -> Result<Option<EpochStep>, String> {
        words(self.chain.epoch_step(epoch))
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
        let Some(peer) = network_peer(peer) else { return };
        let misbehaviour = match fault {
            PeerFault::WrongAnswer | PeerFault::WrongAccessList(..) => Misbehaviour::InvalidResponse,
            PeerFault::BrokenPromise => Misbehaviour::Unresponsive,
            PeerFault::InvalidHeader(_) | PeerFault::InvalidBlock(_) | PeerFault::State(_) => {
                Misbehaviour::InvalidBlock
            }
        };
        // This one bans at once: an operator should read why.
        if misbehaviour == Misbehaviour::InvalidBlock {
            warn!(%peer, %fault, "a peer is to be banned");
        } else {
            debug!(%peer, %fault, "peer reported by sync");
        }
        self.0.report(peer, misbehaviour);
    }
}

/// Answers the requests of peers.
pub struct PeerServer {
    /// Headers, blocks and what belongs to them.
    pub blocks: SyncServer,
    /// States.
    pub states: SnapshotServer,
    /// What blocks that are being decided hold.
    pub shelf: BlockShelf,
}

#[async_trait]
impl RequestServer for PeerServer {
    async fn serve(&self, peer: heddle_network::PeerId, request: Request) -> Option<Response> {
        let answer = match request.kind() {
            RequestKind::Snapshots
            | RequestKind::Accounts
            | RequestKind::Storage
            | RequestKind::Code
            | RequestKind::RangeProof => self.states.answer(&PeerId::new(peer.to_bytes()), request).await,
            RequestKind::BlockTransactions | RequestKind::BlockPieces => Ok(self.shelf.serve(&request).await),
            _ => self.blocks.answer(request).await,
        };
        match answer {
            Ok(response) => Some(response),
            Err(error @ ServeError::Count { .. }) => {
                debug!(%peer, %error, "request not answered");
                None
            }
            Err(error) => {
                warn!(%peer, %error, "request not answered");
                None
            }
        }
    }
}
