//! Gaps, promotion, replacement, expiry, and what a block changes.

use super::*;

#[test]
fn a_gap_queues_and_filling_it_promotes() {
    let mut fixture = Fixture::new().account(1, with_nonce(5)).holding([draft(1, 7), draft(1, 6)]);
    assert_eq!(fixture.content(), (vec![], vec![(1, 6), (1, 7)]));
    assert_eq!(fixture.pool.pending_nonce(&address(1)), None);
    let added = fixture.add(draft(1, 5)).unwrap();
    assert_eq!(names(added.promoted.iter().map(|entry| &entry.transaction)), [(1, 5), (1, 6), (1, 7)]);
    assert_eq!(fixture.content(), (vec![(1, 5), (1, 6), (1, 7)], vec![]));
    assert_eq!(fixture.pool.pending_nonce(&address(1)), Some(8));
}

#[test]
fn a_replacement_takes_the_place_and_is_announced() {
    let mut fixture = Fixture::new().holding([draft(1, 0), draft(1, 1)]);
    let added = fixture.add(draft(1, 0).fees(220, 11)).unwrap();
    assert!(added.replaced);
    assert_eq!(names(added.promoted.iter().map(|entry| &entry.transaction)), [(1, 0)]);
    assert_eq!(fixture.counts(), (2, 0));
    assert!(!fixture.pool.contains(&draft(1, 0).hash()));
    assert!(fixture.pool.contains(&draft(1, 0).fees(220, 11).hash()));
}

#[test]
fn what_the_balance_pays_for_in_sum_is_pending() {
    let cost = 21_000 * 2 * BASE_FEE;
    let mut fixture = Fixture::new().account(1, with_balance(2 * cost));
    fixture = fixture.holding([draft(1, 1), draft(1, 2), draft(1, 0)]);
    assert_eq!(fixture.content(), (vec![(1, 0), (1, 1)], vec![(1, 2)]));
    let (promoted, removed) = fixture.commit(head(2), &[(1, with_balance(3 * cost))]);
    assert_eq!((promoted, removed), (vec![(1, 2)], 0));
}

#[test]
fn a_block_takes_what_it_mined_and_what_became_impossible() {
    let cost = 21_000 * 2 * BASE_FEE;
    let drafts = [draft(1, 0), draft(1, 1), draft(1, 2), draft(2, 0), draft(3, 0)];
    let mut fixture = Fixture::new().holding(drafts);
    let contract = SenderAccount { code: AccountCode::Contract, ..rich() };
    let changed = [(1, with_nonce(2)), (2, with_balance(cost - 1)), (3, contract), (4, rich())];
    let (promoted, removed) = fixture.commit(head(2), &changed);
    assert_eq!((promoted, removed), (vec![], 4));
    assert_eq!(fixture.content(), (vec![(1, 2)], vec![]));
    assert_eq!(fixture.pool.senders(), [address(1)]);
}

#[test]
fn a_lower_gas_limit_takes_out_what_no_longer_fits() {
    let mut fixture = Fixture::new().holding([Draft { gas: 10_000_000, ..draft(1, 0) }, draft(1, 1)]);
    let (_, removed) = fixture.commit(HeadInfo { gas_limit: 9_000_000, ..head(2) }, &[]);
    assert_eq!(removed, 1);
    assert_eq!(fixture.content(), (vec![], vec![(1, 1)]));
}

#[test]
fn an_older_head_does_not_take_the_newer_ones_place() {
    let mut fixture = Fixture::new().holding([draft(1, 0)]);
    fixture.commit(head(5), &[]);
    let (_, removed) = fixture.commit(HeadInfo { gas_limit: 1, ..head(4) }, &[(1, with_nonce(1))]);
    assert_eq!(removed, 1, "its accounts count all the same");
    assert_eq!(*fixture.pool.head(), head(5));
}

#[test]
fn a_newer_account_is_taken_over() {
    let mut fixture = Fixture::new().holding([draft(1, 0), draft(1, 2), draft(1, 3)]);
    let changes = fixture.pool.set_account(address(1), with_nonce(2));
    assert_eq!(names(changes.promoted.iter().map(|entry| &entry.transaction)), [(1, 2), (1, 3)]);
    assert_eq!(changes.removed, 1);
    assert_eq!(fixture.pool.set_account(address(1), with_nonce(2)).promoted.len(), 0, "it is known by now");
    assert_eq!(fixture.content(), (vec![(1, 2), (1, 3)], vec![]));
}

#[test]
fn what_a_builder_found_invalid_leaves_and_its_followers_wait() {
    let mut fixture = Fixture::new().holding([draft(1, 0), draft(1, 1), draft(1, 2)]);
    assert_eq!(fixture.pool.remove_invalid(&[draft(1, 1).hash(), draft(9, 9).hash()]), 1);
    assert_eq!(fixture.content(), (vec![(1, 0)], vec![(1, 2)]));
    let added = fixture.add(draft(1, 1)).unwrap();
    assert_eq!(added.promoted.len(), 2);
}

#[test]
fn queued_transactions_expire_and_pending_ones_do_not() {
    let mut fixture = Fixture::new().holding([draft(1, 0), draft(1, 2)]);
    let lifetime = Duration::from_secs(MempoolConfig::default().queued_lifetime_secs);
    fixture.pass(lifetime);
    fixture = fixture.holding([draft(2, 1)]);
    assert_eq!(fixture.pool.expire(fixture.now), 0);
    fixture.pass(Duration::from_secs(1));
    assert_eq!(fixture.pool.expire(fixture.now), 1);
    assert_eq!(fixture.content(), (vec![(1, 0)], vec![(2, 1)]));
}

#[test]
fn local_transactions_are_due_again_until_they_are_mined() {
    let mut fixture = Fixture::new().holding([draft(2, 0), draft(1, 0), draft(1, 2)]);
    let gossiped = Arc::new(PoolTransaction::decode(&draft(3, 0).encode(), &fixture.pool.rules()).unwrap());
    fixture.pool.add(gossiped, rich(), Origin::Gossip, fixture.now).unwrap();
    let minute = Duration::from_secs(60);
    assert!(fixture.pool.local_since(minute, fixture.now).is_empty());
    fixture.pass(minute);
    assert_eq!(names(fixture.pool.local_since(minute, fixture.now).iter()), [(2, 0), (1, 0)]);
    fixture.commit(head(2), &[(2, with_nonce(1))]);
    assert_eq!(names(fixture.pool.local_since(minute, fixture.now).iter()), [(1, 0)]);
}

#[test]
fn delegations_in_the_pool_are_forgotten_with_their_transactions() {
    let mut fixture = Fixture::new().holding([draft(1, 0), draft(2, 0).authorize(1)]);
    fixture.add(draft(1, 1)).unwrap_err();
    fixture.commit(head(2), &[(2, with_nonce(1))]);
    fixture.add(draft(1, 1)).unwrap();
}
