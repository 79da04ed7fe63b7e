//! What holds for every decoder of bytes from peers, whatever the bytes are: it does not panic, takes memory in proportion to
//! the bytes, and whatever it accepts has these bytes and no others as its encoding.
//!
//! Each function here is the target of the same name in `fuzz_targets`. [`seeds`] has valid messages to start from.

pub mod seeds;

use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_rlp::{Decodable, Encodable};
use heddle_primitives::{
    CompactBlock, CompactFinalized, CompactProposal, ConsensusMessage, MAX_COMPACT_BLOCK_BYTES,
    MAX_CONSENSUS_MESSAGE_BYTES, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, MAX_TRANSACTION_REQUEST_BYTES,
    MAX_TRANSACTION_RESPONSE_BYTES, Piece, PieceCommitment, Request, Response, Transaction, TransactionRequest,
    TransactionResponse, decode_exact,
};

/// Decodes as a node does; what comes out must encode to the same bytes.
fn decode<T: Decodable + Encodable>(bytes: &[u8], bytes_max: usize) -> Option<T> {
    let value = decode_exact::<T>(bytes, bytes_max).ok()?;
    assert_eq!(value.length(), bytes.len(), "the length announced is not that of the encoding");
    assert!(alloy_rlp::encode(&value) == bytes, "a second encoding of the same value");
    Some(value)
}

/// What a peer does with every compact block before it forwards it.
fn judge(block: &CompactBlock) {
    let _ = (block.check(), block.hash(), block.transactions.count());
}

/// A message of the blocks topic.
pub fn compact_finalized(bytes: &[u8]) -> bool {
    decode(bytes, MAX_COMPACT_BLOCK_BYTES).is_some_and(|CompactFinalized { block, .. }| {
        judge(&block);
        true
    })
}

/// A message of the proposals topic.
pub fn compact_proposal(bytes: &[u8]) -> bool {
    decode(bytes, MAX_COMPACT_BLOCK_BYTES).is_some_and(|CompactProposal { block, .. }| {
        judge(&block);
        true
    })
}

/// A message of the consensus topic.
pub fn consensus_message(bytes: &[u8]) -> bool {
    decode::<ConsensusMessage>(bytes, MAX_CONSENSUS_MESSAGE_BYTES).is_some_and(|message| {
        let _ = message.height();
        true
    })
}

/// A commitment and a piece after it: a piece of the commitment has a place in its layout, and all of its bytes count.
pub fn pieces(bytes: &[u8]) -> bool {
    let Some((rest, commitment)) = first::<PieceCommitment>(bytes) else { return false };
    let Some(piece) = decode::<Piece>(rest, MAX_RESPONSE_BYTES) else { return false };
    let holds = commitment.holds(&piece);
    if holds {
        let layout = commitment.layout();
        assert!(usize::from(piece.index) < layout.pieces() && piece.shard.len() == layout.shard_bytes);
        assert!(layout.data * layout.shard_bytes >= commitment.bytes as usize);
        let mut other = piece.shard.to_vec();
        other[0] ^= 1;
        assert!(!commitment.holds(&Piece { shard: other.into(), ..piece }), "another shard passes for this one");
    }
    true
}

/// The value at the start, with what follows it.
fn first<T: Decodable>(mut bytes: &[u8]) -> Option<(&[u8], T)> {
    let value = T::decode(&mut bytes).ok()?;
    Some((bytes, value))
}

/// What a peer asks.
pub fn request(bytes: &[u8]) -> bool {
    decode::<Request>(bytes, MAX_REQUEST_BYTES).is_some_and(|request| {
        let _ = request.kind();
        true
    })
}

/// What a peer answers.
pub fn response(bytes: &[u8]) -> bool {
    decode::<Response>(bytes, MAX_RESPONSE_BYTES).is_some()
}

/// A transaction as pools send it (EIP-2718).
pub fn transaction(bytes: &[u8]) -> bool {
    Transaction::decode_2718_exact(bytes).is_ok_and(|transaction| {
        assert!(transaction.encoded_2718() == bytes, "a second encoding of the same transaction");
        true
    })
}

/// What one pool tells or asks another.
pub fn transaction_request(bytes: &[u8]) -> bool {
    decode::<TransactionRequest>(bytes, MAX_TRANSACTION_REQUEST_BYTES).is_some()
}

/// What one pool answers another.
pub fn transaction_response(bytes: &[u8]) -> bool {
    decode::<TransactionResponse>(bytes, MAX_TRANSACTION_RESPONSE_BYTES).is_some()
}
