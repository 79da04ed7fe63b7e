//! Short names of transactions, which only the block that they are in gives a meaning.

use alloy_primitives::{B256, TxHash};
use alloy_rlp::{BufMut, Header};
use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher24;

/// Bytes of a short id.
const BYTES: usize = 6;

/// Names a transaction of one block. That another one of a pool of 100,000 has the id of one of a block's thousand happens
/// once in about three million blocks: whoever resolves ids must be ready for that, and for ids that are a lie. The
/// header's transactions root tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortId([u8; BYTES]);

impl ShortId {
    /// The id of these bytes.
    pub const fn new(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }
}

/// Makes the short ids of one block. The key is in nobody's hand before the block is made, so that nobody can prepare
/// transactions that share an id.
#[derive(Clone, Copy, Debug)]
pub struct ShortIdKey(SipHasher24);

impl ShortIdKey {
    /// The key of the block with this hash: the first half of SHA-256 of the hash.
    pub fn of_block(hash: B256) -> Self {
        let mut key = [0; 16];
        key.iter_mut().zip(Sha256::digest(hash)).for_each(|(to, from)| *to = from);
        Self(SipHasher24::new_with_key(&key))
    }

    /// The id of a transaction: the first six bytes of SipHash-2-4 of its hash.
    pub fn short_id(&self, transaction: &TxHash) -> ShortId {
        let [a, b, c, d, e, f, ..] = self.0.hash(transaction.as_slice()).to_le_bytes();
        ShortId([a, b, c, d, e, f])
    }
}

/// Short ids one behind the other, as one string. At least one, so that no encoding is a single byte.
pub(crate) fn encode_ids(ids: &[ShortId], out: &mut dyn BufMut) {
    Header { list: false, payload_length: ids.len() * BYTES }.encode(out);
    ids.iter().for_each(|id| out.put_slice(&id.0));
}

pub(crate) fn ids_length(ids: &[ShortId]) -> usize {
    let payload = ids.len() * BYTES;
    payload + alloy_rlp::length_of_length(payload)
}

pub(crate) fn decode_ids(buf: &mut &[u8]) -> alloy_rlp::Result<Vec<ShortId>> {
    let (ids, rest) = Header::decode_bytes(buf, false)?.as_chunks::<BYTES>();
    if !rest.is_empty() {
        return Err(alloy_rlp::Error::Custom("short ids are 6 bytes each"));
    }
    Ok(ids.iter().copied().map(ShortId).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_blocks_own() {
        let (hash, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let transaction = TxHash::repeat_byte(3);
        let id = ShortIdKey::of_block(hash).short_id(&transaction);
        assert_eq!(id, ShortIdKey::of_block(hash).short_id(&transaction));
        assert_ne!(id, ShortIdKey::of_block(other).short_id(&transaction));
        assert_ne!(id, ShortIdKey::of_block(hash).short_id(&other));
    }

    /// What other implementations must come to.
    #[test]
    fn the_id_is_the_published_function() {
        let key: [u8; 16] = Sha256::digest(B256::ZERO)[..16].try_into().unwrap();
        let whole = SipHasher24::new_with_key(&key).hash(B256::repeat_byte(9).as_slice());
        let id = ShortIdKey::of_block(B256::ZERO).short_id(&B256::repeat_byte(9));
        assert_eq!(id.0, whole.to_le_bytes()[..6]);
    }
}
