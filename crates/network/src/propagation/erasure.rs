//! Cuts a block's transactions into pieces, and makes transactions of enough of them.

use alloy_primitives::Bytes;
use heddle_primitives::{
    MAX_BLOCK_BYTES, Piece, PieceCommitment, PieceLayout, PieceTree, Transaction, WHOLE_BODY_BYTES_MAX, decode_exact,
};
use std::collections::BTreeMap;

/// Every piece of a block: the same on all nodes that have it.
#[derive(Debug)]
pub(crate) struct Pieces {
    commitment: PieceCommitment,
    shards: Vec<Bytes>,
    tree: PieceTree,
}

impl Pieces {
    /// Cuts the RLP of these transactions, where it is longer than [`WHOLE_BODY_BYTES_MAX`]. Takes milliseconds.
    pub(crate) fn of(transactions: &Vec<Transaction>) -> Option<Self> {
        let mut body = alloy_rlp::encode(transactions);
        let bytes = body.len();
        if !(WHOLE_BODY_BYTES_MAX + 1..=MAX_BLOCK_BYTES).contains(&bytes) {
            return None;
        }
        let layout = PieceLayout::of(bytes);
        body.resize(layout.data * layout.shard_bytes, 0);
        let body = Bytes::from(body);
        let shard = |index| body.slice(index * layout.shard_bytes..(index + 1) * layout.shard_bytes);
        let mut shards: Vec<Bytes> = (0..layout.data).map(shard).collect();
        // The layout is one that the coder supports, as a test shows.
        let parity = reed_solomon_simd::encode(layout.data, layout.parity, &shards).ok()?;
        shards.extend(parity.into_iter().map(Bytes::from));
        let tree = PieceTree::new(&shards);
        let commitment = PieceCommitment { root: tree.root(), bytes: u32::try_from(bytes).ok()? };
        Some(Self { commitment, shards, tree })
    }

    /// What names them.
    pub(crate) fn commitment(&self) -> PieceCommitment {
        self.commitment
    }

    /// One of them.
    pub(crate) fn get(&self, index: usize) -> Option<Piece> {
        let shard = self.shards.get(index)?.clone();
        Some(Piece { index: u16::try_from(index).ok()?, shard, path: self.tree.path(index) })
    }
}

/// The transactions that enough shards of a commitment hold; `None` when there are too few, or what they hold is no
/// transactions: the fault of whoever made the commitment.
pub(crate) fn rebuild(commitment: &PieceCommitment, shards: &BTreeMap<usize, Bytes>) -> Option<Vec<Transaction>> {
    let PieceLayout { data, parity, .. } = commitment.layout();
    let own = shards.range(..data);
    let others = shards.range(data..).map(|(index, shard)| (index - data, shard));
    let restored = match own.clone().count() == data {
        true => BTreeMap::new(),
        false => reed_solomon_simd::decode(data, parity, own.map(|(index, shard)| (*index, shard)), others).ok()?,
    };
    let mut body = Vec::with_capacity(commitment.bytes as usize);
    for index in 0..data {
        match shards.get(&index) {
            Some(shard) => body.extend_from_slice(shard),
            None => body.extend_from_slice(restored.get(&index)?),
        }
    }
    decode_exact(body.get(..commitment.bytes as usize)?, MAX_BLOCK_BYTES).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::propagation::fixture::{transaction, transactions};
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static TRANSACTIONS: LazyLock<Vec<Transaction>> = LazyLock::new(|| transactions(60, 10_000));
    static PIECES: LazyLock<Pieces> = LazyLock::new(|| Pieces::of(&TRANSACTIONS).unwrap());

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_of_the_pieces_rebuild_when_they_are_enough(order in Just(all_indices()).prop_shuffle()) {
            let commitment = PIECES.commitment();
            let PieceLayout { data, .. } = commitment.layout();
            let some = |count| order.iter().take(count).map(|index| (*index, PIECES.get(*index).unwrap().shard)).collect();
            prop_assert_eq!(rebuild(&commitment, &some(data)), Some(TRANSACTIONS.clone()));
            prop_assert_eq!(rebuild(&commitment, &some(data - 1)), None);
        }
    }

    fn all_indices() -> Vec<usize> {
        (0..PIECES.commitment().layout().pieces()).collect()
    }

    #[test]
    fn pieces_prove_themselves_and_are_the_same_everywhere() {
        let commitment = PIECES.commitment();
        assert!(all_indices().into_iter().all(|index| commitment.holds(&PIECES.get(index).unwrap())));
        assert_eq!(PIECES.get(commitment.layout().pieces()), None);
        assert_eq!(Pieces::of(&transactions(60, 10_000)).unwrap().commitment(), commitment);
    }

    #[test]
    fn small_blocks_have_no_pieces_and_the_largest_has() {
        assert!(Pieces::of(&transactions(50, 10_000)).is_none());
        assert!(Pieces::of(&Vec::new()).is_none());
        let largest = vec![transaction(0, MAX_BLOCK_BYTES - 200)];
        let pieces = Pieces::of(&largest).unwrap();
        let shards = (64..192).map(|index| (index, pieces.get(index).unwrap().shard)).collect();
        assert_eq!(rebuild(&pieces.commitment(), &shards), Some(largest));
        assert!(Pieces::of(&vec![transaction(0, MAX_BLOCK_BYTES)]).is_none(), "no block is so large");
    }

    #[test]
    fn shards_that_hold_no_transactions_rebuild_nothing() {
        let commitment = PIECES.commitment();
        let PieceLayout { data, shard_bytes, .. } = commitment.layout();
        let shards = (0..data).map(|index| (index, vec![7; shard_bytes].into())).collect();
        assert_eq!(rebuild(&commitment, &shards), None);
    }
}
