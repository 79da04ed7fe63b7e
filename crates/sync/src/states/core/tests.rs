//! The core by hand: what it asks, whom it believes, and how it ends.

mod run;

use super::*;
use crate::states::fault::CheckpointError;
use alloy_primitives::Sealable;
use heddle_primitives::{BlocksRequest, Epoch, RequestKind};
use run::{PIECE, Run, accounts, code, id, pivot};
pub(in crate::states) use run::{chain, genesis};

#[test]
fn the_greatest_offer_that_two_make_is_proven_and_fetched() {
    let mut run = Run::new(StateSyncConfig::default(), &["a", "b", "c"]);
    run.offers("a", &[70, 60]);
    run.offers("b", &[60]);
    assert_eq!(run.asked_for(RequestKind::Headers), [""; 0], "c has not answered yet");
    run.offers("c", &[]);
    run.headers("a");
    run.feed(Input::Planned(vec![accounts(1)]));
    run.piece("a", RequestKind::Accounts, PIECE);
    assert_eq!((run.accepts[0].pivot, &run.accepts[0].task), (pivot(60), &accounts(1)));
    run.accept(Vec::new());
    assert_eq!(run.plans, [pivot(60), pivot(60)], "whether that was all");
    run.feed(Input::Planned(Vec::new()));
    run.headers("a");
    let base = run.base.clone().unwrap();
    let sealed = Vec::from_iter(run.chain[..59].iter().map(|header| header.header.clone().seal_slow()));
    assert_eq!((base.pivot.header().number, base.ancestors), (60, sealed));
    assert_eq!(base.validator_sets, [(Epoch::default(), genesis().heddle().unwrap().validators.clone())]);
    run.feed(Input::Finished);
    assert_eq!((run.outcome, run.reports), (Some(Outcome::Synced(Height::new(60))), Vec::new()));
}

#[test]
fn who_does_not_say_what_it_offers_is_waited_for_a_while() {
    let mut run = Run::new(StateSyncConfig::default(), &["a", "silent"]);
    run.offers("a", &[60]);
    run.wait(3_750);
    assert_eq!(run.asked_for(RequestKind::Headers), [""; 0]);
    run.wait(500);
    assert_eq!(run.asked_for(RequestKind::Headers), ["a"]);
}

#[test]
fn forgers_are_named_when_the_header_is_there() {
    let mut run = Run::new(StateSyncConfig::default(), &["forger", "honest"]);
    let hash = B256::repeat_byte(7);
    let forged = vec![SnapshotOffer { height: Height::new(60), hash }];
    run.piece("forger", RequestKind::Snapshots, Response::Snapshots(forged));
    run.offers("honest", &[60]);
    run.headers("forger");
    let expected =
        StateFault::ForgedOffer { height: Height::new(60), offered: hash, hash: run.chain[59].header.hash_slow() };
    assert_eq!(run.reports, [(id("forger"), PeerFault::State(expected))]);
    assert_eq!(run.plans, [pivot(60)]);
}

#[test]
fn a_header_that_too_few_signed_is_its_senders_fault() {
    let mut run = Run::new(StateSyncConfig::default(), &["liar", "other"]);
    run.offers("liar", &[60]);
    run.offers("other", &[60]);
    let forged = chain(60, 2).pop().unwrap();
    run.piece("liar", RequestKind::Headers, Response::Headers(vec![forged]));
    assert!(matches!(&run.reports[..], [(_, PeerFault::State(StateFault::InvalidHeader(_)))]), "{:?}", run.reports);
    assert_eq!(run.plans, []);
    run.headers("other");
    assert_eq!(run.plans, [pivot(60)]);
}

#[test]
fn a_boaster_breaks_its_promise_and_the_next_offer_is_taken() {
    let mut run = Run::new(StateSyncConfig::default(), &["boaster", "honest"]);
    let offer = SnapshotOffer { height: Height::new(5_000), hash: B256::ZERO };
    run.piece("boaster", RequestKind::Snapshots, Response::Snapshots(vec![offer]));
    run.offers("honest", &[60]);
    run.piece("boaster", RequestKind::Headers, Response::Headers(Vec::new()));
    assert_eq!(run.reports, [(id("boaster"), PeerFault::BrokenPromise)]);
    run.piece("honest", RequestKind::Headers, Response::Headers(Vec::new()));
    assert_eq!(run.reports.len(), 1, "it has promised nothing");
    run.wait(1_250);
    run.headers("honest");
    assert_eq!(run.plans, [pivot(60)]);
}

