//! Which transactions of a block depend on which.

use super::chain::{ETHER, FEE_RECIPIENT, SELF_DESTRUCT, TestChain, init_code, sign, signer, transaction};
use crate::{BlockContext, BuildLimits, Conflict, Location, Mode, Parallelism, analyze, build, execute};
use alloy_consensus::{TxEip1559, TxReceipt};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use heddle_primitives::{Account, Receipt, RecoveredTransaction};
use proptest::prelude::*;
use std::num::NonZeroUsize;

const USERS: u8 = 4;
/// Counts in slot 0, and logs the number.
const COUNTER: (Address, &[u8]) =
    (address(0xc0), &[0x5f, 0x54, 0x60, 1, 0x01, 0x80, 0x5f, 0x55, 0x5f, 0x52, 0x60, 32, 0x5f, 0xa0, 0x00]);
/// Logs the fee recipient's balance.
const WATCHER: (Address, &[u8]) = (address(0xc1), &[0x41, 0x31, 0x5f, 0x52, 0x60, 32, 0x5f, 0xa0, 0x00]);
/// Sends one wei to the address in its input.
const PAYER: (Address, &[u8]) = (address(0xc2), &[0x5f, 0x5f, 0x5f, 0x5f, 0x60, 1, 0x5f, 0x35, 0x5a, 0xf1, 0x00]);
/// Logs the balance of the address in its input.
const OBSERVER: (Address, &[u8]) = (address(0xc3), &[0x5f, 0x35, 0x31, 0x5f, 0x52, 0x60, 32, 0x5f, 0xa0, 0x00]);
/// Reverts with the balance of the address in its input.
const REVERTER: (Address, &[u8]) = (address(0xc4), &[0x5f, 0x35, 0x31, 0x5f, 0x52, 0x60, 32, 0x5f, 0xfd]);

const fn address(byte: u8) -> Address {
    Address::repeat_byte(byte)
}

/// A chain with rich users and the contracts above.
fn world() -> TestChain {
    let mut chain = TestChain::heddle(&[COUNTER, WATCHER, PAYER, OBSERVER, REVERTER]);
    let rich = U256::from(1_000 * ETHER);
    for user in 1..=USERS {
        chain.state.accounts.insert(signer(user).address(), Account { balance: rich, ..Account::default() });
    }
    chain.state.accounts.get_mut(&PAYER.0).unwrap().balance = rich;
    chain
}

fn call(user: u8, nonce: u64, to: impl Into<TxKind>, value: u128, input: impl Into<Bytes>) -> RecoveredTransaction {
    let (to, value, input) = (to.into(), U256::from(value), input.into());
    sign(&signer(user), TxEip1559 { nonce, to, value, input, ..transaction() })
}

fn word(address: Address) -> Bytes {
    address.into_word().into()
}

fn parallelism(chain: &TestChain, transactions: &[RecoveredTransaction]) -> Parallelism {
    let header = chain.next_header();
    analyze(&chain.rules, &chain.state, &BlockContext::new(&header), transactions).unwrap()
}

fn dependencies(transactions: &[RecoveredTransaction]) -> Vec<Option<usize>> {
    parallelism(&world(), transactions).dependencies
}

#[test]
fn credits_do_not_depend_on_each_other() {
    let transfers: Vec<_> = (1..=USERS).map(|user| call(user, 0, address(0xaa), 1, [])).collect();
    let found = parallelism(&world(), &transfers);
    let expected = Parallelism {
        dependencies: vec![None; 4],
        depth: 1,
        gas_used: 84_000,
        critical_path_gas: 21_000,
        conflicts: vec![],
    };
    assert_eq!(found, expected);
    assert_eq!(found.speedup_hundredths(), 400);
    assert_eq!(dependencies(&[call(1, 0, FEE_RECIPIENT, 1, []), call(2, 0, FEE_RECIPIENT, 1, [])]), [None, None]);
}

#[test]
fn a_block_without_transactions_is_neither_fast_nor_slow() {
    let found = parallelism(&world(), &[]);
    assert_eq!((found.depth, found.critical_path_gas, found.speedup_hundredths()), (0, 0, 100));
}

