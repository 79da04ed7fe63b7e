//! A block's transactions cut into pieces, any of which show by a Merkle path that they belong together.

use crate::MAX_BLOCK_BYTES;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::{Decodable, Header, RlpEncodable};
use sha2::{Digest, Sha256};

/// Transactions whose RLP is longer travel in pieces too, in bytes.
pub const WHOLE_BODY_BYTES_MAX: usize = 512 * 1024;
/// Smallest shard, in bytes: its path of at most 8 hashes adds 2 %.
const SHARD_BYTES_MIN: usize = 16 * 1024;
/// Most shards that hold the transactions' own bytes.
const DATA_SHARDS_MAX: usize = 128;
/// Reed-Solomon coding works on units of this many bytes.
const SHARD_UNIT: usize = 64;
/// Most pieces of a block.
pub const MAX_PIECES: usize = DATA_SHARDS_MAX + DATA_SHARDS_MAX / 2;
/// Most hashes on the path of a piece.
const PATH_MAX: usize = MAX_PIECES.next_power_of_two().ilog2() as usize;

/// How many bytes are cut into how many shards; it follows from their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PieceLayout {
    /// Shards with the bytes themselves, the last one filled up with zeros: as many pieces as rebuild them.
    pub data: usize,
    /// Shards that can stand in for any of the others: half as many.
    pub parity: usize,
    /// Bytes of each shard, a multiple of 64.
    pub shard_bytes: usize,
}

impl PieceLayout {
    /// The layout of this many bytes, 1 to [`MAX_BLOCK_BYTES`].
    pub fn of(bytes: usize) -> Self {
        let shard_bytes = bytes.div_ceil(DATA_SHARDS_MAX).next_multiple_of(SHARD_UNIT).max(SHARD_BYTES_MIN);
        let data = bytes.div_ceil(shard_bytes).max(1);
        Self { data, parity: data.div_ceil(2), shard_bytes }
    }

    /// Number of pieces.
    pub fn pieces(&self) -> usize {
        self.data + self.parity
    }
}

/// Names all pieces of some bytes. A proposer's word: that the bytes are a block's transactions shows only when they
/// are together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable)]
pub struct PieceCommitment {
    /// Root of the [`PieceTree`] over all shards.
    pub root: B256,
    /// How many bytes they hold, 1 to [`MAX_BLOCK_BYTES`].
    pub bytes: u32,
}

impl PieceCommitment {
    /// How the bytes are cut.
    pub fn layout(&self) -> PieceLayout {
        PieceLayout::of(self.bytes as usize)
    }

    /// Whether this is the piece of its index. If not, whoever was asked for a piece of this root and sent it lies.
    pub fn holds(&self, piece: &Piece) -> bool {
        let layout = self.layout();
        let index = usize::from(piece.index);
        index < layout.pieces()
            && piece.shard.len() == layout.shard_bytes
            && piece.path.len() == depth(layout.pieces())
            && root_from(index, leaf(&piece.shard), &piece.path) == self.root
    }
}

impl Decodable for PieceCommitment {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let (root, bytes) =
            crate::wire::decode_list(buf, |payload| Ok((B256::decode(payload)?, u32::decode(payload)?)))?;
        match usize::try_from(bytes) {
            Ok(1..=MAX_BLOCK_BYTES) => Ok(Self { root, bytes }),
            _ => Err(alloy_rlp::Error::Custom("pieces hold 1 byte to the size of a block")),
        }
    }
}

/// One of a block's pieces.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable)]
pub struct Piece {
    /// Which one: shards with the bytes themselves first, then those that stand in for others.
    pub index: u16,
    /// The shard.
    pub shard: Bytes,
    /// What it is hashed with on the way to the root, from below.
    pub path: Vec<B256>,
}

impl Decodable for Piece {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let payload = &mut Header::decode_bytes(buf, true)?;
        let (index, shard) = (u16::decode(payload)?, Bytes::decode(payload)?);
        let path = crate::request::decode_bounded(payload, PATH_MAX)?;
        if payload.is_empty() { Ok(Self { index, shard, path }) } else { Err(alloy_rlp::Error::UnexpectedLength) }
    }
}

/// SHA-256 over zero and the shard.
fn leaf(shard: &[u8]) -> B256 {
    B256::from_slice(&Sha256::new().chain_update([0]).chain_update(shard).finalize())
}

/// SHA-256 over one and both children, so that no shard can pass for a node.
fn node(left: B256, right: B256) -> B256 {
    B256::from_slice(&Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize())
}

/// Levels between leaves and root.
fn depth(leaves: usize) -> usize {
    leaves.next_power_of_two().ilog2() as usize
}

fn root_from(index: usize, leaf: B256, path: &[B256]) -> B256 {
    path.iter().enumerate().fold(leaf, |below, (level, beside)| {
        if index >> level & 1 == 0 { node(below, *beside) } else { node(*beside, below) }
    })
}

/// A binary Merkle tree over shards, filled up to a power of two with leaves of zero.
#[derive(Clone, Debug)]
pub struct PieceTree {
    /// From the leaves to the root, each level of an even number of nodes but the last.
    levels: Vec<Vec<B256>>,
}

impl PieceTree {
    /// Hashes shards; at least one.
    pub fn new<T: AsRef<[u8]>>(shards: &[T]) -> Self {
        let mut leaves: Vec<_> = shards.iter().map(|shard| leaf(shard.as_ref())).collect();
        leaves.resize(leaves.len().next_power_of_two(), B256::ZERO);
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let (pairs, _) = below.as_chunks::<2>();
            levels.push(pairs.iter().map(|[left, right]| node(*left, *right)).collect());
        }
        Self { levels }
    }

    /// The root.
    pub fn root(&self) -> B256 {
        self.levels.last().and_then(|level| level.first()).copied().unwrap_or_default()
    }

    /// What the shard of this index is hashed with, from below.
    pub fn path(&self, index: usize) -> Vec<B256> {
        let levels = self.levels.iter().enumerate().take(self.levels.len().saturating_sub(1));
        levels.filter_map(|(level, nodes)| nodes.get(index >> level ^ 1).copied()).collect()
    }
}

#[cfg(test)]
#[path = "pieces_tests.rs"]
mod tests;
