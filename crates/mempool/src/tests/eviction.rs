//! A full pool keeps what pays best, and never a transaction without those before it.

use super::*;

fn of(transactions_max: usize) -> Fixture {
    Fixture::with(MempoolConfig { transactions_max, ..MempoolConfig::default() })
}

#[test]
fn the_cheapest_leaves_first() {
    let mut fixture = of(3).holding([draft(1, 0).tip(7), draft(2, 0).tip(5), draft(3, 0).tip(6)]);
    let added = fixture.add(draft(4, 0).tip(8)).unwrap();
    assert_eq!(added.evicted, 1);
    assert_eq!(fixture.content().0, [(1, 0), (3, 0), (4, 0)]);
    fixture.add(draft(5, 0).tip(9)).unwrap();
    assert_eq!(fixture.content().0, [(1, 0), (4, 0), (5, 0)]);
}

#[test]
fn of_equals_the_last_to_arrive_leaves() {
    let fixture = of(2).holding([draft(1, 0).tip(5), draft(2, 0).tip(5), draft(3, 0).tip(6)]);
    assert_eq!(fixture.content().0, [(1, 0), (3, 0)]);
}

#[test]
fn queued_leave_before_pending_whatever_they_pay() {
    let fixture = of(2).holding([draft(1, 1).tip(1_000), draft(2, 0).tip(1), draft(3, 0).tip(2)]);
    assert_eq!(fixture.content(), (vec![(2, 0), (3, 0)], vec![]));
}

#[test]
fn a_dear_last_transaction_does_not_protect_cheap_ones_before_it() {
    let chain = [draft(1, 0).tip(1), draft(1, 1).tip(900), draft(1, 2).tip(900)];
    let fixture = of(3).holding(chain).holding([draft(2, 0).tip(3), draft(3, 0).tip(2)]);
    assert_eq!(fixture.content().0, [(1, 0), (2, 0), (3, 0)]);
}

#[test]
fn a_replacement_needs_no_room() {
    let mut fixture = of(2).holding([draft(1, 0).tip(1), draft(2, 0).tip(2)]);
    let added = fixture.add(draft(1, 0).tip(50)).unwrap();
    assert_eq!((added.replaced, added.evicted), (true, 0));
    assert_eq!(fixture.counts(), (2, 0));
}

#[test]
fn a_large_one_displaces_as_many_as_it_needs() {
    let bytes_max = heddle_primitives::MAX_TRANSACTION_BYTES;
    let mut fixture = Fixture::with(MempoolConfig { bytes_max, ..MempoolConfig::default() });
    fixture = fixture.holding((1..=4).map(|sender| draft(sender, 0).tip(sender.into()).data(32_000)));
    let added = fixture.add(draft(5, 0).tip(9).data(60_000)).unwrap();
    assert_eq!(added.evicted, 2);
    assert_eq!(fixture.content().0, [(3, 0), (4, 0), (5, 0)]);
    // What would have to displace something dearer displaces nothing.
    let error = fixture.add(draft(6, 0).tip(4).data(100_000)).unwrap_err();
    assert_eq!(error.to_string(), "transaction underpriced");
    assert_eq!(fixture.content().0, [(3, 0), (4, 0), (5, 0)]);
    assert!(fixture.pool.status().bytes <= bytes_max);
}

#[test]
fn a_filled_gap_may_displace_the_senders_own_queue() {
    let mut fixture = of(2).holding([draft(1, 5).tip(5), draft(2, 0).tip(5)]);
    fixture.add(draft(1, 0).tip(1)).unwrap();
    assert_eq!(fixture.content(), (vec![(1, 0), (2, 0)], vec![]));
}

#[test]
fn ranks_follow_the_base_fee() {
    // At a base fee of 100 the first pays 101 and the second 110; at 200 the first pays 201 and the second 110.
    let mut fixture = of(2).holding([draft(1, 0).fees(500, 1), draft(2, 0).fees(110, 10)]);
    fixture.commit(HeadInfo { next_base_fee: 200, ..head(2) }, &[]);
    fixture.add(draft(3, 0).fees(250, 10)).unwrap();
    assert_eq!(fixture.content().0, [(1, 0), (3, 0)]);
}