#[test]
fn a_senders_transactions_depend_on_each_other() {
    let user = signer(1).address();
    let found = parallelism(&world(), &[0, 1, 2].map(|nonce| call(1, nonce, address(0xaa), 1, [])));
    assert_eq!(found.dependencies, [None, Some(0), Some(1)]);
    assert_eq!((found.depth, found.critical_path_gas), (3, 63_000));
    let conflicts = [Location::Balance(user), Location::Nonce(user)].map(|location| Conflict { location, edges: 2 });
    assert_eq!(found.conflicts, conflicts);
}

#[test]
fn the_critical_path_is_the_dearest_chain_and_need_not_be_the_longest() {
    let deploy = call(4, 0, TxKind::Create, 0, init_code(&[0; 200]));
    let mut transactions = Vec::from([0, 1].map(|nonce| call(1, nonce, address(0xaa), 1, [])));
    transactions.push(deploy);
    let found = parallelism(&world(), &transactions);
    assert_eq!(found.depth, 2);
    assert_eq!(found.critical_path_gas, found.gas_used - 42_000, "the deployment alone");
}

#[test]
fn a_hot_slot_is_named_first() {
    let count = |user| call(user, 0, COUNTER.0, 0, []);
    let spend = call(1, 1, address(0xaa), 1, []);
    let found = parallelism(&world(), &[count(1), count(2), count(3), spend]);
    assert_eq!(found.dependencies, [None, Some(0), Some(1), Some(0)]);
    assert_eq!(found.depth, 3);
    assert_eq!(found.conflicts[0], Conflict { location: Location::Storage(COUNTER.0, U256::ZERO), edges: 2 });
    assert_eq!(found.conflicts.len(), 3, "and the sender of two: {:?}", found.conflicts);
}

#[test]
fn conflicts_are_bounded_and_in_order() {
    let users = 1..=20;
    let mut chain = world();
    for user in users.clone() {
        let balance = U256::from(ETHER);
        chain.state.accounts.insert(signer(user).address(), Account { balance, ..Account::default() });
    }
    let pair = |user| [0, 1].map(|nonce| call(user, nonce, address(0xaa), 1, []));
    let conflicts = parallelism(&chain, &users.flat_map(pair).collect::<Vec<_>>()).conflicts;
    assert_eq!(conflicts.len(), 16);
    assert!(conflicts.is_sorted_by_key(|conflict| conflict.location), "all have one edge");
}

#[test]
fn whoever_spends_or_looks_depends_on_the_credits() {
    let (second, pays) = (signer(2).address(), call(1, 0, signer(2).address(), 1, []));
    assert_eq!(dependencies(&[pays.clone(), call(2, 0, address(0xaa), 1, [])]), [None, Some(0)]);
    assert_eq!(dependencies(&[pays, call(3, 0, OBSERVER.0, 0, word(second))]), [None, Some(0)]);
    // The payer's own balance is not only credited.
    let paid = |user| call(user, 0, PAYER.0, 0, word(address(0xaa)));
    assert_eq!(dependencies(&[paid(1), paid(2)]), [None, Some(0)]);
}

#[test]
fn whoever_looks_at_the_fee_recipient_depends_on_all_that_paid_it() {
    let transfer = |user, nonce| call(user, nonce, address(0xaa), 1, []);
    let watch = |user| call(user, 0, WATCHER.0, 0, []);
    assert_eq!(dependencies(&[transfer(1, 0), transfer(2, 0), watch(3)]), [None, None, Some(1)]);
    assert_eq!(dependencies(&[watch(1), transfer(2, 0), transfer(2, 1)]), [None, None, Some(1)]);
    let found = parallelism(&world(), &[transfer(1, 0), transfer(1, 1), transfer(2, 0), watch(3)]);
    assert_eq!(found.depth, 3, "the longest chain that paid, not the last");
}

#[test]
fn a_reverted_read_is_a_read() {
    let user = signer(2).address();
    let look = |at| call(3, 0, REVERTER.0, 0, word(at));
    let transfer = call(1, 0, user, 1, []);
    assert_eq!(dependencies(&[transfer.clone(), look(user)]), [None, Some(0)]);
    assert_eq!(dependencies(&[transfer, look(address(0xab))]), [None, None]);
}

#[test]
fn a_call_depends_on_the_deployment() {
    let deploy = call(1, 0, TxKind::Create, 0, init_code(SELF_DESTRUCT));
    let found = parallelism(&world(), &[deploy, call(2, 0, signer(1).address().create(0), 0, [])]);
    assert_eq!(found.dependencies, [None, Some(0)]);
    assert!(found.conflicts.iter().any(|conflict| matches!(conflict.location, Location::Code(_))));
}

