//! Single transactions.

use super::chain::{COUNTER, REVERTER, TestChain, address, init_code};
use crate::{CallStatus, ExecutionError, transact};
use alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
use alloy_primitives::{Bytes, TxKind, U256};

#[test]
fn transaction_runs_without_a_block_around_it() {
    let mut chain = TestChain::heddle(&[(address(0xc0), COUNTER)]);
    let call = chain.transaction(0, TxKind::Call(address(0xc0)), 0, Bytes::new());
    let outcome = transact(&chain.rules, &chain.state, &chain.next_header(), &call).unwrap();
    assert_eq!(outcome.status, CallStatus::Success);
    assert_eq!(outcome.receipt.cumulative_gas_used(), outcome.gas_used);
    assert!(!outcome.changes.accounts.contains_key(&HISTORY_STORAGE_ADDRESS), "no system call");
    chain.state.apply(&outcome.changes);
    assert_eq!(chain.state.slot(address(0xc0), 0), U256::from(1));

    let deploy = chain.transaction(1, TxKind::Create, 0, init_code(COUNTER));
    let outcome = transact(&chain.rules, &chain.state, &chain.next_header(), &deploy).unwrap();
    assert_eq!(outcome.output.as_ref(), COUNTER);
}

#[test]
fn revert_is_an_outcome_and_an_invalid_transaction_is_not() {
    let chain = TestChain::heddle(&[(address(0xc0), REVERTER)]);
    let call = chain.transaction(0, TxKind::Call(address(0xc0)), 0, Bytes::new());
    let outcome = transact(&chain.rules, &chain.state, &chain.next_header(), &call).unwrap();
    assert_eq!((outcome.status, outcome.receipt.status()), (CallStatus::Revert, false));
    assert_eq!(outcome.output.as_ref(), U256::from(42).to_be_bytes::<32>());

    let early = chain.transfer(1, address(0xaa), 1);
    let error = transact(&chain.rules, &chain.state, &chain.next_header(), &early).unwrap_err();
    assert!(matches!(error, ExecutionError::InvalidTransaction { index: 0, .. }), "{error}");
}
