//! What peers ask each other, with the bounds that decoding enforces.

use crate::enveloped::Enveloped;
use crate::wire::{decode_tagged, encode_by_tag};
use crate::{
    AccountRange, AccountsRequest, BlockPiecesRequest, BlockTransactionsRequest, CertifiedHeader, CodeRequest, Epoch,
    EpochStep, FinalizedBlock, Height, MAX_BLOCK_TRANSACTIONS, MAX_PIECES, Piece, RangeProofRequest, Receipt,
    SnapshotOffer, StorageRanges, StorageRequest, Transaction,
};
use alloy_primitives::{B256, Bytes};
use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};

/// Largest request, in bytes.
pub const MAX_REQUEST_BYTES: usize = 16 * 1024;
/// Most blocks, or receipts of blocks, in one response.
pub const MAX_BLOCKS_PER_RESPONSE: u64 = 64;
/// Most headers in one response.
pub const MAX_HEADERS_PER_RESPONSE: u64 = 256;
/// Most ends of epochs in one response.
pub const MAX_EPOCH_STEPS_PER_RESPONSE: u64 = 64;
/// Most snapshots that a peer offers.
pub const MAX_SNAPSHOT_OFFERS: usize = 8;

/// Asks for `from..from + count`: blocks, headers or receipts of final blocks.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct BlocksRequest {
    /// First height wanted.
    pub from: Height,
    /// How many, 1 to the most of the kind; the answer may hold fewer.
    pub count: u64,
}

/// Asks for the ends of epochs `from..from + count`.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct EpochStepsRequest {
    /// First epoch whose end is wanted.
    pub from: Epoch,
    /// How many, 1 to [`MAX_EPOCH_STEPS_PER_RESPONSE`]; the answer may hold fewer.
    pub count: u64,
}

/// What a peer may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Where are you?
    Status,
    /// Send me blocks, at most [`MAX_BLOCKS_PER_RESPONSE`].
    Blocks(BlocksRequest),
    /// Send me headers with their certificates, at most [`MAX_HEADERS_PER_RESPONSE`].
    Headers(BlocksRequest),
    /// Send me receipts, at most of [`MAX_BLOCKS_PER_RESPONSE`] blocks.
    Receipts(BlocksRequest),
    /// Send me ends of epochs.
    EpochSteps(EpochStepsRequest),
    /// Which states do you serve?
    Snapshots,
    /// Send me accounts of a snapshot.
    Accounts(AccountsRequest),
    /// Send me slots of a snapshot.
    Storage(StorageRequest),
    /// Send me code.
    Code(CodeRequest),
    /// Prove leaves that I have to be those of a snapshot.
    RangeProof(RangeProofRequest),
    /// Send me transactions of a block that is being decided, or was a moment ago.
    BlockTransactions(BlockTransactionsRequest),
    /// Send me pieces of such a block.
    BlockPieces(BlockPiecesRequest),
}

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Status {
    /// Height of its last committed block.
    pub height: Height,
    /// That block's hash.
    pub hash: B256,
    /// The oldest height whose block it still serves.
    pub earliest: Height,
}

/// Why an honest peer does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It serves others, or keeps its strength for consensus: ask again in a second or so, or somebody else.
    Busy,
    /// It does not have, or no longer has, what is asked for.
    Gone,
}

impl Encodable for Refusal {
    fn encode(&self, out: &mut dyn BufMut) {
        match self {
            Self::Busy => 1u8.encode(out),
            Self::Gone => 2u8.encode(out),
        }
    }

    fn length(&self) -> usize {
        1
    }
}

impl Decodable for Refusal {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        match u8::decode(buf)? {
            1 => Ok(Self::Busy),
            2 => Ok(Self::Gone),
            _ => Err(alloy_rlp::Error::Custom("a refusal is busy (1) or gone (2)")),
        }
    }
}

