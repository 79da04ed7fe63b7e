//! A compact block has one encoding, says what it says it says, and becomes its block or none.

use super::*;
use crate::{
    ConsensusSignature, EncodedAccessList, Height, MAX_COMPACT_BLOCK_BYTES, Proposal, Request, Response, Round,
    ValidatorAddress, decode_exact,
};
use alloy_consensus::{Signed, TxLegacy};
use alloy_primitives::{Signature, U256};
use proptest::prelude::*;
use std::fmt::Debug;

fn transaction(nonce: u64) -> Transaction {
    let transaction = TxLegacy { nonce, value: U256::from(nonce), ..TxLegacy::default() };
    Transaction::Legacy(Signed::new_unhashed(transaction, Signature::test_signature()))
}

/// A block of these many transactions whose header binds them.
fn proposed(transactions: u64, hints: Vec<u32>, certified: bool) -> ProposedBlock {
    let transactions: Vec<_> = (0..transactions).map(transaction).collect();
    let certificate = CommitCertificate::new(Height::new(4), Round::new(1), B256::repeat_byte(3), Vec::new());
    let parent_certificate = certified.then_some(certificate);
    let header = Header {
        number: 5,
        transactions_root: calculate_transaction_root(&transactions),
        base_fee_per_gas: Some(7),
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(consensus_root(parent_certificate.as_ref(), &[])),
        ..Header::default()
    };
    let body = BlockBody { transactions, ommers: Vec::new(), withdrawals: Some(Withdrawals::default()) };
    let mut proposed = ProposedBlock::new(Arc::new(Block { header, body }), parent_certificate);
    proposed.hints = DependencyHints::new(hints).without_trailing_zeros();
    proposed
}

fn pieces() -> Option<PieceCommitment> {
    Some(PieceCommitment { root: B256::repeat_byte(8), bytes: 600_000 })
}

/// Every value has one encoding, and no other bytes decode to it.
fn assert_codec<T: Encodable + Decodable + PartialEq + Debug>(value: &T) {
    let bytes = alloy_rlp::encode(value);
    assert_eq!(bytes.len(), value.length());
    assert_eq!(&decode_exact::<T>(&bytes, bytes.len()).unwrap(), value);
    assert!(decode_exact::<T>(&[&bytes[..], &[0]].concat(), usize::MAX).is_err(), "trailing bytes must be refused");
    assert!(decode_exact::<T>(&bytes, bytes.len() - 1).is_err(), "the size bound must hold");
}

fn refused<T: Encodable + Decodable + Debug>(value: &T, problem: &str) {
    let error = decode_exact::<T>(&alloy_rlp::encode(value), usize::MAX).unwrap_err();
    assert!(error.to_string().contains(problem), "{error}");
}

