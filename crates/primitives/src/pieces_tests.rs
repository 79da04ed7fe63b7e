//! Paths prove their piece and no other.

use super::*;
use crate::decode_exact;
use proptest::prelude::*;

fn shards(bytes: usize) -> (PieceLayout, Vec<Vec<u8>>) {
    let layout = PieceLayout::of(bytes);
    (layout, (0..layout.pieces()).map(|index| vec![index as u8; layout.shard_bytes]).collect())
}

/// Every piece of some shards, and what names them.
fn cut(bytes: usize) -> (PieceCommitment, Vec<Piece>) {
    let (_, shards) = shards(bytes);
    let tree = PieceTree::new(&shards);
    let piece =
        |(index, shard): (usize, Vec<u8>)| Piece { index: index as u16, shard: shard.into(), path: tree.path(index) };
    (PieceCommitment { root: tree.root(), bytes: bytes as u32 }, shards.into_iter().enumerate().map(piece).collect())
}

#[test]
fn layouts_stay_within_their_bounds() {
    for bytes in
        [1, SHARD_BYTES_MIN, SHARD_BYTES_MIN + 1, WHOLE_BODY_BYTES_MAX + 1, 2 << 20, (2 << 20) + 1, MAX_BLOCK_BYTES]
    {
        let layout = PieceLayout::of(bytes);
        assert!(layout.data * layout.shard_bytes >= bytes, "{bytes}");
        assert!((layout.data - 1) * layout.shard_bytes < bytes, "{bytes}: no shard is only filling");
        assert!(layout.pieces() <= MAX_PIECES && layout.parity * 2 >= layout.data, "{bytes}");
        assert_eq!(layout.shard_bytes % SHARD_UNIT, 0);
        assert!(depth(layout.pieces()) <= PATH_MAX);
    }
    assert_eq!(PieceLayout::of(2 << 20), PieceLayout { data: 128, parity: 64, shard_bytes: 16 << 10 });
}

#[test]
fn every_piece_proves_itself() {
    for bytes in [1, 3 * SHARD_BYTES_MIN, 600 * 1024] {
        let (commitment, pieces) = cut(bytes);
        assert!(pieces.iter().all(|piece| commitment.holds(piece)), "{bytes}");
    }
}

proptest! {
    #[test]
    fn a_piece_that_differs_is_no_piece(index in 0usize..48, other in 0usize..48, at in any::<prop::sample::Index>()) {
        let (commitment, pieces) = cut(WHOLE_BODY_BYTES_MAX);
        let good = &pieces[index];
        let altered = |alter: &dyn Fn(&mut Piece)| {
            let mut piece = good.clone();
            alter(&mut piece);
            piece
        };
        let bit = altered(&|piece| {
            let mut shard = piece.shard.to_vec();
            let at = at.index(shard.len());
            shard[at] ^= 1;
            piece.shard = shard.into();
        });
        prop_assert!(!commitment.holds(&bit));
        prop_assert!(!commitment.holds(&altered(&|piece| piece.shard = piece.shard.slice(1..))));
        prop_assert!(!commitment.holds(&altered(&|piece| piece.path[at.index(6)] = B256::ZERO)));
        prop_assert!(!commitment.holds(&altered(&|piece| piece.path.truncate(5))));
        prop_assert!(!commitment.holds(&altered(&|piece| piece.path.push(B256::ZERO))));
        prop_assert_eq!(commitment.holds(&altered(&|piece| piece.index = other as u16)), other == index);
        prop_assert!(!commitment.holds(&altered(&|piece| piece.index = piece.index.wrapping_add(64))));
        let root = B256::repeat_byte(9);
        prop_assert!(!PieceCommitment { root, ..commitment }.holds(good), "another block's piece");
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(piece) = decode_exact::<Piece>(&bytes, usize::MAX) {
            prop_assert_eq!(alloy_rlp::encode(&piece), bytes.clone());
        }
        let _ = decode_exact::<PieceCommitment>(&bytes, usize::MAX);
    }
}

#[test]
fn only_possible_sizes_decode() {
    let decode = |bytes| {
        let commitment = PieceCommitment { root: B256::ZERO, bytes };
        decode_exact::<PieceCommitment>(&alloy_rlp::encode(commitment), usize::MAX)
    };
    assert!(decode(0).is_err() && decode(MAX_BLOCK_BYTES as u32 + 1).is_err() && decode(u32::MAX).is_err());
    assert!(decode(1).is_ok() && decode(MAX_BLOCK_BYTES as u32).is_ok());
    let long = Piece { index: 0, shard: Bytes::new(), path: vec![B256::ZERO; PATH_MAX + 1] };
    assert!(decode_exact::<Piece>(&alloy_rlp::encode(long), usize::MAX).is_err());
}