/// What a peer answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// To [`Request::Status`].
    Status(Status),
    /// To [`Request::Blocks`]: consecutive from the height asked for; empty when it has none.
    Blocks(Vec<FinalizedBlock>),
    /// To [`Request::Headers`]: consecutive from the height asked for; empty when it has none.
    Headers(Vec<CertifiedHeader>),
    /// To [`Request::Receipts`]: those of consecutive blocks from the height asked for; empty when it has none.
    Receipts(Vec<Vec<Receipt>>),
    /// To [`Request::EpochSteps`]: consecutive from the epoch asked for; empty when it has none.
    EpochSteps(Vec<EpochStep>),
    /// To [`Request::Snapshots`], the newest first.
    Snapshots(Vec<SnapshotOffer>),
    /// To [`Request::Accounts`].
    Accounts(AccountRange),
    /// To [`Request::Storage`].
    Storage(StorageRanges),
    /// To [`Request::Code`]: some of the codes, in the order asked for.
    Code(Vec<Bytes>),
    /// To [`Request::RangeProof`]: the nodes above both ends, as in [`AccountRange::proof`].
    RangeProof(Vec<Bytes>),
    /// To [`Request::BlockTransactions`]: those asked for, in the block's order.
    BlockTransactions(Vec<Transaction>),
    /// To [`Request::BlockPieces`]: some of those asked for; none when the peer has none yet.
    BlockPieces(Vec<Piece>),
    /// To any request.
    Refused(Refusal),
}

/// The kinds of request, as metrics, traces and matching of answers name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the kind of the request of the same name")]
pub enum RequestKind {
    Status,
    Blocks,
    Headers,
    Receipts,
    EpochSteps,
    Snapshots,
    Accounts,
    Storage,
    Code,
    RangeProof,
    BlockTransactions,
    BlockPieces,
}

impl Request {
    /// Its kind.
    pub fn kind(&self) -> RequestKind {
        match self {
            Self::Status => RequestKind::Status,
            Self::Blocks(_) => RequestKind::Blocks,
            Self::Headers(_) => RequestKind::Headers,
            Self::Receipts(_) => RequestKind::Receipts,
            Self::EpochSteps(_) => RequestKind::EpochSteps,
            Self::Snapshots => RequestKind::Snapshots,
            Self::Accounts(_) => RequestKind::Accounts,
            Self::Storage(_) => RequestKind::Storage,
            Self::Code(_) => RequestKind::Code,
            Self::RangeProof(_) => RequestKind::RangeProof,
            Self::BlockTransactions(_) => RequestKind::BlockTransactions,
            Self::BlockPieces(_) => RequestKind::BlockPieces,
        }
    }

    fn tagged(&self) -> (u8, &dyn Encodable) {
        match self {
            Self::Status => (1, &NOTHING),
            Self::Blocks(m) => (2, m),
            Self::Headers(m) => (3, m),
            Self::Receipts(m) => (4, m),
            Self::EpochSteps(m) => (5, m),
            Self::Snapshots => (6, &NOTHING),
            Self::Accounts(m) => (7, m),
            Self::Storage(m) => (8, m),
            Self::Code(m) => (9, m),
            Self::RangeProof(m) => (10, m),
            Self::BlockTransactions(m) => (11, m),
            Self::BlockPieces(m) => (12, m),
        }
    }
}

impl Response {
    /// Whether it can be the answer to a request of this kind.
    pub fn answers(&self, kind: RequestKind) -> bool {
        kind == match self {
            Self::Status(_) => RequestKind::Status,
            Self::Blocks(_) => RequestKind::Blocks,
            Self::Headers(_) => RequestKind::Headers,
            Self::Receipts(_) => RequestKind::Receipts,
            Self::EpochSteps(_) => RequestKind::EpochSteps,
            Self::Snapshots(_) => RequestKind::Snapshots,
            Self::Accounts(_) => RequestKind::Accounts,
            Self::Storage(_) => RequestKind::Storage,
            Self::Code(_) => RequestKind::Code,
            Self::RangeProof(_) => RequestKind::RangeProof,
            Self::BlockTransactions(_) => RequestKind::BlockTransactions,
            Self::BlockPieces(_) => RequestKind::BlockPieces,
            Self::Refused(_) => kind,
        }
    }

