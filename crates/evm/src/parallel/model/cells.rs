//! One account or slot whose writer and readers are at it at once.

use super::super::account::{AccountCell, AccountWrite, BalanceWrite, WaitFor};
use super::super::interner::Interner;
use super::super::slot::SlotCell;
use super::check_all;
use alloy_primitives::{Address, U256};
use heddle_primitives::Account;
use shuttle::thread;
use std::convert::Infallible;

fn wei(amount: u64) -> U256 {
    U256::from(amount)
}

/// An account with 100 wei before the block.
fn account() -> AccountCell {
    AccountCell::new(Address::ZERO, Some(Account { balance: wei(100), ..Account::default() }))
}

fn credit(amount: u64) -> AccountWrite {
    AccountWrite { balance: BalanceWrite::Credit(wei(amount)), ..AccountWrite::default() }
}

fn balance(account: Option<Account>) -> U256 {
    account.unwrap_or_default().balance
}

/// Makes final what stands there, with `amount` more than before it.
fn settle(cell: &AccountCell, index: u32, amount: u64) {
    let after = |before| Ok::<_, WaitFor>(credit(amount).apply(before).unwrap());
    cell.settle(index, after).unwrap();
}

/// That what was read one after the other are `phases`, none left for an earlier one.
fn assert_in_order<T: PartialEq + std::fmt::Debug>(reads: &[T], phases: &[T]) {
    let mut left = phases.iter();
    let mut phase = left.next();
    for read in reads {
        while phase.is_some_and(|phase| phase != read) {
            phase = left.next();
        }
        assert!(phase.is_some(), "{reads:?} are not in the order of {phases:?}");
    }
}

#[test]
fn a_slot_is_read_as_it_is_written_and_never_from_the_future() {
    check_all(|| {
        let (account, slot) = (account(), SlotCell::new(0, U256::ZERO, wei(7)));
        let reads = thread::scope(|scope| {
            let reads = scope.spawn(|| [1, 2].map(|index| slot.read(&account, index)));
            slot.write(1, wei(8));
            slot.retract(1);
            assert_eq!(slot.read(&account, 2), Err(WaitFor(1)), "an estimate is no value");
            slot.write(1, wei(9));
            slot.forget(1);
            reads.join().unwrap()
        });
        assert_eq!(reads[0], Ok(wei(7)));
        assert!([Ok(wei(7)), Ok(wei(8)), Err(WaitFor(1)), Ok(wei(9))].contains(&reads[1]), "{reads:?}");
        assert_eq!(slot.read(&account, 2), Ok(wei(9)));
    });
}

#[test]
fn an_account_whose_second_try_does_not_write_it_is_as_before() {
    check_all(|| {
        let cell = account();
        let reads = thread::scope(|scope| {
            let reads = scope.spawn(|| [cell.read(2), cell.read(2)].map(|read| read.map(balance)));
            cell.publish(1, credit(1));
            cell.retract(1);
            assert_eq!(cell.read(2), Err(WaitFor(1)), "an estimate is no value");
            cell.forget(1);
            reads.join().unwrap()
        });
        assert_in_order(&reads, &[Ok(wei(100)), Ok(wei(101)), Err(WaitFor(1)), Ok(wei(100))]);
        assert_eq!(cell.read(2).map(balance), Ok(wei(100)));
    });
}

#[test]
fn credits_are_published_in_any_order_and_lost_in_none() {
    check_all(|| {
        let cell = account();
        let read = thread::scope(|scope| {
            scope.spawn(|| cell.publish(1, credit(1)));
            scope.spawn(|| cell.publish(2, credit(10)));
            balance(cell.read(3).unwrap())
        });
        assert!([100, 101, 110, 111].map(wei).contains(&read), "{read}");
        assert_eq!(cell.read(3).map(balance), Ok(wei(111)));
    });
}

#[test]
fn becoming_final_changes_nothing_that_others_read() {
    check_all(|| {
        let cell = account();
        cell.publish(1, credit(1));
        cell.publish(2, credit(10));
        let reads = thread::scope(|scope| {
            let reads = scope.spawn(|| [cell.read(2), cell.read(3)].map(|read| read.map(balance)));
            settle(&cell, 1, 1);
            settle(&cell, 2, 10);
            reads.join().unwrap()
        });
        assert_eq!(reads, [Ok(wei(101)), Ok(wei(111))]);
    });
}

#[test]
fn a_fee_becomes_final_beside_a_credit_that_is_not() {
    check_all(|| {
        let cell = account();
        let read = thread::scope(|scope| {
            scope.spawn(|| cell.publish(2, credit(10)));
            let read = scope.spawn(|| balance(cell.read(3).unwrap()));
            cell.credit(1, wei(1)).unwrap();
            read.join().unwrap()
        });
        assert!([100, 101, 110, 111].map(wei).contains(&read), "{read}");
        settle(&cell, 2, 10);
        assert_eq!(cell.read(3).map(balance), Ok(wei(111)));
        assert_eq!(cell.at(1).map(balance), Some(wei(101)));
    });
}

#[test]
fn a_slot_is_empty_while_its_account_is_destroyed() {
    check_all(|| {
        let (cell, slot) = (account(), SlotCell::new(0, U256::ZERO, wei(7)));
        let reads = thread::scope(|scope| {
            let reads = scope.spawn(|| [slot.read(&cell, 2), slot.read(&cell, 2)]);
            cell.publish(1, AccountWrite { is_destroyed: true, ..AccountWrite::default() });
            cell.retract(1);
            cell.forget(1);
            reads.join().unwrap()
        });
        assert_in_order(&reads, &[Ok(wei(7)), Ok(wei(0)), Ok(wei(7))]);
        assert_eq!(slot.read(&cell, 2), Ok(wei(7)));
    });
}

#[test]
fn two_threads_that_make_the_same_thing_share_it() {
    check_all(|| {
        let interner = Interner::<Address, u32>::new();
        let make = |value| {
            let Ok(place) = interner.find_or_make(Address::ZERO, || Ok::<_, Infallible>(value));
            (place, *interner.get(place))
        };
        let (one, other) = thread::scope(|scope| {
            let one = scope.spawn(|| make(1));
            let other = make(2);
            (one.join().unwrap(), other)
        });
        assert_eq!(one, other);
        assert_eq!(interner.len(), 1);
    });
}