proptest! {
    #[test]
    fn what_travels_has_one_encoding(
        transactions in 0u64..20,
        hints in proptest::collection::vec(0u32..3, 0..20),
        certified in any::<bool>(),
        whole_bytes_max in prop_oneof![Just(0), Just(400), Just(usize::MAX)],
        in_pieces in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let hints = hints.into_iter().take(transactions as usize).collect();
        let proposed = proposed(transactions, hints, certified);
        let block = CompactBlock::of(&proposed, whole_bytes_max, pieces().filter(|_| in_pieces));
        prop_assert_eq!(block.check(), Ok(()));
        prop_assert_eq!(block.transactions.count(), transactions as usize);
        prop_assert_eq!(&block.with_transactions(proposed.block.body.transactions.clone()), &proposed);
        let proposal = Proposal {
            height: Height::new(5),
            round: Round::new(0),
            block_hash: block.hash(),
            pol_round: None,
            validator: ValidatorAddress::default(),
        };
        let signature = ConsensusSignature::from_bytes([7; 64]);
        let proposal = CompactProposal { proposal: SignedProposal { proposal, signature }, block: block.clone() };
        assert_codec(&block.transactions);
        assert_codec(&block);
        assert_codec(&proposal);
        let certificate = CommitCertificate::new(Height::new(5), Round::new(0), block.hash(), Vec::new());
        assert_codec(&CompactFinalized { block, certificate });
        let bytes = alloy_rlp::encode(&proposal);
        prop_assert!(decode_exact::<CompactProposal>(&bytes[..cut.index(bytes.len())], usize::MAX).is_err());
    }

    /// Whatever decodes is what its own encoding says, whichever byte is changed.
    #[test]
    fn changed_bytes_never_give_a_second_encoding(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let block = CompactBlock::of(&proposed(9, vec![0, 1, 2], true), 0, pieces());
        let mut bytes = alloy_rlp::encode(block);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(decoded) = decode_exact::<CompactBlock>(&bytes, MAX_COMPACT_BLOCK_BYTES) {
            prop_assert_eq!(alloy_rlp::encode(&decoded), bytes);
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_exact::<CompactProposal>(&bytes, MAX_COMPACT_BLOCK_BYTES);
        let _ = decode_exact::<CompactFinalized>(&bytes, MAX_COMPACT_BLOCK_BYTES);
        let _ = decode_exact::<CompactTransactions>(&bytes, MAX_COMPACT_BLOCK_BYTES);
    }
}

#[test]
fn other_encodings_are_refused() {
    let good = CompactBlock::of(&proposed(3, vec![0, 1], true), 0, None);
    let hints = |hints: Vec<u32>| CompactBlock { hints: DependencyHints::new(hints), ..good.clone() };
    refused(&hints(vec![1, 0]), "no zero");
    refused(&hints(vec![1; 4]), "longer than its limit");
    let id = |index: usize| ShortId::new([(index >> 16) as u8, (index >> 8) as u8, index as u8, 0, 0, 0]);
    let ids = |count| TransactionIds { ids: (0..count).map(id).collect(), pieces: None };
    refused(&TransactionIds { ids: vec![id(1), id(2), id(1)], pieces: None }, "have one id");
    refused(&ids(0), "without transactions");
    refused(&ids(MAX_BLOCK_TRANSACTIONS + 1), "more ids");
    assert_codec(&ids(MAX_BLOCK_TRANSACTIONS));
    let evidence = (0..=EVIDENCE_PER_BLOCK_MAX).map(|_| B256::ZERO).collect::<Vec<_>>();
    assert!(
        crate::request::decode_bounded::<B256>(&mut &alloy_rlp::encode(evidence)[..], EVIDENCE_PER_BLOCK_MAX).is_err()
    );
    // A string of ids that is cut in the middle of one.
    let mut bytes = Vec::new();
    alloy_rlp::Header { list: true, payload_length: 9 }.encode(&mut bytes);
    [1u8; 7].as_slice().encode(&mut bytes);
    bytes.push(0xc0);
    assert!(decode_exact::<TransactionIds>(&bytes, usize::MAX).unwrap_err().to_string().contains("6 bytes"));
}

#[test]
fn few_transactions_go_along_and_many_are_named() {
    let block = proposed(10, Vec::new(), true);
    let bytes = block.block.body.transactions.length();
    let whole = |max| matches!(CompactBlock::of(&block, max, None).transactions, CompactTransactions::Whole(_));
    assert!(whole(bytes) && !whole(bytes - 1));
    let none = proposed(0, Vec::new(), true);
    assert!(matches!(CompactBlock::of(&none, 0, None).transactions, CompactTransactions::Whole(_)));
    let many = proposed(1_000, vec![0; 1_000], true);
    let compact = CompactBlock::of(&many, 4_096, None);
    assert!(compact.length() < 1_000 * 6 + 700, "{} bytes: ids and a header", compact.length());
}

#[test]
fn what_a_header_does_not_bind_is_found() {
    type Alter = fn(&mut CompactBlock);
    let table: [(&str, Alter); 6] = [
        ("parent certificate", |block| block.parent_certificate = None),
        ("parent certificate", |block| block.header.parent_beacon_block_root = None),
        ("ommers", |block| block.header.ommers_hash = B256::ZERO),
        ("withdrawals", |block| block.header.withdrawals_root = Some(B256::ZERO)),
        ("transactions", |block| block.header.transactions_root = B256::ZERO),
        ("transactions", |block| block.transactions = CompactTransactions::Whole(vec![transaction(9)])),
    ];
    for (part, alter) in table {
        let mut block = CompactBlock::of(&proposed(3, Vec::new(), true), usize::MAX, None);
        assert_eq!(block.check(), Ok(()));
        alter(&mut block);
        let fault = block.check().unwrap_err();
        assert!(fault.to_string().contains(part), "{part}: {fault}");
    }
}

#[test]
fn no_block_is_larger_than_a_block() {
    let proposed = proposed(3, Vec::new(), true);
    let block = CompactBlock::of(&proposed, 0, None);
    let input = vec![1; MAX_BLOCK_BYTES / 8].into();
    let transaction = TxLegacy { input, ..TxLegacy::default() };
    let large = Transaction::Legacy(Signed::new_unhashed(transaction, Signature::test_signature()));
    let check = |count| block.check_transactions(&vec![large.clone(); count]).unwrap_err();
    assert!(matches!(check(7), CompactBlockFault::Differs { .. }));
    assert!(matches!(check(8), CompactBlockFault::TooLarge(bytes) if bytes > MAX_BLOCK_BYTES));
}

/// Only names said that there are so many transactions: the block must still be one that others can read.
#[test]
fn hints_for_more_transactions_than_there_are_go_no_further() {
    let proposed = proposed(3, vec![0, 1], true);
    let mut block = CompactBlock::of(&proposed, 0, None);
    let CompactTransactions::Ids(ids) = &mut block.transactions else { panic!("not named") };
    ids.ids.push(ShortId::new([9; 6]));
    block.hints = DependencyHints::new(vec![1; 4]);
    assert_codec(&block);
    let filled = block.with_transactions(proposed.block.body.transactions.clone());
    assert!(filled.hints.is_empty());
    assert_codec(&filled);
}

#[test]
fn the_access_list_stays_behind() {
    let mut proposed = proposed(3, Vec::new(), true);
    let without = CompactBlock::of(&proposed, 0, None);
    proposed.access_list = Some(EncodedAccessList::new(&Vec::new()));
    assert_eq!(CompactBlock::of(&proposed, 0, None), without);
}

#[test]
fn parts_of_blocks_have_one_encoding() {
    use crate::{BlockPiecesRequest, BlockTransactionsRequest, IndexSet, MAX_PIECES, Piece};
    let block_hash = B256::repeat_byte(1);
    let indices: IndexSet = [0, 9, 70].into_iter().collect();
    assert_codec(&Request::BlockTransactions(BlockTransactionsRequest { block_hash, indices: indices.clone() }));
    assert_codec(&Request::BlockTransactions(BlockTransactionsRequest { block_hash, indices: IndexSet::default() }));
    assert_codec(&Request::BlockPieces(BlockPiecesRequest { block_hash, root: block_hash, indices }));
    assert_codec(&Response::BlockTransactions(vec![transaction(1), transaction(2)]));
    let piece = Piece { index: 300, shard: vec![1, 2, 3].into(), path: vec![block_hash; 8] };
    assert_codec(&Response::BlockPieces(vec![piece.clone(), piece.clone()]));
    refused(&Response::BlockPieces(vec![piece; MAX_PIECES + 1]), "longer than its limit");
}
