//! Pieces from several peers at once.

use super::asking::PATIENCE;
use alloy_primitives::{B256, Bytes};
use heddle_primitives::{IndexSet, Piece, PieceCommitment};
use libp2p::PeerId;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// Most peers that are asked at once.
const SOURCES_MAX: usize = 8;
/// For so many times [`PATIENCE`] no piece may come before the transactions are asked for instead.
const STALLED: u32 = 3;

/// What came of a peer's answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Gathered {
    /// These are new.
    New(Vec<Piece>),
    /// One of them is none: its sender lies.
    Lie,
}

/// What is held, and whom the rest was asked of. The peer that announced the block is asked for the part that belongs to us,
/// each other peer for the part that belongs to it: so the first pieces that neighbours get are different ones, and they are
/// asked for what they get first.
#[derive(Debug)]
pub(crate) struct Gathering {
    hash: B256,
    own: PeerId,
    commitment: PieceCommitment,
    shards: BTreeMap<usize, Bytes>,
    /// Requests that are not answered, with their time.
    open: BTreeMap<PeerId, (Instant, IndexSet)>,
    /// Who said that these are not the block's pieces, or lied.
    denied: BTreeSet<PeerId>,
    /// Who had nothing new, and until when it is not asked again.
    resting: BTreeMap<PeerId, Instant>,
    /// Who gave something last.
    useful: Vec<PeerId>,
    progress: Instant,
    due: Instant,
}

impl Gathering {
    /// Nothing yet of the block with this hash.
    pub(crate) fn new(hash: B256, own: PeerId, commitment: PieceCommitment, now: Instant) -> Self {
        Self {
            hash,
            own,
            commitment,
            shards: BTreeMap::new(),
            open: BTreeMap::new(),
            denied: BTreeSet::new(),
            resting: BTreeMap::new(),
            useful: Vec::new(),
            progress: now,
            due: now,
        }
    }

    /// The commitment.
    pub(crate) fn commitment(&self) -> PieceCommitment {
        self.commitment
    }

    /// What is held.
    pub(crate) fn shards(&self) -> &BTreeMap<usize, Bytes> {
        &self.shards
    }

    /// Whether what is held is enough.
    pub(crate) fn is_complete(&self) -> bool {
        self.shards.len() >= self.commitment.layout().data
    }

    /// When to look again at the latest.
    pub(crate) fn next_due(&self) -> Instant {
        self.due
    }

    /// Whether pieces are not to be had: none came for long, or most peers know nothing of such pieces.
    pub(crate) fn is_hopeless(&self, peers: &[PeerId], now: Instant) -> bool {
        let denied = peers.iter().filter(|peer| self.denied.contains(peer)).count();
        denied * 2 > peers.len() || now >= self.progress + PATIENCE * STALLED
    }

    /// Whom to ask for which pieces now. The first of `peers` announced the block.
    pub(crate) fn ask(&mut self, peers: &[PeerId], now: Instant) -> Vec<(PeerId, IndexSet)> {
        self.due = now + PATIENCE;
        let is_open =
            |(asked, indices): &(Instant, IndexSet)| (now < *asked + PATIENCE).then(|| indices.iter().collect());
        let mut taken: BTreeSet<usize> = self.open.values().filter_map(is_open).flat_map(|open: Vec<_>| open).collect();
        taken.extend(self.shards.keys());
        let mut wanted = self.commitment.layout().data.saturating_sub(taken.len());
        self.resting.retain(|_, until| *until > now);
        let is_busy = |peer: &PeerId| self.open.contains_key(peer) || self.resting.contains_key(peer);
        let free = |peer: &&PeerId| !is_busy(peer) && !self.denied.contains(*peer);
        let useful = self.useful.iter().filter(|peer| peers.contains(peer));
        let others = peers.iter().filter(|peer| !self.useful.contains(peer));
        let sources: Vec<PeerId> = useful.chain(others).filter(free).take(SOURCES_MAX).copied().collect();
        let mut requests = Vec::new();
        for (position, peer) in sources.iter().enumerate() {
            let share = wanted.div_ceil(sources.len() - position);
            let part_of = if peers.first() == Some(peer) { &self.own } else { peer };
            let indices: Vec<usize> = self.part(part_of).filter(|index| !taken.contains(index)).take(share).collect();
            wanted -= indices.len();
            taken.extend(&indices);
            if !indices.is_empty() {
                let indices: IndexSet = indices.into_iter().collect();
                self.open.insert(*peer, (now, indices.clone()));
                requests.push((*peer, indices));
            }
        }
        requests
    }

    /// Every index, beginning with the part that belongs to a peer.
    fn part(&self, peer: &PeerId) -> impl Iterator<Item = usize> + use<> {
        let pieces = self.commitment.layout().pieces();
        let digest = Sha256::new().chain_update(self.hash).chain_update(peer.to_bytes()).finalize();
        let first = digest.iter().take(4).fold(0usize, |number, byte| number << 8 | usize::from(*byte)) % pieces;
        (first..pieces).chain(0..first)
    }

    /// A peer says that these are not the block's pieces.
    pub(crate) fn denied(&mut self, peer: PeerId) {
        self.open.remove(&peer);
        self.denied.insert(peer);
    }

    /// Takes in what a peer answered: nothing where it did not.
    pub(crate) fn answered(&mut self, peer: PeerId, pieces: Vec<Piece>, now: Instant) -> Gathered {
        self.open.remove(&peer);
        self.useful.retain(|other| *other != peer);
        if !pieces.iter().all(|piece| self.commitment.holds(piece)) {
            self.denied.insert(peer);
            return Gathered::Lie;
        }
        let is_new = |piece: &Piece| self.shards.insert(piece.index.into(), piece.shard.clone()).is_none();
        let new: Vec<Piece> = pieces.into_iter().filter(is_new).collect();
        if new.is_empty() {
            self.resting.insert(peer, now + PATIENCE);
        } else {
            self.progress = now;
            self.useful.push(peer);
        }
        Gathered::New(new)
    }
}