    fn tagged(&self) -> (u8, &dyn Encodable) {
        match self {
            Self::Status(m) => (1, m),
            Self::Blocks(m) => (2, m),
            Self::Headers(m) => (3, m),
            Self::Receipts(m) => (4, m),
            Self::EpochSteps(m) => (5, m),
            Self::Snapshots(m) => (6, m),
            Self::Accounts(m) => (7, m),
            Self::Storage(m) => (8, m),
            Self::Code(m) => (9, m),
            Self::RangeProof(m) => (10, m),
            Self::Refused(m) => (11, m),
            Self::BlockTransactions(m) => (12, m),
            Self::BlockPieces(m) => (13, m),
        }
    }
}

/// The body of a request that says all by its tag.
const NOTHING: [u8; 0] = [];

encode_by_tag!(Request);

impl Decodable for Request {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_tagged(buf, |tag, body| match tag {
            1 => <[u8; 0]>::decode(body).map(|_| Self::Status),
            2 => Ok(Self::Blocks(Decodable::decode(body)?)),
            3 => Ok(Self::Headers(Decodable::decode(body)?)),
            4 => Ok(Self::Receipts(Decodable::decode(body)?)),
            5 => Ok(Self::EpochSteps(Decodable::decode(body)?)),
            6 => <[u8; 0]>::decode(body).map(|_| Self::Snapshots),
            7 => Ok(Self::Accounts(Decodable::decode(body)?)),
            8 => Ok(Self::Storage(Decodable::decode(body)?)),
            9 => Ok(Self::Code(Decodable::decode(body)?)),
            10 => Ok(Self::RangeProof(Decodable::decode(body)?)),
            11 => Ok(Self::BlockTransactions(Decodable::decode(body)?)),
            12 => Ok(Self::BlockPieces(Decodable::decode(body)?)),
            _ => Err(alloy_rlp::Error::Custom("unknown kind of request")),
        })
    }
}

encode_by_tag!(Response);

impl Decodable for Response {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_tagged(buf, |tag, body| match tag {
            1 => Ok(Self::Status(Decodable::decode(body)?)),
            2 => decode_bounded(body, MAX_BLOCKS_PER_RESPONSE as usize).map(Self::Blocks),
            3 => decode_bounded(body, MAX_HEADERS_PER_RESPONSE as usize).map(Self::Headers),
            4 => {
                let blocks = decode_bounded(body, MAX_BLOCKS_PER_RESPONSE as usize)?;
                Ok(Self::Receipts(blocks.into_iter().map(Enveloped::all).collect()))
            }
            5 => decode_bounded(body, MAX_EPOCH_STEPS_PER_RESPONSE as usize).map(Self::EpochSteps),
            6 => decode_bounded(body, MAX_SNAPSHOT_OFFERS).map(Self::Snapshots),
            7 => Ok(Self::Accounts(Decodable::decode(body)?)),
            8 => Ok(Self::Storage(Decodable::decode(body)?)),
            9 => decode_bounded(body, crate::MAX_CODES_PER_REQUEST).map(Self::Code),
            10 => decode_bounded(body, crate::MAX_PROOF_NODES).map(Self::RangeProof),
            11 => Ok(Self::Refused(Decodable::decode(body)?)),
            12 => Ok(Self::BlockTransactions(Enveloped::all(decode_bounded(body, MAX_BLOCK_TRANSACTIONS)?))),
            13 => decode_bounded(body, MAX_PIECES).map(Self::BlockPieces),
            _ => Err(alloy_rlp::Error::Custom("unknown kind of response")),
        })
    }
}

/// Decodes a list of at most `max` items.
pub(crate) fn decode_bounded<T: Decodable>(buf: &mut &[u8], max: usize) -> alloy_rlp::Result<Vec<T>> {
    let mut payload = alloy_rlp::Header::decode_bytes(buf, true)?;
    let mut items = Vec::new();
    while !payload.is_empty() {
        if items.len() == max {
            return Err(alloy_rlp::Error::Custom("a list is longer than its limit"));
        }
        items.push(T::decode(&mut payload)?);
    }
    Ok(items)
}
