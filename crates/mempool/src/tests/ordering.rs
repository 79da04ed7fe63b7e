//! What a block takes first.

use super::*;

#[test]
fn the_greatest_tip_first_and_nonces_in_order() {
    let fixture = Fixture::new().holding([
        draft(1, 0).tip(1),
        draft(1, 1).tip(100),
        draft(2, 0).tip(50),
        draft(2, 1).tip(2),
        draft(3, 0).tip(3),
    ]);
    assert_eq!(fixture.best(), [(2, 0), (3, 0), (2, 1), (1, 0), (1, 1)]);
}

#[test]
fn of_equal_tips_the_first_to_arrive() {
    let fixture = Fixture::new().holding([draft(3, 0), draft(1, 0), draft(2, 0), draft(3, 1)]);
    assert_eq!(fixture.best(), [(3, 0), (1, 0), (2, 0), (3, 1)]);
}

#[test]
fn the_tip_that_counts_is_what_the_base_fee_leaves() {
    // Legacy at 130 leaves 30; a cap of 120 leaves 20 of a tip of 90; 25 of 25.
    let legacy = Draft { kind: 0, ..draft(1, 0).fees(130, 0) };
    let fixture = Fixture::new().holding([draft(2, 0).fees(120, 90), legacy, draft(3, 0).fees(500, 25)]);
    assert_eq!(fixture.best(), [(1, 0), (3, 0), (2, 0)]);
}

#[test]
fn what_cannot_pay_the_base_fee_waits_and_so_do_its_followers() {
    let mut fixture = Fixture::new().holding([draft(1, 0).fees(99, 5), draft(1, 1).tip(50)]);
    assert_eq!(fixture.counts(), (2, 0), "the base fee never queues");
    assert!(fixture.best().is_empty());
    assert!(!fixture.pool.has_ready());
    fixture.commit(HeadInfo { next_base_fee: 99, ..head(2) }, &[]);
    assert!(fixture.pool.has_ready());
    assert_eq!(fixture.best(), [(1, 0), (1, 1)]);
}

#[test]
fn best_is_a_snapshot() {
    let mut fixture = Fixture::new().holding([draft(1, 0), draft(1, 1)]);
    let best = fixture.pool.best();
    fixture.commit(head(2), &[(1, with_nonce(2))]);
    assert_eq!(best.count(), 2);
    assert!(!fixture.pool.has_ready());
}
