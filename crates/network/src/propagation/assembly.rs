//! The pure core: from a compact block to the block, whoever lies.
//!
//! ```text
//!   whole, or all in the pool ------------------------------------------------+
//!   some missing --> ask the announcer, then others, for those that lack -----+--> the header's root? --> block
//!   most of a large block missing --> pieces, of several peers at once -------+          | no
//!                                                                                        v
//!                                         ask one peer after the other for all transactions: each answer is held
//!                                         against the root, and a wrong one is its sender's fault
//! ```

use super::asking::Asking;
use super::erasure::rebuild;
use super::gathering::{Gathered, Gathering};
use alloy_primitives::{B256, TxHash};
use heddle_primitives::{
    BlockPiecesRequest, BlockTransactionsRequest, CompactBlock, CompactTransactions, IndexSet, Piece, PieceCommitment,
    ProposedBlock, Request, ShortId, ShortIdKey, Transaction, TransactionIds,
};
use libp2p::PeerId;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a block is asked for. Consensus has gone on to another one by then, or sync fetches it.
pub(crate) const LIFETIME: Duration = Duration::from_secs(10);

/// How a block came together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// Nothing was missing.
    Pool,
    /// One answer filled what was missing.
    Request,
    /// Pieces did.
    Pieces,
    /// All transactions were asked for: names or pieces were wrong.
    Whole,
}

/// What happens to an assembly.
#[derive(Debug)]
pub(crate) enum Input {
    /// Time passed; these peers are ready.
    Tick(Vec<PeerId>),
    /// Somebody else sent the same block.
    Announced(PeerId),
    /// A peer answered a request for these indices, none being all; `None` when it did not.
    Transactions(PeerId, IndexSet, Option<Vec<Transaction>>),
    /// A peer answered a request for pieces.
    Pieces(PeerId, PiecesAnswer),
}

/// What a peer says when it is asked for pieces.
#[derive(Debug)]
pub(crate) enum PiecesAnswer {
    /// These; maybe none, or no answer at all.
    Some(Vec<Piece>),
    /// That the block has no such pieces.
    Denied,
}

/// What an assembly wants done.
#[derive(Debug)]
pub(crate) enum Output {
    /// Ask this peer.
    Ask(PeerId, Request),
    /// These pieces are proven, and others may have them.
    Hold(PieceCommitment, Vec<Piece>),
    /// This peer lied, which is certain.
    Blame(PeerId),
    /// The block; the last output.
    Assembled(Arc<ProposedBlock>, Source),
    /// Nobody gave what is missing; the last output.
    Failed,
}

#[derive(Debug)]
enum Stage {
    Missing(IndexSet, Asking),
    Pieces(Gathering),
    Whole(Asking),
    Over,
}

/// An answer that did not fit, to be held against the block.
#[derive(Debug)]
struct Suspect {
    peer: PeerId,
    indices: IndexSet,
    answer: Vec<TxHash>,
}

/// One block on its way.
#[derive(Debug)]
pub(crate) struct Assembly {
    block: Arc<CompactBlock>,
    hash: B256,
    own: PeerId,
    /// Whom to ask, whoever announced the block first.
    peers: Vec<PeerId>,
    slots: Vec<Option<Transaction>>,
    stage: Stage,
    suspect: Option<Suspect>,
    ends: Instant,
}

impl Assembly {
    /// Begins with what the pool has of the block, one slot an id, none when all are with it. `peers` are those ready, the
    /// one that announced it first.
    pub(crate) fn start(
        block: Arc<CompactBlock>,
        own: PeerId,
        slots: Vec<Option<Transaction>>,
        peers: Vec<PeerId>,
        now: Instant,
    ) -> (Self, Vec<Output>) {
        let hash = block.hash();
        let ends = now + LIFETIME;
        let mut assembly = Self { block, hash, own, peers, slots, stage: Stage::Over, suspect: None, ends };
        let outputs = assembly.begin(now);
        (assembly, outputs)
    }