#[test]
fn nothing_to_offer_is_an_end_after_a_while() {
    let mut run = Run::new(StateSyncConfig::default(), &["a"]);
    run.wait(60_000);
    assert_eq!(run.outcome, None, "nobody has answered");
    run.offers("a", &[]);
    run.wait(10_000);
    assert_eq!(run.outcome, None);
    run.wait(6_000);
    assert_eq!(run.outcome, Some(Outcome::NoSnapshots));
}

#[test]
fn the_checkpoint_must_be_on_the_chain_and_young() {
    let real = chain(30, 3).pop().unwrap().header.hash_slow();
    let height = Height::new(30);
    let table = [
        (real, 1_030, None),
        (real, 1_031, Some(CheckpointError::TooOld { height, timestamp: 1_030, not_before: 1_031 })),
        (B256::ZERO, 0, Some(CheckpointError::Contradicted { height, hash: real, expected: B256::ZERO })),
    ];
    for (hash, checkpoint_not_before, refusal) in table {
        let checkpoint = Some(Checkpoint { height, hash });
        let config = StateSyncConfig { checkpoint, checkpoint_not_before, ..StateSyncConfig::default() };
        let mut run = Run::new(config, &["a"]);
        run.offers("a", &[60]);
        run.headers("a");
        assert_eq!(run.outcome, refusal.clone().map(Outcome::Refused));
        if refusal.is_none() {
            run.headers("a");
            assert_eq!(run.plans, [pivot(60)]);
        }
    }
}

#[test]
fn code_comes_before_accounts_and_strangers_get_one_request() {
    let mut run = Run::fetching(&["a", "b"], vec![accounts(1), accounts(2), accounts(3), code(4), accounts(5)]);
    assert_eq!(
        (run.asked_for(RequestKind::Code), run.asked_for(RequestKind::Accounts)),
        (vec!["a".into()], vec!["b".into()])
    );
    run.piece("a", RequestKind::Code, Response::Code(Vec::new()));
    assert_eq!(run.asked_for(RequestKind::Accounts), ["b", "a"]);
    run.accept(Vec::new());
    assert_eq!(run.asked_for(RequestKind::Accounts), ["b", "a", "a"], "one who delivered gets two");
}

#[test]
fn never_more_than_so_many_requests_and_answers_at_once() {
    let names = Vec::from_iter((0..20).map(|n| format!("peer {n:02}")));
    let names = Vec::from_iter(names.iter().map(String::as_str));
    let mut run = Run::fetching(&names, (0..40).map(accounts).collect());
    assert_eq!(run.asked_for(RequestKind::Accounts).len(), 16);
    run.piece(names[0], RequestKind::Accounts, PIECE);
    assert_eq!(run.asked_for(RequestKind::Accounts).len(), 15, "an answer that is being verified counts");
    run.accept(Vec::new());
    assert_eq!(run.asked_for(RequestKind::Accounts).len(), 16);
}

#[test]
fn a_late_answer_is_asked_for_elsewhere_and_the_first_one_counts() {
    let mut run = Run::fetching(&["a", "b"], vec![accounts(1)]);
    run.wait(4_250);
    assert_eq!(run.asked_for(RequestKind::Accounts), ["a", "b"]);
    run.piece("b", RequestKind::Accounts, PIECE);
    run.piece("a", RequestKind::Accounts, PIECE);
    assert_eq!(run.accepts.len(), 1);
    assert_eq!((&run.accepts[0].peer, run.reports.len()), (&id("b"), 0));
}

#[test]
fn a_wrong_piece_ends_all_dealings_with_its_sender() {
    let mut run = Run::fetching(&["a", "b"], vec![accounts(1)]);
    run.piece("a", RequestKind::Accounts, PIECE);
    let piece = run.accepts.remove(0);
    run.feed(Input::Refuted(piece.id, "another root".to_owned()));
    let fault = StateFault::InvalidPiece("another root".to_owned());
    assert_eq!(run.reports, [(id("a"), fault.into())]);
    assert_eq!(run.asked_for(RequestKind::Accounts), ["b"]);
    run.wait(60_000);
    assert!(run.asked.iter().all(|(_, peer, _)| *peer == id("b")), "{:?}", run.asked);
}

#[test]
fn an_answer_of_another_kind_is_wrong() {
    let mut run = Run::fetching(&["a", "b"], vec![accounts(1)]);
    run.piece("a", RequestKind::Accounts, Response::Code(Vec::new()));
    assert_eq!(run.reports, [(id("a"), PeerFault::WrongAnswer)]);
    assert_eq!(run.asked_for(RequestKind::Accounts), ["b"]);
}

#[test]
fn the_busy_rest_and_nobody_is_named() {
    let mut run = Run::fetching(&["a"], vec![accounts(1)]);
    run.piece("a", RequestKind::Accounts, Response::Refused(Refusal::Busy));
    assert_eq!(run.asked_for(RequestKind::Accounts), [""; 0]);
    run.wait(500);
    assert_eq!(run.asked_for(RequestKind::Accounts), ["a"]);
    assert_eq!(run.reports, []);
}

