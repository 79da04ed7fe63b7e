//! The shell around assemblies: asks peers, tells time, and keeps their number small.

use super::assembly::{Assembly, Input, Output, PiecesAnswer, Source};
use super::metrics::PropagationMetrics;
use super::shelf::{BlockShelf, blocking};
use crate::{Misbehaviour, NetworkHandle, TransactionSource};
use alloy_primitives::B256;
use alloy_rlp::Encodable;
use futures::stream::{FuturesUnordered, StreamExt};
use heddle_primitives::{
    CompactBlock, CompactTransactions, ProposedBlock, Refusal, Request, Response, ShortIdKey, Transaction,
    TransactionIds,
};
use libp2p::PeerId;
use parking_lot::Mutex;
use std::{collections::VecDeque, sync::Arc, time::Instant};
use tokio::sync::{mpsc, watch};

/// Assemblies at once; a newer one takes the place of the oldest. Each holds a block and its pieces at most.
const ASSEMBLIES_MAX: usize = 16;
/// Announcements of one block that may wait to be taken in; one beyond is dropped, for other peers are known too.
const ANNOUNCEMENTS_QUEUE: usize = 16;

/// Why a compact block did not become a block. Nobody's fault that could be shown: a fault that can has been reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssemblyError {
    /// No peer gave what was missing in time.
    #[error("no peer gave the block's missing transactions")]
    Unavailable,
    /// Too many newer blocks were on their way.
    #[error("the block was given up for newer ones")]
    Displaced,
}

type Outcome = Result<Arc<ProposedBlock>, AssemblyError>;

/// What an assembly learns from others.
#[derive(Debug)]
enum Announcement {
    /// Somebody else sent the same block.
    By(PeerId),
    /// The block itself: another form of it gave it at once.
    Block(Arc<ProposedBlock>),
}

/// A running assembly, as others see it. When it leaves the list it ends.
#[derive(Debug)]
struct Running {
    hash: B256,
    announcements: mpsc::Sender<Announcement>,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// Makes blocks of compact blocks. Clones share everything.
#[derive(Clone)]
pub struct BlockRelay {
    shelf: BlockShelf,
    network: NetworkHandle,
    source: Arc<dyn TransactionSource>,
    metrics: PropagationMetrics,
    running: Arc<Mutex<VecDeque<Running>>>,
}

/// What ends with an assembly, however it ends. A newer one of the same block goes on.
struct Ending<'r> {
    relay: &'r BlockRelay,
    hash: B256,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut all = self.relay.running.lock();
        all.retain(|running| !running.outcome.same_channel(&self.outcome));
        if all.iter().all(|running| running.hash != self.hash) {
            self.relay.shelf.give_up(self.hash);
        }
    }
}

impl BlockRelay {
    /// Fills blocks from `source` and from peers, and puts them on `shelf`.
    pub fn new(
        shelf: BlockShelf,
        network: NetworkHandle,
        source: Arc<dyn TransactionSource>,
        metrics: PropagationMetrics,
    ) -> Self {
        Self { shelf, network, source, metrics, running: Arc::default() }
    }

    /// What is served to peers.
    pub fn shelf(&self) -> &BlockShelf {
        &self.shelf
    }

    /// Makes a block of a compact block that [`CompactBlock::check`] found sound, with transactions that its header binds;
    /// hints are the sender's. `from` sent it and is asked first. Several calls for one block share the work, and each
    /// form of it is held against the pool: names that lie do not keep out those that do not.
    ///
    /// # Errors
    /// See [`AssemblyError`]; within ten seconds.
    pub async fn assemble(&self, from: PeerId, block: CompactBlock) -> Result<Arc<ProposedBlock>, AssemblyError> {
        let hash = block.hash();
        if let Some(block) = self.shelf.get(hash) {
            return Ok(block);
        }
        let Some((announcements, outcome)) = self.begin(hash, from) else { return self.join(hash, block).await };
        let _ending = Ending { relay: self, hash, outcome: outcome.subscribe() };
        let result = self.run(from, block, announcements).await;
        if result.is_err() {
            self.metrics.count_failed();
        }
        outcome.send_replace(Some(result.clone()));
        result
    }

    /// Enters a new assembly; `None` when there is one of this block already, which is told of the announcement.
    fn begin(
        &self,
        hash: B256,
        from: PeerId,
    ) -> Option<(mpsc::Receiver<Announcement>, watch::Sender<Option<Outcome>>)> {
        let mut all = self.running.lock();
        if let Some(running) = all.iter().find(|running| running.hash == hash) {
            let _ = running.announcements.try_send(Announcement::By(from));
            return None;
        }
        if all.len() == ASSEMBLIES_MAX {
            all.pop_front();
        }
        let (announcements, announced) = mpsc::channel(ANNOUNCEMENTS_QUEUE);
        let (outcome_sender, outcome) = watch::channel(None);
        all.push_back(Running { hash, announcements, outcome });
        self.shelf.expect(hash);
        Some((announced, outcome_sender))
    }

