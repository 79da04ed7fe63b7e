//! What peers may have of blocks that are being decided, or were a moment ago.

use super::erasure::Pieces;
use alloy_primitives::B256;
use alloy_rlp::Encodable;
use heddle_primitives::{
    BlockPiecesRequest, BlockTransactionsRequest, CompactBlock, Piece, PieceCommitment, ProposedBlock, Refusal,
    Request, Response, Transaction,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

/// Blocks kept: whoever has the right to propose small ones does not push a block out that others still ask for.
const BLOCKS_MAX: usize = 16;
/// Bytes of blocks kept, without their pieces, which are half as much again. Who needs an older one fetches it from the chain.
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// Blocks on their way that others may wait for.
const EXPECTED_MAX: usize = 16;
/// How long a peer's question waits for what is on its way to us.
const WAIT: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct Shelved {
    hash: B256,
    block: Arc<ProposedBlock>,
    bytes: usize,
    pieces: OnceLock<Option<Pieces>>,
}

impl Shelved {
    fn transactions(&self) -> &Vec<Transaction> {
        &self.block.block.body.transactions
    }

    /// Its pieces, where it is large. The first call takes milliseconds.
    fn pieces(&self) -> Option<&Pieces> {
        self.pieces.get_or_init(|| Pieces::of(self.transactions())).as_ref()
    }
}

/// A block on its way, and the pieces of it that are here.
#[derive(Debug, Default)]
struct Expected {
    hash: B256,
    pieces: Option<(PieceCommitment, BTreeMap<usize, Piece>)>,
}

#[derive(Debug, Default)]
struct Contents {
    blocks: VecDeque<Arc<Shelved>>,
    expected: VecDeque<Expected>,
}

impl Contents {
    /// Lets the oldest blocks go, but never the newest.
    fn shrink(&mut self) {
        let mut bytes: usize = self.blocks.iter().map(|shelved| shelved.bytes).sum();
        while self.blocks.len() > 1 && (self.blocks.len() > BLOCKS_MAX || bytes > BYTES_MAX) {
            bytes -= self.blocks.pop_front().map_or(0, |oldest| oldest.bytes);
        }
    }
}

/// Serves the last blocks, and pieces of those on their way. Clones share what they hold.
#[derive(Clone, Debug)]
pub struct BlockShelf {
    contents: Arc<Mutex<Contents>>,
    changes: Arc<watch::Sender<()>>,
}

impl Default for BlockShelf {
    fn default() -> Self {
        Self { contents: Arc::default(), changes: Arc::new(watch::channel(()).0) }
    }
}

impl BlockShelf {
    /// Serves a block from now on, until enough others have come: at least three, whatever their size.
    pub fn offer(&self, block: Arc<ProposedBlock>) {
        self.put(block);
    }

    /// The compact form of a block that is served from now on: with its transactions where their RLP is at most
    /// `whole_bytes_max`, and a commitment to its pieces where it is large. Always the same bytes for the same block.
    pub async fn compact(&self, block: Arc<ProposedBlock>, whole_bytes_max: usize) -> CompactBlock {
        let shelved = self.put(block);
        blocking(move || {
            let pieces = shelved.pieces().map(Pieces::commitment);
            CompactBlock::of(&shelved.block, whole_bytes_max, pieces)
        })
        .await
    }

    /// A block that is served.
    pub fn get(&self, hash: B256) -> Option<Arc<ProposedBlock>> {
        self.find(hash).map(|shelved| shelved.block.clone())
    }

    /// Answers a request for transactions or pieces; others are refused. Waits a moment for what is on its way here; what is
    /// here is sent however long it takes to prepare.
    pub async fn serve(&self, request: &Request) -> Response {
        let mut changes = self.changes.subscribe();
        let patience = Instant::now() + WAIT;
        loop {
            if let Some(response) = self.answer(request).await {
                return response;
            }
            // Its sender lives as long as this shelf.
            if timeout_at(patience, changes.changed()).await.is_err() {
                break;
            }
        }
        match request {
            Request::BlockPieces(_) => Response::BlockPieces(Vec::new()),
            _ => Response::Refused(Refusal::Busy),
        }
    }

    /// The answer, if it is worth more than waiting.
    async fn answer(&self, request: &Request) -> Option<Response> {
        match request {
            Request::BlockTransactions(request) => match self.find(request.block_hash) {
                Some(shelved) => Some(Response::BlockTransactions(pick(shelved.transactions(), request))),
                None if self.is_expected(request.block_hash) => None,
                None => Some(Response::Refused(Refusal::Gone)),
            },
            Request::BlockPieces(request) => match self.find(request.block_hash) {
                Some(shelved) => {
                    let request = request.clone();
                    Some(blocking(move || shelved_pieces(&shelved, &request)).await)
                }
                None => self.expected_pieces(request),
            },
            _ => Some(Response::Refused(Refusal::Gone)),
        }
    }

    fn expected_pieces(&self, request: &BlockPiecesRequest) -> Option<Response> {
        let contents = self.contents.lock();
        let Some(expected) = contents.expected.iter().find(|expected| expected.hash == request.block_hash) else {
            return Some(Response::BlockPieces(Vec::new()));
        };
        let (_, held) = expected.pieces.as_ref().filter(|(commitment, _)| commitment.root == request.root)?;
        let pieces: Vec<_> = request.indices.iter().filter_map(|index| held.get(&index).cloned()).collect();
        (!pieces.is_empty()).then_some(Response::BlockPieces(pieces))
    }

    /// Says that a block is on its way: questions about it wait.
    pub(super) fn expect(&self, hash: B256) {
        let mut contents = self.contents.lock();
        if contents.expected.iter().all(|expected| expected.hash != hash) {
            if contents.expected.len() == EXPECTED_MAX {
                contents.expected.pop_front();
            }
            contents.expected.push_back(Expected { hash, pieces: None });
        }
    }

    /// Says that a block does not come.
    pub(super) fn give_up(&self, hash: B256) {
        self.contents.lock().expected.retain(|expected| expected.hash != hash);
    }

    /// Serves proven pieces of a block on its way.
    pub(super) fn hold(&self, hash: B256, commitment: PieceCommitment, pieces: Vec<Piece>) {
        let mut contents = self.contents.lock();
        if let Some(expected) = contents.expected.iter_mut().find(|expected| expected.hash == hash) {
            let (_, held) = expected.pieces.get_or_insert_with(|| (commitment, BTreeMap::new()));
            held.extend(pieces.into_iter().map(|piece| (usize::from(piece.index), piece)));
            self.changes.send_replace(());
        }
    }

    fn put(&self, block: Arc<ProposedBlock>) -> Arc<Shelved> {
        let (hash, bytes) = (block.hash(), block.block.length());
        let mut contents = self.contents.lock();
        let position = contents.blocks.iter().position(|shelved| shelved.hash == hash);
        if let Some(shelved) = position.and_then(|position| contents.blocks.remove(position)) {
            contents.blocks.push_back(shelved.clone());
            return shelved;
        }
        contents.expected.retain(|expected| expected.hash != hash);
        let shelved = Arc::new(Shelved { hash, block, bytes, pieces: OnceLock::new() });
        contents.blocks.push_back(shelved.clone());
        contents.shrink();
        self.changes.send_replace(());
        shelved
    }

    fn find(&self, hash: B256) -> Option<Arc<Shelved>> {
        self.contents.lock().blocks.iter().find(|shelved| shelved.hash == hash).cloned()
    }

    fn is_expected(&self, hash: B256) -> bool {
        self.contents.lock().expected.iter().any(|expected| expected.hash == hash)
    }
}

/// Runs what takes milliseconds off the async threads; a panic in it is a bug, and goes on.
pub(super) async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(call).await {
        Ok(value) => value,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down, and drops this task next.
        Err(_) => std::future::pending().await,
    }
}

fn pick(transactions: &[Transaction], request: &BlockTransactionsRequest) -> Vec<Transaction> {
    if request.indices.is_empty() {
        return transactions.to_vec();
    }
    request.indices.iter().filter_map(|index| transactions.get(index).cloned()).collect()
}

/// As many pieces as rebuild the block at most: more are of no use, and would not fit an answer.
fn shelved_pieces(shelved: &Shelved, request: &BlockPiecesRequest) -> Response {
    match shelved.pieces().filter(|pieces| pieces.commitment().root == request.root) {
        Some(pieces) => {
            let most = pieces.commitment().layout().data;
            let found = request.indices.iter().filter_map(|index| pieces.get(index)).take(most);
            Response::BlockPieces(found.collect())
        }
        None => Response::Refused(Refusal::Gone),
    }
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
