//! How transactions travel between pools: announced by hash, fetched by whoever lacks them, pushed when small and new.

use crate::request::decode_bounded;
use crate::wire::{MAX_TRANSACTION_BYTES, decode_list, decode_tagged, encode_by_tag};
use alloy_primitives::{B256, Bytes};
use alloy_rlp::{BufMut, Decodable, Encodable, RlpEncodable};

/// Most transactions that one announcement names.
pub const MAX_ANNOUNCED_TRANSACTIONS: usize = 512;
/// Most transactions in one batch, and most hashes in one fetch.
pub const MAX_TRANSACTIONS_PER_BATCH: usize = 256;
/// Most bytes of encodings in one batch: the largest transaction always fits.
pub const MAX_TRANSACTION_BATCH_BYTES: usize = MAX_TRANSACTION_BYTES;
/// Most transactions that are pushed at once.
pub const MAX_PUSHED_TRANSACTIONS: usize = 16;
/// Largest transaction that is pushed, in bytes: a larger one is announced.
pub const MAX_PUSHED_TRANSACTION_BYTES: usize = 4 * 1024;
/// Largest request, in bytes: a full push with its framing.
pub const MAX_TRANSACTION_REQUEST_BYTES: usize = MAX_PUSHED_TRANSACTIONS * (MAX_PUSHED_TRANSACTION_BYTES + 4) + 16;
/// Largest response, in bytes: a full batch with the header of each transaction.
pub const MAX_TRANSACTION_RESPONSE_BYTES: usize = MAX_TRANSACTION_BATCH_BYTES + 4 * MAX_TRANSACTIONS_PER_BATCH + 16;

/// Names a transaction that the sender's pool holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable)]
pub struct TransactionAnnouncement {
    /// Its hash.
    pub hash: B256,
    /// Bytes of its EIP-2718 encoding, 1 to [`MAX_TRANSACTION_BYTES`].
    pub bytes: u32,
}

impl Decodable for TransactionAnnouncement {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let announcement =
            decode_list(buf, |payload| Ok(Self { hash: B256::decode(payload)?, bytes: u32::decode(payload)? }))?;
        if (1..=MAX_TRANSACTION_BYTES).contains(&(announcement.bytes as usize)) {
            Ok(announcement)
        } else {
            Err(alloy_rlp::Error::Custom("no transaction has the size announced"))
        }
    }
}

/// EIP-2718 encodings, at most [`MAX_TRANSACTIONS_PER_BATCH`] of [`MAX_TRANSACTION_BATCH_BYTES`] in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionBatch(pub Vec<Bytes>);

impl Encodable for TransactionBatch {
    fn encode(&self, out: &mut dyn BufMut) {
        self.0.encode(out);
    }

    fn length(&self) -> usize {
        self.0.length()
    }
}

impl Decodable for TransactionBatch {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let transactions: Vec<Bytes> = decode_bounded(buf, MAX_TRANSACTIONS_PER_BATCH)?;
        if transactions.iter().map(|raw| raw.len()).sum::<usize>() > MAX_TRANSACTION_BATCH_BYTES {
            return Err(alloy_rlp::Error::Custom("too many bytes of transactions in one batch"));
        }
        Ok(Self(transactions))
    }
}

/// What one pool tells or asks another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionRequest {
    /// I hold these, at most [`MAX_ANNOUNCED_TRANSACTIONS`].
    Announce(Vec<TransactionAnnouncement>),
    /// Take these, which are new: at most [`MAX_PUSHED_TRANSACTIONS`], each of at most
    /// [`MAX_PUSHED_TRANSACTION_BYTES`].
    Push(TransactionBatch),
    /// Send me these, at most [`MAX_TRANSACTIONS_PER_BATCH`].
    Fetch(Vec<B256>),
}

impl TransactionRequest {
    fn tagged(&self) -> (u8, &dyn Encodable) {
        match self {
            Self::Announce(m) => (1, m),
            Self::Push(m) => (2, m),
            Self::Fetch(m) => (3, m),
        }
    }
}

encode_by_tag!(TransactionRequest);

impl Decodable for TransactionRequest {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_tagged(buf, |tag, body| match tag {
            1 => decode_bounded(body, MAX_ANNOUNCED_TRANSACTIONS).map(Self::Announce),
            2 => decode_pushed(body).map(Self::Push),
            3 => decode_bounded(body, MAX_TRANSACTIONS_PER_BATCH).map(Self::Fetch),
            _ => Err(alloy_rlp::Error::Custom("unknown kind of transaction request")),
        })
    }
}

fn decode_pushed(buf: &mut &[u8]) -> alloy_rlp::Result<TransactionBatch> {
    let transactions: Vec<Bytes> = decode_bounded(buf, MAX_PUSHED_TRANSACTIONS)?;
    if transactions.iter().any(|raw| raw.len() > MAX_PUSHED_TRANSACTION_BYTES) {
        return Err(alloy_rlp::Error::Custom("a transaction of this size is announced, not pushed"));
    }
    Ok(TransactionBatch(transactions))
}

/// What one pool answers another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionResponse {
    /// To [`TransactionRequest::Announce`] and [`TransactionRequest::Push`]: read; tell me more.
    Ack,
    /// To [`TransactionRequest::Fetch`]: those of the transactions asked for that the pool still holds, in the order
    /// asked for, up to the first that does not fit.
    Transactions(TransactionBatch),
}

