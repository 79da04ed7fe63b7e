//! What is served, and what is waited for.

use super::super::fixture::{block, compact, transactions};
use super::*;
use heddle_primitives::{CompactTransactions, IndexSet, decode_exact};

fn ask(block: &ProposedBlock, indices: &[usize]) -> Request {
    let indices = indices.iter().copied().collect();
    Request::BlockTransactions(BlockTransactionsRequest { block_hash: block.hash(), indices })
}

fn ask_pieces(block: &ProposedBlock, root: B256, indices: impl IntoIterator<Item = usize>) -> Request {
    let indices = indices.into_iter().collect();
    Request::BlockPieces(BlockPiecesRequest { block_hash: block.hash(), root, indices })
}

#[tokio::test]
async fn the_last_blocks_are_served() {
    let shelf = BlockShelf::default();
    let blocks: Vec<_> = (0..=BLOCKS_MAX as u64).map(|number| block(number, transactions(10, 100))).collect();
    for block in &blocks {
        shelf.offer(block.clone());
        shelf.offer(block.clone());
    }
    assert_eq!(shelf.serve(&ask(&blocks[0], &[1])).await, Response::Refused(Refusal::Gone));
    let all = &blocks[1].block.body.transactions;
    assert_eq!(shelf.serve(&ask(&blocks[1], &[])).await, Response::BlockTransactions(all.clone()));
    let some = vec![all[2].clone(), all[9].clone()];
    assert_eq!(shelf.serve(&ask(&blocks[1], &[2, 9, 10])).await, Response::BlockTransactions(some));
    assert_eq!(shelf.serve(&ask_pieces(&blocks[1], B256::ZERO, [0])).await, Response::Refused(Refusal::Gone));
    assert_eq!(shelf.serve(&Request::Status).await, Response::Refused(Refusal::Gone));
}

#[test]
fn small_blocks_push_no_other_out_that_is_offered_again() {
    let shelf = BlockShelf::default();
    let wanted = block(99, transactions(10, 100));
    shelf.offer(wanted.clone());
    for number in 0..BLOCKS_MAX as u64 - 1 {
        shelf.offer(block(number, Vec::new()));
    }
    assert!(shelf.get(wanted.hash()).is_some(), "there is room");
    shelf.offer(wanted.clone());
    shelf.offer(block(98, Vec::new()));
    assert!(shelf.get(wanted.hash()).is_some(), "it is no longer the oldest");
}

#[test]
fn large_blocks_are_bounded_in_bytes() {
    let shelf = BlockShelf::default();
    let large: Vec<_> = (0..4).map(|number| block(number, transactions(1, BYTES_MAX / 3))).collect();
    large.iter().for_each(|block| shelf.offer(block.clone()));
    let kept: Vec<_> = large.iter().map(|block| shelf.get(block.hash()).is_some()).collect();
    assert_eq!(kept, [false, false, true, true], "three and their headers are too many");
}

#[tokio::test]
async fn every_answer_fits_its_bound() {
    let shelf = BlockShelf::default();
    let largest = block(1, transactions(8, (1 << 20) - 200));
    let compact = shelf.compact(largest.clone(), 0).await;
    let CompactTransactions::Ids(ids) = &compact.transactions else { panic!("it is large") };
    let everything = ask_pieces(&largest, ids.pieces.unwrap().root, 0..1_000);
    for request in [ask(&largest, &[]), everything] {
        let response = shelf.serve(&request).await;
        let bytes = alloy_rlp::encode(&response);
        assert_eq!(decode_exact::<Response>(&bytes, heddle_primitives::MAX_RESPONSE_BYTES), Ok(response));
    }
}

#[tokio::test]
async fn pieces_are_served_before_the_block_is_there() {
    let block = block(1, transactions(60, 10_000));
    let pieces = Pieces::of(&block.block.body.transactions).unwrap();
    let commitment = pieces.commitment();
    let shelf = BlockShelf::default();
    let request = ask_pieces(&block, commitment.root, [3, 5]);
    assert_eq!(shelf.serve(&request).await, Response::BlockPieces(Vec::new()), "nothing is known of it");
    shelf.expect(block.hash());
    let hold = async { shelf.hold(block.hash(), commitment, vec![pieces.get(5).unwrap()]) };
    let (early, ()) = tokio::join!(shelf.serve(&request), hold);
    assert_eq!(early, Response::BlockPieces(vec![pieces.get(5).unwrap()]));
    assert_eq!(shelf.serve(&request).await, Response::BlockPieces(vec![pieces.get(5).unwrap()]));
    shelf.offer(block.clone());
    let both = vec![pieces.get(3).unwrap(), pieces.get(5).unwrap()];
    assert_eq!(shelf.serve(&request).await, Response::BlockPieces(both));
    let other = ask_pieces(&block, B256::ZERO, [3]);
    assert_eq!(shelf.serve(&other).await, Response::Refused(Refusal::Gone), "it has no such pieces");
}

#[tokio::test]
async fn a_block_on_its_way_is_waited_for_a_moment() {
    let shelf = BlockShelf::default();
    let block = block(1, transactions(3, 100));
    shelf.expect(block.hash());
    assert_eq!(shelf.serve(&ask(&block, &[0])).await, Response::Refused(Refusal::Busy), "it did not come");
    let question = ask(&block, &[0]);
    let (answer, ()) = tokio::join!(shelf.serve(&question), async { shelf.offer(block.clone()) });
    assert_eq!(answer, Response::BlockTransactions(block.block.body.transactions[..1].to_vec()));
    shelf.expect(B256::ZERO);
    shelf.give_up(B256::ZERO);
    let unknown = BlockTransactionsRequest { block_hash: B256::ZERO, indices: IndexSet::default() };
    assert_eq!(shelf.serve(&Request::BlockTransactions(unknown)).await, Response::Refused(Refusal::Gone));
}

#[tokio::test]
async fn the_compact_form_is_always_the_same() {
    for count in [3, 60] {
        let block = block(1, transactions(count, 10_000));
        let shelf = BlockShelf::default();
        assert_eq!(shelf.compact(block.clone(), 0).await, compact(&block));
        assert_eq!(shelf.compact(block.clone(), 0).await, compact(&block));
    }
}
