//! Finding transactions that a block only names.

use alloy_primitives::TxHash;
use heddle_primitives::ShortId;
use std::collections::HashMap;

/// What has a short id.
enum Found<'t, T> {
    Nothing,
    One(&'t T),
    Several,
}

/// For each id the transaction that has it; `None` where there is none, or more than one: then the block's author knows
/// which, and nobody else does. Makes the short id of every transaction once: some milliseconds for 100,000.
pub(crate) fn find<T: Clone>(
    transactions: &HashMap<TxHash, T>,
    short_id: impl Fn(&TxHash) -> ShortId,
    ids: &[ShortId],
) -> Vec<Option<T>> {
    let mut wanted: HashMap<ShortId, Found<'_, T>> = ids.iter().map(|id| (*id, Found::Nothing)).collect();
    for (hash, transaction) in transactions {
        if let Some(found) = wanted.get_mut(&short_id(hash)) {
            *found = match found {
                Found::Nothing => Found::One(transaction),
                _ => Found::Several,
            };
        }
    }
    let resolve = |id| match wanted.get(id) {
        Some(Found::One(transaction)) => Some(T::clone(transaction)),
        _ => None,
    };
    ids.iter().map(resolve).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use heddle_primitives::ShortIdKey;

    #[test]
    fn ids_find_their_transactions_in_the_order_asked_for() {
        let key = ShortIdKey::of_block(B256::repeat_byte(1));
        let hash = |n: u64| B256::left_padding_from(&n.to_be_bytes());
        let transactions: HashMap<_, _> = (0..1_000).map(|n| (hash(n), n)).collect();
        let id = |n| key.short_id(&hash(n));
        let found = find(&transactions, |hash| key.short_id(hash), &[id(3), id(1_000), id(0), id(3)]);
        assert_eq!(found, [Some(3), None, Some(0), Some(3)]);
        assert!(find(&transactions, |hash| key.short_id(hash), &[]).is_empty());
    }

    #[test]
    fn an_id_that_several_have_finds_none() {
        let transactions: HashMap<_, _> = (0..3u8).map(|n| (B256::repeat_byte(n), n)).collect();
        let id = |n| ShortId::new([n; 6]);
        let short_id = |hash: &TxHash| id(hash[0].min(1));
        assert_eq!(find(&transactions, short_id, &[id(0), id(1), id(2)]), [Some(0), None, None]);
    }
}