#[test]
fn hints_of_a_built_block_name_code_and_slots_whatever_was_passed_over() {
    let chain = world();
    let chosen = [
        call(1, 0, address(0xaa), 1, []),
        call(2, 0, COUNTER.0, 0, []),
        call(1, 1, COUNTER.0, 0, []),
        call(3, 0, address(0xaa), 1, []),
        call(3, 1, WATCHER.0, 0, []),
    ];
    let mut candidates = Vec::new();
    for (nonce, transaction) in (7..).zip(&chosen) {
        // A nonce ahead, a used one, and one without gas.
        candidates.push(call(4, nonce, COUNTER.0, 0, []));
        candidates.push(transaction.clone());
        candidates.push(chosen[0].clone());
    }
    let limits = BuildLimits { transaction_bytes_max: usize::MAX, threads: NonZeroUsize::MIN, deadline: &|| false };
    let header = chain.next_header();
    let built =
        build(&chain.rules, &chain.state, &BlockContext::new(&header), &mut candidates.into_iter(), &limits).unwrap();
    assert_eq!(built.transactions, chosen);
    let hints: Vec<_> = (0..chosen.len()).map(|index| built.hints.dependency(index)).collect();
    assert_eq!((built.hints.len(), hints), (5, vec![None, None, Some(1), None, None]));
    // The nonce of the last one's sender, and the fees it looks at, are dependencies all the same.
    assert_eq!(parallelism(&chain, &chosen).dependencies, [None, None, Some(1), None, Some(3)]);
}

/// Gas, status and logs of the last transaction.
fn last_result(chain: &TestChain, transactions: &[RecoveredTransaction]) -> (u64, Receipt) {
    let header = chain.next_header();
    let outcome = execute(&chain.rules, &chain.state, &BlockContext::new(&header), transactions, Mode::Sequential);
    let mut receipts = outcome.unwrap().receipts;
    let last = receipts.pop().unwrap();
    let before = receipts.last().map_or(0, TxReceipt::cumulative_gas_used);
    (last.cumulative_gas_used() - before, last)
}

/// A user's next transaction.
fn any_transaction() -> impl Strategy<Value = (u8, u8, u8)> {
    (1..=USERS, 0..9u8, 1..=USERS)
}

fn transaction_of((user, kind, other): (u8, u8, u8), nonce: u64) -> RecoveredTransaction {
    let other = signer(other).address();
    match kind {
        0 => call(user, nonce, other, 3, []),
        1 => call(user, nonce, address(0xaa), 3, []),
        2 => call(user, nonce, COUNTER.0, 0, []),
        3 => call(user, nonce, WATCHER.0, 0, []),
        4 => call(user, nonce, PAYER.0, 0, word(other)),
        5 => call(user, nonce, OBSERVER.0, 0, word(other)),
        6 => call(user, nonce, REVERTER.0, 0, word(PAYER.0)),
        7 => call(user, nonce, TxKind::Create, 1, init_code(SELF_DESTRUCT)),
        _ => call(user, nonce, other.create(0), 0, []),
    }
}

proptest! {
    /// Between the latest dependency of a transaction and the transaction nothing happens that it could notice.
    #[test]
    fn a_transaction_does_not_notice_what_it_does_not_depend_on(kinds in prop::collection::vec(any_transaction(), 1..16)) {
        let chain = world();
        let mut nonces = [0; USERS as usize + 1];
        let next = |kind: (u8, u8, u8)| {
            let nonce = &mut nonces[usize::from(kind.0)];
            *nonce += 1;
            transaction_of(kind, *nonce - 1)
        };
        let transactions: Vec<_> = kinds.into_iter().map(next).collect();
        for (index, dependency) in parallelism(&chain, &transactions).dependencies.into_iter().enumerate() {
            let (gas, receipt) = last_result(&chain, &transactions[..=index]);
            let mut needed = transactions[..dependency.map_or(0, |latest| latest + 1)].to_vec();
            needed.push(transactions[index].clone());
            let (gas_alone, receipt_alone) = last_result(&chain, &needed);
            prop_assert_eq!(gas, gas_alone);
            prop_assert_eq!((receipt.status(), receipt.logs()), (receipt_alone.status(), receipt_alone.logs()));
        }
    }
}
