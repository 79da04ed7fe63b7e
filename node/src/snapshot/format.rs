//! What chunks hold, and how they stand in the file.
//!
//! A chunk is the length of its compressed bytes and the length of what they decompress to (4 bytes each, big-endian),
//! SHA-256 over its number (8 bytes), the second length and the compressed bytes, and these: one zstd frame of a byte
//! that says the kind, and RLP.

use alloy_primitives::B256;
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use heddle_primitives::{CommitCertificate, EpochStep, FinalizedBlock, Header, Receipt, Request, Response};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// How every file begins: a name, and the version of all that follows.
pub const MAGIC: [u8; 16] = *b"heddle snapshot\n";
pub const VERSION: u32 = 1;
/// Most bytes that a chunk decompresses to: the largest block with all receipts that fit beside it.
pub const CHUNK_BYTES_MAX: usize = 32 << 20;
/// Most compressed bytes of a chunk: what does not compress grows by less.
pub const COMPRESSED_BYTES_MAX: usize = CHUNK_BYTES_MAX + (1 << 20);
/// Bytes of a chunk before its compressed bytes.
pub const CHUNK_HEAD_BYTES: usize = 4 + 4 + 32;

/// Why a file is not written or not believed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotFileError {
    /// It cannot be opened, read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another kind of file.
    #[error("{0} is not a snapshot file of `heddle snapshot create`")]
    NotASnapshot(PathBuf),
    /// Of another version of the program.
    #[error("{path} has version {found}, this program reads version {VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// A chunk is not what it must be; those before it are good.
    #[error("{path}: chunk {number} at byte {offset}: {reason}")]
    Chunk {
        /// The file.
        path: PathBuf,
        /// Which chunk, from 0.
        number: u64,
        /// Its first byte in the file.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// The block whose state it is.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct PivotChunk {
    /// Of the chain.
    pub genesis: B256,
    /// Its header.
    pub header: Header,
    /// Why it is final.
    pub certificate: CommitCertificate,
}

/// The pivot with body and receipts.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct BlockChunk {
    /// The block.
    pub block: FinalizedBlock,
    /// Its receipts.
    pub receipts: Vec<Receipt>,
}

/// A piece of the state.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct PieceChunk {
    /// What a peer would be asked.
    pub request: Request,
    /// What it would answer.
    pub response: Response,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Counts {
    /// Chunks before the last one.
    pub chunks: u64,
    /// Accounts.
    pub accounts: u64,
    /// Storage slots.
    pub slots: u64,
    /// Codes.
    pub codes: u64,
}

/// A chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// The first.
    Pivot(Box<PivotChunk>),
    /// Ends of epochs, in order.
    Steps(Vec<EpochStep>),
    /// The headers before the pivot, oldest first.
    Ancestors(Vec<Header>),
    /// The pivot's block.
    Block(Box<BlockChunk>),
    /// A piece of the state.
    Piece(Box<PieceChunk>),
    /// The last.
    End(Counts),
}

impl Chunk {
    /// What it decompresses to.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, body): (u8, &dyn Encodable) = match self {
            Self::Pivot(pivot) => (1, pivot),
            Self::Steps(steps) => (2, steps),
            Self::Ancestors(headers) => (3, headers),
            Self::Block(block) => (4, block),
            Self::Piece(piece) => (5, piece),
            Self::End(counts) => (6, counts),
        };
        let mut bytes = Vec::with_capacity(1 + body.length());
        bytes.push(kind);
        body.encode(&mut bytes);
        bytes
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> alloy_rlp::Result<Self> {
        let Some((kind, mut body)) = bytes.split_first() else { return Err(alloy_rlp::Error::InputTooShort) };
        let body = &mut body;
        let chunk = match kind {
            1 => Self::Pivot(Decodable::decode(body)?),
            2 => Self::Steps(Decodable::decode(body)?),
            3 => Self::Ancestors(Decodable::decode(body)?),
            4 => Self::Block(Decodable::decode(body)?),
            5 => Self::Piece(Decodable::decode(body)?),
            6 => Self::End(Decodable::decode(body)?),
            _ => return Err(alloy_rlp::Error::Custom("it is of an unknown kind")),
        };
        if body.is_empty() { Ok(chunk) } else { Err(alloy_rlp::Error::UnexpectedLength) }
    }
}

/// The checksum of a chunk.
pub fn checksum(number: u64, length: u32, compressed: &[u8]) -> [u8; 32] {
    let hasher = Sha256::new().chain_update(number.to_be_bytes()).chain_update(length.to_be_bytes());
    hasher.chain_update(compressed).finalize().into()
}