    fn begin(&mut self, now: Instant) -> Vec<Output> {
        let block = self.block.clone();
        let TransactionIds { ids, pieces } = match &block.transactions {
            CompactTransactions::Whole(transactions) => {
                return self.try_finish(transactions.clone(), Source::Pool).unwrap_or_else(|| self.ask_for_all(now));
            }
            CompactTransactions::Ids(ids) => ids,
        };
        self.slots.resize(ids.len(), None);
        let missing: IndexSet =
            (0..).zip(&self.slots).filter(|(_, slot)| slot.is_none()).map(|(index, _)| index).collect();
        if missing.is_empty() {
            let transactions = self.slots.iter().flatten().cloned().collect();
            return self.try_finish(transactions, Source::Pool).unwrap_or_else(|| self.ask_for_all(now));
        }
        self.stage = match pieces {
            Some(commitment) if missing.len() * 2 >= ids.len() => {
                Stage::Pieces(Gathering::new(self.hash, self.own, *commitment, now))
            }
            _ => Stage::Missing(missing, Asking::new(self.peers.clone(), now)),
        };
        self.ask(now)
    }

    /// Takes one input in.
    pub(crate) fn handle(&mut self, input: Input, now: Instant) -> Vec<Output> {
        match input {
            Input::Tick(peers) => {
                peers.into_iter().for_each(|peer| self.add(peer));
                if now >= self.ends && !matches!(self.stage, Stage::Over) {
                    self.stage = Stage::Over;
                    return vec![Output::Failed];
                }
                self.ask(now)
            }
            Input::Announced(peer) => {
                self.add(peer);
                Vec::new()
            }
            Input::Transactions(peer, indices, answer) => self.on_transactions(peer, indices, answer, now),
            Input::Pieces(peer, answer) => self.on_pieces(peer, answer, now),
        }
    }

    /// When to be told that time passed, at the latest.
    pub(crate) fn next_due(&self) -> Instant {
        let due = match &self.stage {
            Stage::Missing(_, asking) | Stage::Whole(asking) => asking.next_due(),
            Stage::Pieces(gathering) => gathering.next_due(),
            Stage::Over => self.ends,
        };
        due.min(self.ends)
    }

    fn add(&mut self, peer: PeerId) {
        if self.peers.contains(&peer) {
            return;
        }
        self.peers.push(peer);
        if let Stage::Missing(_, asking) | Stage::Whole(asking) = &mut self.stage {
            asking.add([peer]);
        }
    }

    /// Asks whoever is to be asked by now.
    fn ask(&mut self, now: Instant) -> Vec<Output> {
        let block_hash = self.hash;
        match &mut self.stage {
            Stage::Missing(indices, asking) => {
                let ask = |peer| Output::Ask(peer, transactions_request(block_hash, indices.clone()));
                asking.due(now).into_iter().map(ask).collect()
            }
            Stage::Whole(asking) => {
                let ask = |peer| Output::Ask(peer, transactions_request(block_hash, IndexSet::default()));
                asking.due(now).into_iter().map(ask).collect()
            }
            Stage::Pieces(gathering) if gathering.is_hopeless(&self.peers, now) => self.ask_for_all(now),
            Stage::Pieces(gathering) => {
                let root = gathering.commitment().root;
                let request = |indices| Request::BlockPieces(BlockPiecesRequest { block_hash, root, indices });
                let asked = gathering.ask(&self.peers, now);
                asked.into_iter().map(|(peer, indices)| Output::Ask(peer, request(indices))).collect()
            }
            Stage::Over => Vec::new(),
        }
    }

    fn on_transactions(
        &mut self,
        peer: PeerId,
        asked: IndexSet,
        answer: Option<Vec<Transaction>>,
        now: Instant,
    ) -> Vec<Output> {
        let block_hash = self.hash;
        match (&mut self.stage, answer) {
            // Of an earlier stage: what it holds is no longer needed.
            (Stage::Missing(indices, _), _) if *indices != asked => Vec::new(),
            (Stage::Whole(_), _) if !asked.is_empty() => Vec::new(),
            (Stage::Missing(_, asking) | Stage::Whole(asking), None) => {
                let next = asking.failed(peer);
                next.map(|next| Output::Ask(next, transactions_request(block_hash, asked))).into_iter().collect()
            }
            (Stage::Missing(..), Some(transactions)) => self.on_missing(peer, asked, transactions, now),
            (Stage::Whole(_), Some(transactions)) => self.on_whole(peer, transactions),
            (Stage::Pieces(_) | Stage::Over, _) => Vec::new(),
        }
    }

