//! Blocks for tests.

use crate::propagation::erasure::Pieces;
use alloy_consensus::{BlockBody, Signed, TxLegacy, constants::EMPTY_WITHDRAWALS, proofs::calculate_transaction_root};
use alloy_primitives::{Bytes, Signature};
use heddle_primitives::{Block, CompactBlock, Header, ProposedBlock, Transaction, consensus_root};
use std::sync::Arc;

/// A transaction with so many bytes of input.
pub(crate) fn transaction(nonce: u64, bytes: usize) -> Transaction {
    let transaction = TxLegacy { nonce, input: Bytes::from(vec![nonce as u8; bytes]), ..TxLegacy::default() };
    Transaction::Legacy(Signed::new_unhashed(transaction, Signature::test_signature()))
}

/// So many, all different.
pub(crate) fn transactions(count: u64, bytes: usize) -> Vec<Transaction> {
    (0..count).map(|nonce| transaction(nonce, bytes)).collect()
}

/// A block of these transactions, with the header of a chain of ours.
pub(crate) fn block(number: u64, transactions: Vec<Transaction>) -> Arc<ProposedBlock> {
    let header = Header {
        number,
        transactions_root: calculate_transaction_root(&transactions),
        base_fee_per_gas: Some(7),
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(consensus_root(None, &[])),
        ..Header::default()
    };
    let body = BlockBody { transactions, ommers: Vec::new(), withdrawals: Some(Default::default()) };
    Arc::new(ProposedBlock::new(Arc::new(Block { header, body }), None))
}

/// Its compact form: names, and pieces where it is large.
pub(crate) fn compact(block: &ProposedBlock) -> CompactBlock {
    let pieces = Pieces::of(&block.block.body.transactions);
    CompactBlock::of(block, 0, pieces.map(|pieces| pieces.commitment()))
}
