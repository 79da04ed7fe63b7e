//! Blocks built from candidates.

use super::chain::{COUNTER, ETHER, TestChain, address, sign, signer, transaction};
use crate::{BlockContext, BuildLimits, BuiltTransactions, ExecutionError, Mode, build, execute};
use alloy_consensus::{TxEip1559, TxEip4844};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Bytes, TxKind, U256};
use heddle_primitives::RecoveredTransaction;
use std::cell::Cell;
use std::num::NonZeroUsize;

const THREADS: NonZeroUsize = NonZeroUsize::new(2).unwrap();
const NO_LIMITS: BuildLimits<'static> =
    BuildLimits { transaction_bytes_max: usize::MAX, threads: THREADS, deadline: &|| false };

fn try_build(chain: &TestChain, candidates: Vec<RecoveredTransaction>, limits: &BuildLimits<'_>) -> BuiltTransactions {
    build(&chain.rules, &chain.state, &BlockContext::new(&chain.next_header()), &mut candidates.into_iter(), limits)
        .unwrap()
}

fn hashes(transactions: &[RecoveredTransaction]) -> Vec<alloy_primitives::TxHash> {
    transactions.iter().map(|transaction| *transaction.tx_hash()).collect()
}

#[test]
fn built_block_executes_to_the_same_outcome() {
    let contract = address(0xc0);
    let chain = TestChain::heddle(&[(contract, COUNTER)]);
    let candidates = vec![
        sign(&signer(7), transaction()),
        chain.transfer(0, address(0xaa), 1),
        sign(&signer(1), TxEip1559 { value: U256::from(9), ..transaction() }),
        chain.transaction(1, TxKind::Call(contract), 0, Bytes::new()),
        sign(&chain.signer, TxEip1559 { nonce: 2, gas_limit: 20_000, ..transaction() }),
    ];
    let never_valid = candidates[4].clone();
    let chosen = [candidates[1].clone(), candidates[3].clone()];
    let built = try_build(&chain, candidates, &NO_LIMITS);
    assert_eq!(hashes(&built.transactions), hashes(&chosen));
    // The poor and the stale one may be valid in another block; the last is in none.
    assert_eq!(built.invalid.iter().map(|(hash, _)| *hash).collect::<Vec<_>>(), hashes(&[never_valid]));

    let header = chain.next_header();
    let context = BlockContext::new(&header);
    let outcome = execute(&chain.rules, &chain.state, &context, &built.transactions, Mode::Sequential).unwrap();
    assert_eq!(outcome, built.outcome, "candidates that were refused leave no trace, not even in the access list");
}

#[test]
fn sender_is_passed_over_after_a_transaction_that_does_not_fit() {
    let chain = TestChain::heddle(&[]);
    let cheap = sign(&chain.signer, TxEip1559 { max_fee_per_gas: 1, max_priority_fee_per_gas: 0, ..transaction() });
    let built = try_build(&chain, vec![cheap, chain.transfer(1, address(0xaa), 1)], &NO_LIMITS);
    assert!(built.transactions.is_empty());
    assert!(built.invalid.is_empty(), "a low fee and a nonce ahead may still become valid: {:?}", built.invalid);
}

#[test]
fn gas_limit_and_bytes_limit_bound_the_block() {
    let chain = TestChain::heddle(&[]);
    let large = |nonce| sign(&chain.signer, TxEip1559 { nonce, gas_limit: 16_000_000, ..transaction() });
    // The second does not fit beside the gas of ten transfers: the block has 30,000,000.
    let candidates: Vec<_> = (0..1_300).map(|nonce| chain.transfer(nonce, address(0xaa), 1)).collect();
    let mut with_large = candidates.clone();
    with_large.insert(700, large(700));
    with_large.truncate(702);
    let built = try_build(&chain, with_large, &NO_LIMITS);
    assert_eq!(built.transactions.len(), 700, "16,000,000 do not fit after 700 transfers");
    assert!(built.invalid.is_empty());

    let bytes = candidates[0].encode_2718_len() + candidates[1].encode_2718_len();
    let limits = BuildLimits { transaction_bytes_max: bytes, ..NO_LIMITS };
    assert_eq!(try_build(&chain, candidates, &limits).transactions.len(), 2);
}

#[test]
fn deadline_ends_the_building() {
    let chain = TestChain::heddle(&[]);
    // Each asks for so much gas that it is executed alone, and the deadline is looked at before it.
    let candidates =
        (0..5).map(|nonce| sign(&chain.signer, TxEip1559 { nonce, gas_limit: 9_000_000, ..transaction() })).collect();
    let asked = Cell::new(0);
    let deadline = || {
        asked.set(asked.get() + 1);
        asked.get() > 3
    };
    let limits = BuildLimits { deadline: &deadline, ..NO_LIMITS };
    assert_eq!(try_build(&chain, candidates, &limits).transactions.len(), 3);
}

#[test]
fn blob_transactions_are_refused() {
    let chain = TestChain::heddle(&[]);
    let blob = TxEip4844 { chain_id: super::chain::CHAIN_ID, ..TxEip4844::default() };
    let blob = sign(&chain.signer, blob);
    let built = try_build(&chain, vec![blob.clone()], &NO_LIMITS);
    assert_eq!(built.invalid, [(*blob.tx_hash(), "blob transactions are not accepted".to_owned())]);
}

#[test]
fn failing_disk_fails_the_build() {
    let mut chain = TestChain::heddle(&[]);
    chain.state.fails_at = Some(address(0xaa));
    let mut candidates = vec![chain.transfer(0, address(0xaa), ETHER)].into_iter();
    let error =
        build(&chain.rules, &chain.state, &BlockContext::new(&chain.next_header()), &mut candidates, &NO_LIMITS)
            .unwrap_err();
    assert!(matches!(error, ExecutionError::State(_)), "{error}");
}