impl TransactionResponse {
    fn tagged(&self) -> (u8, &dyn Encodable) {
        match self {
            Self::Ack => (1, &NOTHING),
            Self::Transactions(m) => (2, m),
        }
    }
}

/// The body of a response that says all by its tag.
const NOTHING: [u8; 0] = [];

encode_by_tag!(TransactionResponse);

impl Decodable for TransactionResponse {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_tagged(buf, |tag, body| match tag {
            1 => <[u8; 0]>::decode(body).map(|_| Self::Ack),
            2 => Ok(Self::Transactions(Decodable::decode(body)?)),
            _ => Err(alloy_rlp::Error::Custom("unknown kind of transaction response")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode_exact;
    use proptest::prelude::*;

    fn assert_request(request: &TransactionRequest) {
        let bytes = alloy_rlp::encode(request);
        assert_eq!(bytes.len(), request.length());
        assert_eq!(decode_exact::<TransactionRequest>(&bytes, MAX_TRANSACTION_REQUEST_BYTES).as_ref(), Ok(request));
    }

    fn refused<T: Decodable + std::fmt::Debug>(message: impl Encodable) -> String {
        alloy_rlp::decode_exact::<T>(alloy_rlp::encode(message)).unwrap_err().to_string()
    }

    fn announcement(bytes: u32) -> TransactionAnnouncement {
        TransactionAnnouncement { hash: B256::repeat_byte(0xff), bytes }
    }

    #[test]
    fn the_largest_messages_fit_their_limits() {
        let largest = announcement(MAX_TRANSACTION_BYTES as u32);
        assert_request(&TransactionRequest::Announce(vec![largest; MAX_ANNOUNCED_TRANSACTIONS]));
        assert_request(&TransactionRequest::Fetch(vec![B256::repeat_byte(0xff); MAX_TRANSACTIONS_PER_BATCH]));
        let raw = Bytes::from(vec![0xff; MAX_PUSHED_TRANSACTION_BYTES]);
        assert_request(&TransactionRequest::Push(TransactionBatch(vec![raw; MAX_PUSHED_TRANSACTIONS])));

        for count in [1, MAX_TRANSACTIONS_PER_BATCH] {
            let raw = Bytes::from(vec![0xff; MAX_TRANSACTION_BATCH_BYTES / count]);
            let response = TransactionResponse::Transactions(TransactionBatch(vec![raw; count]));
            let bytes = alloy_rlp::encode(&response);
            assert_eq!(decode_exact(&bytes, MAX_TRANSACTION_RESPONSE_BYTES), Ok(response));
        }
        assert_eq!(alloy_rlp::decode_exact(alloy_rlp::encode(TransactionResponse::Ack)), Ok(TransactionResponse::Ack));
    }

    #[test]
    fn what_exceeds_a_bound_is_refused() {
        use TransactionRequest::{Announce, Fetch, Push};
        let too_many = "a list is longer than its limit";
        let one = announcement(1);
        assert!(refused::<TransactionRequest>(Announce(vec![one; MAX_ANNOUNCED_TRANSACTIONS + 1])).contains(too_many));
        for bytes in [0, MAX_TRANSACTION_BYTES as u32 + 1] {
            assert!(refused::<TransactionRequest>(Announce(vec![announcement(bytes)])).contains("size announced"));
        }
        assert!(
            refused::<TransactionRequest>(Fetch(vec![B256::ZERO; MAX_TRANSACTIONS_PER_BATCH + 1])).contains(too_many)
        );
        let push = |count, bytes| Push(TransactionBatch(vec![vec![1; bytes].into(); count]));
        assert!(refused::<TransactionRequest>(push(MAX_PUSHED_TRANSACTIONS + 1, 1)).contains(too_many));
        assert!(refused::<TransactionRequest>(push(1, MAX_PUSHED_TRANSACTION_BYTES + 1)).contains("not pushed"));
        let batch = |count, bytes| TransactionBatch(vec![vec![1; bytes].into(); count]);
        assert!(refused::<TransactionBatch>(batch(MAX_TRANSACTIONS_PER_BATCH + 1, 1)).contains(too_many));
        assert!(refused::<TransactionBatch>(batch(2, MAX_TRANSACTION_BATCH_BYTES / 2 + 1)).contains("too many bytes"));
    }

    proptest! {
        #[test]
        fn decoding_random_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_exact::<TransactionRequest>(&bytes, MAX_TRANSACTION_REQUEST_BYTES);
            let _ = decode_exact::<TransactionResponse>(&bytes, MAX_TRANSACTION_RESPONSE_BYTES);
        }

        #[test]
        fn requests_have_one_encoding(hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..20), bytes in 1u32..1000) {
            let hashes = Vec::from_iter(hashes.into_iter().map(B256::from));
            let named = |hash| TransactionAnnouncement { hash, bytes };
            assert_request(&TransactionRequest::Announce(hashes.iter().copied().map(named).collect()));
            assert_request(&TransactionRequest::Push(TransactionBatch(hashes.iter().take(16).map(|h| Bytes::copy_from_slice(&h[..])).collect())));
            assert_request(&TransactionRequest::Fetch(hashes));
        }
    }
}