#[test]
fn one_who_has_no_time_to_say_what_it_offers_still_offers_what_it_did() {
    let mut run = Run::fetching(&["a"], vec![accounts(1)]);
    run.wait(5_000);
    run.piece("a", RequestKind::Snapshots, Response::Refused(Refusal::Busy));
    run.piece("a", RequestKind::Accounts, PIECE);
    run.accept(vec![accounts(2)]);
    run.wait(1_000);
    assert_eq!(run.asked_for(RequestKind::Accounts), ["a"]);
    run.wait(5_000);
    run.piece("a", RequestKind::Snapshots, Response::Refused(Refusal::Gone));
    run.piece("a", RequestKind::Accounts, PIECE);
    run.accept(vec![accounts(3)]);
    run.wait(1_000);
    assert_eq!(run.asked_for(RequestKind::Accounts), [""; 0], "it serves no states at all");
}

#[test]
fn crumbs_are_taken_and_their_sender_rests() {
    let mut run = Run::fetching(&["a"], vec![accounts(1)]);
    run.core.config.answer_bytes_min = 1_000;
    run.piece("a", RequestKind::Accounts, PIECE);
    run.accept(vec![accounts(2)]);
    assert_eq!(run.asked_for(RequestKind::Accounts), [""; 0]);
    run.wait(1_000);
    assert_eq!(run.asked_for(RequestKind::Accounts), ["a"]);
    run.piece("a", RequestKind::Accounts, PIECE);
    run.accept(vec![accounts(3)]);
    run.wait(1_750);
    assert_eq!(run.asked_for(RequestKind::Accounts), [""; 0], "longer each time");
}

#[test]
fn a_state_that_nobody_serves_any_more_gives_way_to_a_newer_one() {
    let mut run = Run::fetching(&["a", "b"], vec![accounts(1), accounts(2)]);
    run.piece("a", RequestKind::Accounts, Response::Refused(Refusal::Gone));
    run.wait(5_000);
    run.offers("a", &[70, 60]);
    run.wait(250);
    assert_eq!(run.asked_for(RequestKind::Headers), [""; 0], "b serves it");
    run.offers("b", &[70]);
    run.wait(250);
    run.headers("a");
    assert_eq!(run.plans, [pivot(60), pivot(70)]);
    run.feed(Input::Planned(vec![accounts(3)]));
    run.piece("b", RequestKind::Accounts, PIECE);
    assert_eq!(run.accepts, [], "an answer for the old one is of no use");
}

#[test]
fn a_state_that_only_one_serves_gives_way_after_a_while() {
    let mut run = Run::fetching(&["a", "b", "c"], vec![accounts(1)]);
    run.wait(5_000);
    run.offers("a", &[60]);
    run.offers("b", &[70]);
    run.offers("c", &[70]);
    run.wait(9_500);
    assert_eq!(run.asked_for(RequestKind::Headers), [""; 0]);
    run.wait(1_000);
    assert_eq!(run.asked_for(RequestKind::Headers), ["c"], "b was asked for the late piece, too");
}

#[test]
fn an_interrupted_state_is_gone_on_with() {
    let config = StateSyncConfig { resumed: Some(Height::new(60)), ..StateSyncConfig::default() };
    let mut run = Run::new(config, &["a", "b"]);
    run.offers("a", &[70, 60]);
    run.offers("b", &[70]);
    run.headers("a");
    assert_eq!(run.plans, [pivot(60)]);
}

#[test]
fn headers_that_do_not_lead_to_the_pivot_are_refused_and_short_answers_are_not() {
    let mut run = Run::fetching(&["a", "b", "c"], vec![]);
    run.answer("a", RequestKind::Headers, |_, chain| Some(Response::Headers(chain[..20].to_vec())));
    assert_eq!(run.reports, [], "fewer than were asked for");
    let request = BlocksRequest { from: Height::new(40), count: 20 };
    assert_eq!(run.asked.last().unwrap().2, Request::Headers(request));
    run.answer("b", RequestKind::Headers, |_, chain| {
        let mut headers = chain[39..59].to_vec();
        headers[10].header.gas_used += 1;
        Some(Response::Headers(headers))
    });
    assert!(matches!(&run.reports[..], [(_, PeerFault::State(StateFault::InvalidHeader(_)))]), "{:?}", run.reports);
    let request = BlocksRequest { from: Height::new(11), count: 40 };
    assert_eq!(run.asked.last().unwrap().2, Request::Headers(request), "those above the wrong one are right");
}