    /// Waits for what another call assembles, which ends at once if this form gives the block.
    async fn join(&self, hash: B256, block: CompactBlock) -> Outcome {
        if let Some(block) = self.fill_here(block).await {
            self.shelf.offer(block.clone());
            let all = self.running.lock();
            if let Some(running) = all.iter().find(|running| running.hash == hash) {
                let _ = running.announcements.try_send(Announcement::Block(block.clone()));
            }
            return Ok(block);
        }
        let outcome = self.running.lock().iter().find(|running| running.hash == hash).map(|r| r.outcome.clone());
        let ended = match outcome {
            Some(mut outcome) => outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone()),
            None => None,
        };
        // It may have ended just now, or with the call that ran it.
        ended.or_else(|| self.shelf.get(hash).map(Ok)).unwrap_or(Err(AssemblyError::Displaced))
    }

    /// The block, if all of it came along or is in the pool.
    async fn fill_here(&self, block: CompactBlock) -> Option<Arc<ProposedBlock>> {
        let source = self.source.clone();
        blocking(move || {
            let transactions = match &block.transactions {
                CompactTransactions::Whole(transactions) => transactions.clone(),
                CompactTransactions::Ids(TransactionIds { ids, .. }) => {
                    let found = source.find(&ShortIdKey::of_block(block.hash()), ids);
                    found.into_iter().collect::<Option<Vec<_>>>()?
                }
            };
            block.check_transactions(&transactions).ok()?;
            Some(Arc::new(block.with_transactions(transactions)))
        })
        .await
    }

    async fn run(&self, from: PeerId, block: CompactBlock, mut announcements: mpsc::Receiver<Announcement>) -> Outcome {
        let (hash, started) = (block.hash(), Instant::now());
        let (mut assembly, mut outputs) = self.start(from, block).await;
        let mut requests = FuturesUnordered::new();
        loop {
            for output in outputs {
                match output {
                    Output::Ask(peer, request) => requests.push(ask(&self.network, peer, request)),
                    Output::Hold(commitment, pieces) => self.shelf.hold(hash, commitment, pieces),
                    Output::Blame(peer) => self.network.report(peer, Misbehaviour::InvalidResponse),
                    Output::Assembled(block, source) => {
                        self.metrics.count_assembled(source, started.elapsed());
                        self.shelf.offer(block.clone());
                        return Ok(block);
                    }
                    Output::Failed => return Err(AssemblyError::Unavailable),
                }
            }
            let input = tokio::select! {
                Some(answer) = requests.next() => answer,
                announced = announcements.recv() => match announced {
                    Some(Announcement::By(peer)) => Input::Announced(peer),
                    Some(Announcement::Block(block)) => {
                        self.metrics.count_assembled(Source::Pool, started.elapsed());
                        return Ok(block);
                    }
                    None => return Err(AssemblyError::Displaced),
                },
                () = tokio::time::sleep_until(assembly.next_due().into()) => Input::Tick(self.peers()),
            };
            (assembly, outputs) = blocking(move || {
                let outputs = assembly.handle(input, Instant::now());
                (assembly, outputs)
            })
            .await;
        }
    }

    async fn start(&self, from: PeerId, block: CompactBlock) -> (Assembly, Vec<Output>) {
        let mut peers = self.peers();
        peers.retain(|peer| *peer != from);
        peers.insert(0, from);
        let (own, source, metrics) = (self.network.local_peer_id(), self.source.clone(), self.metrics.clone());
        blocking(move || {
            let slots = match &block.transactions {
                CompactTransactions::Ids(TransactionIds { ids, .. }) => {
                    let slots = source.find(&ShortIdKey::of_block(block.hash()), ids);
                    let found = slots.iter().flatten();
                    metrics.count_filled(
                        ids.len().saturating_sub(found.clone().count()),
                        found.map(Transaction::length).sum(),
                    );
                    slots
                }
                CompactTransactions::Whole(_) => Vec::new(),
            };
            Assembly::start(Arc::new(block), own, slots, peers, Instant::now())
        })
        .await
    }

    /// The ready peers, beginning after ourselves in the order of ids, so that not all nodes ask the same one first.
    fn peers(&self) -> Vec<PeerId> {
        let own = self.network.local_peer_id();
        let mut peers: Vec<_> = self.network.peers().iter().map(|peer| peer.peer_id).collect();
        let after = peers.partition_point(|peer| *peer < own);
        peers.rotate_left(after);
        peers
    }
}

/// Asks one peer; whatever is no answer counts as none.
async fn ask(network: &NetworkHandle, peer: PeerId, request: Request) -> Input {
    let answer = network.request(peer, request.clone()).await;
    match (request, answer) {
        (Request::BlockPieces(_), Ok(Response::BlockPieces(pieces))) => Input::Pieces(peer, PiecesAnswer::Some(pieces)),
        (Request::BlockPieces(_), Ok(Response::Refused(Refusal::Gone))) => Input::Pieces(peer, PiecesAnswer::Denied),
        (Request::BlockPieces(_), _) => Input::Pieces(peer, PiecesAnswer::Some(Vec::new())),
        (Request::BlockTransactions(asked), Ok(Response::BlockTransactions(transactions))) => {
            Input::Transactions(peer, asked.indices, Some(transactions))
        }
        (Request::BlockTransactions(asked), _) => Input::Transactions(peer, asked.indices, None),
        // Assemblies ask for nothing else.
        _ => Input::Announced(peer),
    }
}
