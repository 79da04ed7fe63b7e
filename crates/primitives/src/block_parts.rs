//! Asking for what a compact block only names.

use crate::MAX_BLOCK_TRANSACTIONS;
use alloy_primitives::B256;
use alloy_rlp::{BufMut, Decodable, Encodable, Header, RlpDecodable, RlpEncodable};

/// Most bytes of an [`IndexSet`].
const INDEX_SET_BYTES_MAX: usize = MAX_BLOCK_TRANSACTIONS.div_ceil(8);

/// A set of indices below [`MAX_BLOCK_TRANSACTIONS`], as a row of bits without zero bytes at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexSet(Vec<u8>);

impl IndexSet {
    /// Whether there is no index at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many indices there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// Whether the index is one of them.
    pub fn contains(&self, index: usize) -> bool {
        self.0.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
    }

    /// The indices, from the lowest on.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.0.len() * 8).filter(|index| self.contains(*index))
    }
}

/// Leaves out what is not below [`MAX_BLOCK_TRANSACTIONS`].
impl FromIterator<usize> for IndexSet {
    fn from_iter<T: IntoIterator<Item = usize>>(indices: T) -> Self {
        let mut bits = Vec::new();
        for index in indices.into_iter().filter(|index| *index < MAX_BLOCK_TRANSACTIONS) {
            if bits.len() <= index / 8 {
                bits.resize(index / 8 + 1, 0u8);
            }
            bits.iter_mut().skip(index / 8).take(1).for_each(|byte| *byte |= 1 << (index % 8));
        }
        Self(bits)
    }
}

impl Encodable for IndexSet {
    fn encode(&self, out: &mut dyn BufMut) {
        self.0.as_slice().encode(out);
    }

    fn length(&self) -> usize {
        self.0.as_slice().length()
    }
}

impl Decodable for IndexSet {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let bits = Header::decode_bytes(buf, false)?;
        if bits.len() > INDEX_SET_BYTES_MAX || bits.last() == Some(&0) {
            return Err(alloy_rlp::Error::Custom("a set of indices has a bound and ends in no zero"));
        }
        Ok(Self(bits.to_vec()))
    }
}

/// Asks for transactions of a block that is on its way or has just become final.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct BlockTransactionsRequest {
    /// The block's hash.
    pub block_hash: B256,
    /// Which of its transactions; none asks for all.
    pub indices: IndexSet,
}

/// Asks for pieces of such a block's transactions.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct BlockPiecesRequest {
    /// The block's hash.
    pub block_hash: B256,
    /// The root that the pieces must prove themselves against: whoever knows another one has none of them.
    pub root: B256,
    /// Which of them, at least one.
    pub indices: IndexSet,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MAX_REQUEST_BYTES, Request, decode_exact};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_is_what_was_put_in(indices in proptest::collection::btree_set(0usize..2_000, 0..100)) {
            let set: IndexSet = indices.iter().copied().collect();
            prop_assert_eq!(set.len(), indices.len());
            prop_assert_eq!(set.is_empty(), indices.is_empty());
            prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), indices.clone());
            prop_assert!((0..2_100).all(|index| set.contains(index) == indices.contains(&index)));
            let bytes = alloy_rlp::encode(&set);
            prop_assert_eq!(bytes.len(), set.length());
            prop_assert_eq!(decode_exact::<IndexSet>(&bytes, usize::MAX), Ok(set));
        }
    }

    #[test]
    fn the_largest_set_fits_a_request() {
        let indices: IndexSet = (0..2 * MAX_BLOCK_TRANSACTIONS).collect();
        assert_eq!(indices.len(), MAX_BLOCK_TRANSACTIONS);
        let request = Request::BlockTransactions(BlockTransactionsRequest { block_hash: B256::ZERO, indices });
        assert_eq!(decode_exact(&alloy_rlp::encode(&request), MAX_REQUEST_BYTES), Ok(request));
    }

    #[test]
    fn other_encodings_are_refused() {
        let decode = |bits: &[u8]| decode_exact::<IndexSet>(&alloy_rlp::encode(bits), usize::MAX);
        assert!(decode(&[1, 0]).is_err(), "a zero byte at the end");
        assert!(decode(&[0]).is_err());
        assert!(decode(&vec![1; INDEX_SET_BYTES_MAX + 1]).is_err());
        assert!(decode(&[]).is_ok_and(|set| set.is_empty()));
    }
}