    /// What did not fit is the fault of whoever named the transactions or of whoever answered: the block will tell.
    fn on_missing(&mut self, peer: PeerId, indices: IndexSet, answer: Vec<Transaction>, now: Instant) -> Vec<Output> {
        let hashes = answer.iter().map(|transaction| *transaction.tx_hash()).collect();
        if self.fits(&indices, &answer) {
            let mut answer = answer.into_iter();
            let fill = |slot: &Option<Transaction>| slot.clone().or_else(|| answer.next());
            let transactions = self.slots.iter().filter_map(fill).collect();
            if let Some(outputs) = self.try_finish(transactions, Source::Request) {
                return outputs;
            }
        }
        self.suspect = Some(Suspect { peer, indices, answer: hashes });
        // Others first: this one has had its chance.
        self.peers.retain(|other| *other != peer);
        self.peers.push(peer);
        self.ask_for_all(now)
    }

    /// Whether an answer is one transaction an index, each with the name that it has.
    fn fits(&self, indices: &IndexSet, answer: &[Transaction]) -> bool {
        let CompactTransactions::Ids(TransactionIds { ids, .. }) = &self.block.transactions else { return false };
        let key = ShortIdKey::of_block(self.hash);
        let named: Vec<_> = indices.iter().filter_map(|index| ids.get(index)).collect();
        let is_named = |(id, transaction): (&&ShortId, &Transaction)| **id == key.short_id(transaction.tx_hash());
        named.len() == answer.len() && named.iter().zip(answer).all(is_named)
    }

    fn on_whole(&mut self, peer: PeerId, transactions: Vec<Transaction>) -> Vec<Output> {
        if let Some(outputs) = self.try_finish(transactions, Source::Whole) {
            return outputs;
        }
        let Stage::Whole(asking) = &mut self.stage else { return Vec::new() };
        let next = asking.lied(peer);
        let ask = next.map(|next| Output::Ask(next, transactions_request(self.hash, IndexSet::default())));
        std::iter::once(Output::Blame(peer)).chain(ask).collect()
    }

    fn on_pieces(&mut self, peer: PeerId, answer: PiecesAnswer, now: Instant) -> Vec<Output> {
        let Stage::Pieces(gathering) = &mut self.stage else { return Vec::new() };
        let mut outputs = Vec::new();
        match answer {
            PiecesAnswer::Denied => gathering.denied(peer),
            PiecesAnswer::Some(pieces) => match gathering.answered(peer, pieces, now) {
                Gathered::Lie => outputs.push(Output::Blame(peer)),
                Gathered::New(pieces) if pieces.is_empty() => {}
                Gathered::New(pieces) => outputs.push(Output::Hold(gathering.commitment(), pieces)),
            },
        }
        if gathering.is_complete() {
            let transactions = rebuild(&gathering.commitment(), gathering.shards());
            let finished = transactions.and_then(|transactions| self.try_finish(transactions, Source::Pieces));
            outputs.extend(finished.unwrap_or_else(|| self.ask_for_all(now)));
        } else {
            outputs.extend(self.ask(now));
        }
        outputs
    }

    fn ask_for_all(&mut self, now: Instant) -> Vec<Output> {
        self.stage = Stage::Whole(Asking::new(self.peers.clone(), now));
        self.ask(now)
    }

    /// Ends with these transactions if they are the block's.
    fn try_finish(&mut self, transactions: Vec<Transaction>, source: Source) -> Option<Vec<Output>> {
        self.block.check_transactions(&transactions).ok()?;
        let blame = self.suspect.take().filter(|suspect| suspect.has_lied(&transactions));
        self.stage = Stage::Over;
        let block = Arc::new(self.block.with_transactions(transactions));
        let blame = blame.map(|suspect| Output::Blame(suspect.peer));
        Some(blame.into_iter().chain([Output::Assembled(block, source)]).collect())
    }
}

impl Suspect {
    /// Whether the block does not hold at these indices what was answered.
    fn has_lied(&self, transactions: &[Transaction]) -> bool {
        let right = self.indices.iter().filter_map(|index| transactions.get(index));
        !right.map(|transaction| transaction.tx_hash()).eq(&self.answer)
    }
}

fn transactions_request(block_hash: B256, indices: IndexSet) -> Request {
    Request::BlockTransactions(BlockTransactionsRequest { block_hash, indices })
}

#[cfg(test)]
#[path = "assembly_tests.rs"]
mod tests;
