//! Transactions and receipts in lists, each by its one encoding.

use alloy_eips::eip2718::Decodable2718;
use alloy_rlp::{Decodable, EMPTY_LIST_CODE, EMPTY_STRING_CODE, Header};

/// A transaction or receipt as lists hold it: a legacy one is a list, a typed one a string of its EIP-2718 encoding.
///
/// Alloy's own decoding also takes a typed one that is no string, or whose string is said to have another length. Whoever
/// passes a block on could then change its bytes and not its meaning.
pub(crate) struct Enveloped<T>(T);

impl<T: Decodable2718> Decodable for Enveloped<T> {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        if buf.first().is_some_and(|byte| *byte >= EMPTY_LIST_CODE) {
            return Ok(Self(T::fallback_decode(buf)?));
        }
        let typed = Header::decode_bytes(buf, false)?;
        if typed.first().is_none_or(|kind| *kind >= EMPTY_STRING_CODE) {
            return Err(alloy_rlp::Error::UnexpectedString);
        }
        Ok(Self(T::decode_2718_exact(typed)?))
    }
}

impl<T> Enveloped<T> {
    /// What it holds.
    pub(crate) fn into_inner(self) -> T {
        self.0
    }

    /// What all of them hold.
    pub(crate) fn all(list: Vec<Self>) -> Vec<T> {
        list.into_iter().map(Self::into_inner).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Receipt, Transaction};
    use alloy_consensus::{Signed, TxEip1559, TxLegacy};
    use alloy_eips::eip2718::Encodable2718;
    use alloy_primitives::Signature;
    use alloy_rlp::Encodable;

    fn string(bytes: &[u8], length: usize) -> Vec<u8> {
        let mut string = Vec::new();
        Header { list: false, payload_length: length }.encode(&mut string);
        [&string, bytes].concat()
    }

    fn list(items: &[Vec<u8>]) -> Vec<u8> {
        let mut list = Vec::new();
        Header { list: true, payload_length: items.concat().len() }.encode(&mut list);
        [list, items.concat()].concat()
    }

    fn decode<T: Decodable2718>(bytes: &[u8]) -> alloy_rlp::Result<Vec<T>> {
        alloy_rlp::decode_exact::<Vec<Enveloped<T>>>(bytes).map(Enveloped::all)
    }

    /// Checks that `items` are found in their list, and in no list in which the typed one, the second, is written otherwise.
    fn assert_one_encoding<T>(items: [T; 3])
    where
        T: Decodable2718 + Encodable2718 + Encodable + PartialEq + std::fmt::Debug,
    {
        let [legacy, typed, last] = [0, 1, 2].map(|index: usize| items[index].encoded_2718());
        let last = string(&last, last.len());
        let holding = |typed: Vec<u8>| list(&[legacy.clone(), typed, last.clone()]);
        let good = holding(string(&typed, typed.len()));
        assert_eq!(decode::<T>(&good).as_deref(), Ok(&items[..]));
        assert_eq!(alloy_rlp::encode(Vec::from(items)), good);
        let others = [
            string(&typed, typed.len() + 1),
            string(&typed, typed.len() - 1),
            typed.clone(),
            string(&legacy, legacy.len()),
            string(&[], 0),
            vec![typed[0]],
        ];
        for other in others {
            assert!(decode::<T>(&holding(other.clone())).is_err(), "{other:02x?}");
        }
    }

    #[test]
    fn no_list_of_transactions_or_receipts_has_a_second_encoding() {
        let typed = || Transaction::Eip1559(Signed::new_unhashed(TxEip1559::default(), Signature::test_signature()));
        let legacy = Transaction::Legacy(Signed::new_unhashed(TxLegacy::default(), Signature::test_signature()));
        assert_one_encoding([legacy, typed(), typed()]);
        let [legacy, one, other] =
            [Receipt::Legacy, Receipt::Eip1559, Receipt::Eip7702].map(|kind| kind(Default::default()));
        assert_one_encoding([legacy, one, other]);
    }
}
