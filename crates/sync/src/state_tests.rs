//! The core as a table: each case is a story, each line one input at a time and head, with all that must follow.

use super::*;
use crate::test_chain;
use alloy_primitives::B256;
use std::ops::RangeInclusive;

const SECOND: u64 = 1_000;

/// A block that only has to be executed is its number.
type In = Input<u64>;
type Out = Output<u64>;

fn config() -> SyncConfig {
    SyncConfig { ranges_max: 2, blocks_per_range: 10, direct_max: 3, ..SyncConfig::default() }
}

pub(super) fn id(name: &str) -> PeerId {
    PeerId::new(name.as_bytes().to_vec())
}

fn ids(names: &[&str]) -> Vec<PeerId> {
    names.iter().map(|n| id(n)).collect()
}

/// A range as it is asked for.
fn range(numbers: RangeInclusive<u64>) -> BlocksRequest {
    BlocksRequest { from: Height::new(*numbers.start()), count: numbers.end() + 1 - numbers.start() }
}

fn tick(names: &[&str]) -> In {
    Input::Tick(ids(names))
}

fn wake(names: &[&str]) -> In {
    Input::Wake(ids(names))
}

fn status(name: &str, height: u64) -> In {
    pruned(name, 1, height)
}

fn pruned(name: &str, earliest: u64, height: u64) -> In {
    let status = Status { height: Height::new(height), hash: B256::ZERO, earliest: Height::new(earliest) };
    Input::Status(id(name), status)
}

fn headers(name: &str, asked: RangeInclusive<u64>, got: RangeInclusive<u64>) -> In {
    Input::Headers(id(name), range(asked), test_chain::headers(got))
}

fn verified(name: &str, numbers: RangeInclusive<u64>) -> In {
    Input::Verified(id(name), Ok(test_chain::verified(numbers)))
}

fn blocks(name: &str, asked: RangeInclusive<u64>, got: RangeInclusive<u64>) -> In {
    Input::Blocks(id(name), range(asked), test_chain::final_blocks(got))
}

fn prepared(name: &str, numbers: RangeInclusive<u64>) -> In {
    Input::Prepared(id(name), Height::new(*numbers.start()), numbers.collect(), None)
}

fn imported(name: &str, from: u64) -> In {
    Input::Imported(id(name), Height::new(from), None)
}

fn failed(name: &str, asked: RangeInclusive<u64>) -> In {
    Input::Failed(id(name), Request::Blocks(range(asked)), None)
}

fn ask_status(name: &str) -> Out {
    Output::Ask(id(name), Request::Status)
}

fn ask_headers(name: &str, numbers: RangeInclusive<u64>) -> Out {
    Output::Ask(id(name), Request::Headers(range(numbers)))
}

fn ask(name: &str, numbers: RangeInclusive<u64>) -> Out {
    Output::Ask(id(name), Request::Blocks(range(numbers)))
}

fn verify(name: &str, numbers: RangeInclusive<u64>) -> Out {
    Output::Verify(id(name), test_chain::headers(numbers))
}

fn prepare(name: &str, numbers: RangeInclusive<u64>) -> Out {
    let blocks = test_chain::final_blocks(numbers.clone()).into_iter().map(|block| block.proposed);
    let pairs = blocks.zip(test_chain::verified(numbers.clone())).collect();
    Output::Prepare(id(name), Height::new(*numbers.start()), pairs)
}

fn import(name: &str, numbers: RangeInclusive<u64>) -> Out {
    Output::Import(id(name), Height::new(*numbers.start()), numbers.collect())
}

fn report(name: &str, fault: PeerFault) -> Out {
    Output::Report(id(name), fault)
}

/// (milliseconds, head, input, outputs)
type Step = (u64, u64, In, Vec<Out>);

fn play(story: &str, steps: Vec<Step>) -> State<u64> {
    let mut state = State::new(config(), Height::new(steps[0].1));
    for (index, (at, head, input, expected)) in steps.into_iter().enumerate() {
        let described: String = format!("{input:?}").chars().take(200).collect();
        let outputs = state.handle(Duration::from_millis(at), Height::new(head), input);
        assert!(outputs == expected, "{story}, step {index}: {described}\n{}", told(&outputs));
    }
    state
}

/// Outputs without what they carry.
fn told(outputs: &[Out]) -> String {
    let lines = outputs.iter().map(|output| match output {
        Output::Verify(peer, headers) => format!("verify {peer} {} headers", headers.len()),
        Output::Prepare(peer, from, blocks) => format!("prepare {peer} {from} {} blocks", blocks.len()),
        other => format!("{other:?}"),
    });
    Vec::from_iter(lines).join("\n")
}

/// The first lines of a story: the headers of so many blocks are final, all announced by `a`.
fn final_headers(height: u64) -> Vec<Step> {
    vec![
        (0, 0, tick(&["a"]), vec![ask_status("a")]),
        (1, 0, status("a", height), vec![ask_headers("a", 1..=height)]),
        (2, 0, headers("a", 1..=height, 1..=height), vec![verify("a", 1..=height)]),
    ]
}

#[test]
fn asks_where_peers_are() {
    play(
        "a new peer is asked at once, again when its word is old, and never twice at a time",
        vec![
            (0, 0, tick(&["a"]), vec![ask_status("a")]),
            (250, 0, tick(&["a", "b"]), vec![ask_status("b")]),
            (500, 0, status("a", 0), vec![]),
            (999, 0, tick(&["a", "b"]), vec![]),
            (SECOND, 0, tick(&["a", "b"]), vec![ask_status("a")]),
            (9 * SECOND, 0, tick(&["a", "b"]), vec![]),
        ],
    );
    play(
        "a wake asks again sooner, but not at any rate a stranger likes",
        vec![
            (0, 0, tick(&["a"]), vec![ask_status("a")]),
            (10, 0, status("a", 0), vec![]),
            (249, 0, wake(&["a"]), vec![]),
            (250, 0, wake(&["a"]), vec![ask_status("a")]),
        ],
    );
    play(
        "a peer that failed to say where it is rests",
        vec![
            (0, 0, tick(&["a"]), vec![ask_status("a")]),
            (500, 0, Input::Failed(id("a"), Request::Status, None), vec![]),
            (1_499, 0, tick(&["a"]), vec![]),
            (1_500, 0, tick(&["a"]), vec![ask_status("a")]),
        ],
    );
    play(
        "a status that contradicts itself is the peer's fault",
        vec![
            (0, 0, tick(&["a"]), vec![ask_status("a")]),
            (10, 0, pruned("a", 9, 7), vec![report("a", PeerFault::WrongAnswer)]),
        ],
    );
}

#[test]
fn headers_come_first_and_then_ranges_from_several_peers_in_order() {
    let state = play(
        "two ranges in flight, the upper one arrives first",
        vec![
            (0, 0, tick(&["a", "b"]), vec![ask_status("a"), ask_status("b")]),
            (1, 0, status("a", 25), vec![ask_headers("a", 1..=25)]),
            (2, 0, status("b", 25), vec![]),
            (3, 0, headers("a", 1..=25, 1..=25), vec![verify("a", 1..=25)]),
            (4, 0, verified("a", 1..=25), vec![ask("b", 1..=10), ask("a", 11..=20)]),
            (5, 0, blocks("a", 11..=20, 11..=20), vec![prepare("a", 11..=20)]),
            (6, 0, prepared("a", 11..=20), vec![]),
            (7, 0, blocks("b", 1..=10, 1..=10), vec![prepare("b", 1..=10)]),
            (8, 0, prepared("b", 1..=10), vec![import("b", 1..=10)]),
            (9, 10, imported("b", 1), vec![ask("a", 21..=25), import("a", 11..=20)]),
            (10, 20, imported("a", 11), vec![]),
            (11, 20, blocks("a", 21..=25, 21..=25), vec![prepare("a", 21..=25)]),
            (12, 20, prepared("a", 21..=25), vec![import("a", 21..=25)]),
            (13, 25, imported("a", 21), vec![]),
        ],
    );
    let height = Height::new(25);
    let expected = SyncStatus {
        starting: height,
        current: height,
        highest: height,
        announced: height,
        peers: 2,
        common: height,
        ..SyncStatus::default()
    };
    assert_eq!(state.status(), expected);
}

#[test]
fn headers_go_on_while_blocks_come_and_stop_at_their_bound() {
    let config = SyncConfig { headers_max: 30, ..config() };
    let mut state = State::new(config, Height::GENESIS);
    let mut handle = |head, input| state.handle(Duration::ZERO, Height::new(head), input);
    handle(0, tick(&["a"]));
    assert_eq!(handle(0, status("a", 300)), [ask_headers("a", 1..=30)]);
    assert_eq!(handle(0, headers("a", 1..=30, 1..=20)), [verify("a", 1..=20)]);
    let next = [ask_headers("a", 21..=30), ask("a", 1..=10), ask("a", 11..=20)];
    assert_eq!(handle(0, verified("a", 1..=20)), next);
    assert_eq!(handle(0, headers("a", 21..=30, 21..=30)), [verify("a", 21..=30)]);
    assert_eq!(handle(0, verified("a", 21..=30)), []);
    assert_eq!(handle(5, tick(&["a"])), [ask_headers("a", 31..=35)]);
}

#[test]
fn tells_where_it_is() {
    let mut steps = final_headers(40);
    steps.push((3, 0, verified("a", 1..=40), vec![ask("a", 1..=10), ask("a", 11..=20)]));
    steps.push((4, 0, blocks("a", 1..=10, 1..=10), vec![prepare("a", 1..=10)]));
    steps.push((5, 0, prepared("a", 1..=10), vec![import("a", 1..=10)]));
    steps.push((6, 10, imported("a", 1), vec![ask("a", 21..=30)]));
    steps.push((2_001, 10, status("a", 50), vec![ask_headers("a", 41..=50)]));
    let state = play("in the middle", steps);
    let expected = SyncStatus {
        syncing: true,
        starting: Height::GENESIS,
        current: Height::new(10),
        highest: Height::new(40),
        announced: Height::new(50),
        peers: 1,
        common: Height::new(50),
        blocks_per_second: 5,
        seconds_left: Some(8),
    };
    assert_eq!(SyncStatus { blocks_per_second: 5, ..state.status() }, expected);
    assert!((4..=5).contains(&state.status().blocks_per_second));
}

#[test]
fn a_boaster_alone_does_not_make_the_node_lag() {
    let mut state = State::<u64>::new(config(), Height::new(10));
    let mut handle = |input| drop(state.handle(Duration::ZERO, Height::new(10), input));
    handle(tick(&["a", "b", "boaster"]));
    for (peer, height) in [("a", 10), ("b", 11), ("boaster", 1_000_000)] {
        handle(status(peer, height));
    }
    assert_eq!((state.status().announced, state.status().lag()), (Height::new(1_000_000), 1));
    state.handle(Duration::ZERO, Height::new(10), status("a", 30));
    assert_eq!(state.status().lag(), 20, "most are ahead");
}

#[test]
fn a_small_gap_is_fetched_in_one_go_and_brings_its_headers_along() {
    play(
        "three blocks behind, and two more come meanwhile",
        vec![
            (0, 7, tick(&["a"]), vec![ask_status("a")]),
            (1, 7, status("a", 10), vec![ask("a", 8..=10)]),
            (2, 7, blocks("a", 8..=10, 8..=10), vec![verify("a", 8..=10)]),
            (3, 7, verified("a", 8..=10), vec![prepare("a", 8..=10)]),
            (4, 7, status("a", 12), vec![ask("a", 11..=12)]),
            (5, 7, prepared("a", 8..=10), vec![import("a", 8..=10)]),
            (6, 7, blocks("a", 11..=12, 11..=12), vec![verify("a", 11..=12)]),
            (7, 10, imported("a", 8), vec![]),
            (8, 10, verified("a", 11..=12), vec![prepare("a", 11..=12)]),
            (9, 10, prepared("a", 11..=12), vec![import("a", 11..=12)]),
            (10, 12, imported("a", 11), vec![]),
        ],
    );
    play(
        "the validators of the third are not known before the second is committed",
        vec![
            (0, 7, tick(&["a"]), vec![ask_status("a")]),
            (1, 7, status("a", 10), vec![ask("a", 8..=10)]),
            (2, 7, blocks("a", 8..=10, 8..=10), vec![verify("a", 8..=10)]),
            (3, 7, verified("a", 8..=9), vec![prepare("a", 8..=9)]),
            (4, 7, prepared("a", 8..=9), vec![import("a", 8..=9)]),
            (2_005, 9, imported("a", 8), vec![]),
            (4_006, 9, tick(&["a"]), vec![ask_status("a"), ask("a", 10..=10)]),
        ],
    );
}

#[test]
fn behind_an_epoch_without_a_proof_headers_wait_for_the_head() {
    let mut steps = final_headers(40);
    steps.push((3, 0, verified("a", 1..=5), vec![ask("a", 1..=5)]));
    steps.push((4, 0, blocks("a", 1..=5, 1..=5), vec![prepare("a", 1..=5)]));
    steps.push((5, 0, prepared("a", 1..=5), vec![import("a", 1..=5)]));
    steps.push((6, 5, imported("a", 1), vec![ask_headers("a", 6..=40)]));
    play("five of forty are known", steps);
}

#[test]
fn a_single_missing_block_is_left_to_consensus_for_a_while() {
    play(
        "the head stands still",
        vec![
            (0, 7, tick(&["a"]), vec![ask_status("a")]),
            (1, 7, status("a", 8), vec![]),
            (1_999, 7, tick(&["a"]), vec![ask_status("a")]),
            (2_000, 7, tick(&["a"]), vec![ask("a", 8..=8)]),
        ],
    );
    play(
        "the head moves",
        vec![
            (0, 7, tick(&["a"]), vec![ask_status("a")]),
            (1, 7, status("a", 8), vec![]),
            (1_500, 8, tick(&["a"]), vec![ask_status("a")]),
            (1_501, 8, status("a", 9), vec![]),
            (3_000, 8, tick(&["a"]), vec![ask_status("a")]),
            (3_500, 8, tick(&["a"]), vec![ask("a", 9..=9)]),
        ],
    );
}

#[test]
fn a_short_answer_leaves_a_gap_that_is_asked_again() {
    let mut steps = final_headers(20);
    steps.push((3, 0, verified("a", 1..=20), vec![ask("a", 1..=10), ask("a", 11..=20)]));
    steps.push((4, 0, blocks("a", 11..=20, 11..=20), vec![prepare("a", 11..=20)]));
    steps.push((5, 0, blocks("a", 1..=10, 1..=4), vec![prepare("a", 1..=4)]));
    steps.push((6, 0, prepared("a", 1..=4), vec![import("a", 1..=4)]));
    steps.push((7, 4, imported("a", 1), vec![ask("a", 5..=10)]));
    steps.push((8, 4, prepared("a", 11..=20), vec![]));
    steps.push((9, 4, blocks("a", 5..=10, 5..=10), vec![prepare("a", 5..=10)]));
    steps.push((10, 4, prepared("a", 5..=10), vec![import("a", 5..=10)]));
    steps.push((11, 10, imported("a", 5), vec![import("a", 11..=20)]));
    play("short in the lower range, whole in the upper", steps);
}

#[test]
fn answers_to_another_question_are_faults() {
    let some = |numbers: &[u64]| Vec::from_iter(numbers.iter().flat_map(|n| test_chain::headers(*n..=*n)));
    for (story, got, fault) in [
        ("nothing", some(&[]), PeerFault::BrokenPromise),
        ("starts elsewhere", some(&[2, 3]), PeerFault::WrongAnswer),
        ("has a hole", some(&[1, 3]), PeerFault::WrongAnswer),
        ("repeats itself", some(&[1, 1]), PeerFault::WrongAnswer),
        ("more than asked for", test_chain::headers(1..=11), PeerFault::WrongAnswer),
    ] {
        let answer = Input::Headers(id("liar"), range(1..=10), got);
        let steps = vec![
            (0, 0, tick(&["liar", "other"]), vec![ask_status("liar"), ask_status("other")]),
            (1, 0, status("liar", 10), vec![ask_headers("liar", 1..=10)]),
            (2, 0, status("other", 10), vec![]),
            (3, 0, answer, vec![report("liar", fault), ask_headers("other", 1..=10)]),
            (4, 0, status("liar", 9_000), vec![]),
        ];
        play(story, steps);
    }
    let mut steps = final_headers(10);
    steps.push((3, 0, verified("a", 1..=10), vec![ask("a", 1..=10)]));
    steps.push((4, 0, blocks("a", 1..=10, 2..=3), vec![report("a", PeerFault::WrongAnswer)]));
    play("blocks of other heights", steps);
}

#[test]
fn what_is_not_final_puts_its_sender_aside() {
    let fault = PeerFault::InvalidHeader("header 1: no quorum".into());
    let steps = vec![
        (0, 0, tick(&["a", "b"]), vec![ask_status("a"), ask_status("b")]),
        (1, 0, status("a", 20), vec![ask_headers("a", 1..=20)]),
        (2, 0, status("b", 20), vec![]),
        (3, 0, headers("a", 1..=20, 1..=20), vec![verify("a", 1..=20)]),
        (4, 0, Input::Verified(id("a"), Err(fault.clone())), vec![report("a", fault), ask_headers("b", 1..=20)]),
        (60 * SECOND, 0, tick(&["a", "b"]), vec![ask_status("b")]),
        (605 * SECOND, 0, tick(&["a", "b"]), vec![ask_status("a")]),
    ];
    play("headers", steps);

    let fault = PeerFault::InvalidBlock("block 5: another body".into());
    let wrong = Input::Prepared(id("a"), Height::new(1), (1..=4).collect(), Some(fault.clone()));
    let mut steps = final_headers(20);
    steps.push((3, 0, verified("a", 1..=20), vec![ask("a", 1..=10), ask("a", 11..=20)]));
    steps.push((4, 0, blocks("a", 1..=10, 1..=10), vec![prepare("a", 1..=10)]));
    steps.push((5, 0, wrong, vec![report("a", fault), import("a", 1..=4)]));
    steps.push((6, 0, tick(&["a", "b"]), vec![ask_status("b")]));
    steps.push((7, 0, status("b", 20), vec![]));
    steps.push((8, 4, imported("a", 1), vec![ask("b", 5..=10)]));
    play("the fifth block; the four before it are good", steps);

    let fault = PeerFault::InvalidBlock("block 3: broken".into());
    let rejected = Input::Imported(id("a"), Height::new(1), Some(fault.clone()));
    let mut steps = final_headers(10);
    steps.push((3, 0, verified("a", 1..=10), vec![ask("a", 1..=10)]));
    steps.push((4, 0, blocks("a", 1..=10, 1..=10), vec![prepare("a", 1..=10)]));
    steps.push((5, 0, prepared("a", 1..=10), vec![import("a", 1..=10)]));
    steps.push((6, 2, rejected, vec![report("a", fault)]));
    let state = play("the chain refuses it", steps);
    assert!(state.window.0.is_empty());
}

#[test]
fn a_boaster_is_doubted_until_its_height_is_proven() {
    let broken = || vec![report("liar", PeerFault::BrokenPromise)];
    let nothing = || Input::Headers(id("liar"), range(4..=259), Vec::new());
    let mut state = play(
        "it is asked, does not deliver, rests, and is asked again",
        vec![
            (0, 3, tick(&["liar"]), vec![ask_status("liar")]),
            (1, 3, status("liar", u64::MAX), vec![ask_headers("liar", 4..=259)]),
            (2, 3, nothing(), broken()),
            (1_002, 3, tick(&["liar"]), vec![ask_status("liar")]),
            (1_003, 3, status("liar", u64::MAX), vec![ask_headers("liar", 4..=259)]),
        ],
    );
    let expected = (false, Height::new(3), Height::new(3));
    let told = state.status();
    assert_eq!((told.syncing, told.announced, told.highest), expected, "nobody believes it any more");
    // It holds up nobody: another peer is asked at once.
    let mut handle = |at, input| state.handle(Duration::from_millis(at), Height::new(3), input);
    assert_eq!(handle(1_004, tick(&["liar", "b"])), [ask_status("b")]);
    assert_eq!(handle(1_005, status("b", 40)), [ask_headers("b", 4..=40)]);
    assert_eq!(handle(1_006, headers("b", 4..=40, 4..=40)), [verify("b", 4..=40)]);
    assert_eq!(handle(1_007, Input::Headers(id("liar"), range(4..=259), Vec::new())), broken());
    assert_eq!(state.status().announced, Height::new(40));
}

#[test]
fn each_failure_doubles_the_rest_and_what_is_good_forgives() {
    let mut state = State::new(config(), Height::GENESIS);
    let mut now = Duration::ZERO;
    let mut handle = |now, head, input| state.handle(now, Height::new(head), input);
    for rest in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(handle(now, 0, tick(&["a"])), [ask_status("a")]);
        assert_eq!(handle(now, 0, status("a", 3)), [ask("a", 1..=3)]);
        assert_eq!(handle(now, 0, failed("a", 1..=3)), []);
        now += Duration::from_secs(rest);
        assert_eq!(handle(now - Duration::from_millis(1), 0, tick(&["a"])), []);
    }
    assert_eq!(handle(now, 0, tick(&["a"])), [ask_status("a")]);
    assert_eq!(handle(now, 0, status("a", 3)), [ask("a", 1..=3)]);
    assert_eq!(handle(now, 0, blocks("a", 1..=3, 1..=3)), [verify("a", 1..=3)]);
    assert_eq!(handle(now, 0, verified("a", 1..=3)), [prepare("a", 1..=3)]);
    assert_eq!(handle(now, 3, Input::Failed(id("a"), Request::Status, None)), []);
    now += Duration::from_secs(1);
    assert_eq!(handle(now, 3, tick(&["a"])), [ask_status("a")]);
}

#[test]
fn the_next_peer_is_asked_when_one_fails_or_refuses() {
    let start = || {
        vec![
            (0, 0, tick(&["a", "b"]), vec![ask_status("a"), ask_status("b")]),
            (1, 0, status("a", 3), vec![ask("a", 1..=3)]),
            (2, 0, status("b", 3), vec![]),
        ]
    };
    let refused = |refusal| Input::Refused(id("a"), Request::Blocks(range(1..=3)), refusal);
    let mut steps = start();
    steps.push((3, 0, failed("a", 1..=3), vec![ask("b", 1..=3)]));
    steps.push((500, 0, failed("b", 1..=3), vec![]));
    play("a failure: both rest", steps);
    let mut steps = start();
    steps.push((3, 0, refused(Refusal::Busy), vec![ask("b", 1..=3)]));
    steps.push((500, 0, failed("b", 1..=3), vec![]));
    steps.push((1_003, 0, wake(&["a"]), vec![ask_status("a"), ask("a", 1..=3)]));
    play("who is busy is asked again a second later, for what it announced", steps);
    let mut steps = start();
    steps.push((3, 0, refused(Refusal::Gone), vec![ask("b", 1..=3)]));
    steps.push((500, 0, failed("b", 1..=3), vec![]));
    steps.push((1_003, 0, wake(&["a"]), vec![ask_status("a")]));
    steps.push((1_004, 0, pruned("a", 3, 3), vec![]));
    play("who has it no longer is heard again before it is asked", steps);
    let mut steps = start();
    steps.push((3, 0, tick(&["b"]), vec![]));
    steps.push((4, 0, failed("a", 1..=3), vec![ask("b", 1..=3)]));
    steps.push((5, 0, tick(&["b", "a"]), vec![]));
    play("a disconnection: the request still counts until its end is reported", steps);
}

#[test]
fn what_is_late_is_asked_of_another_peer_too_and_the_first_answer_counts() {
    let mut steps = final_headers(10);
    steps.push((3, 0, verified("a", 1..=10), vec![ask("a", 1..=10)]));
    steps.push((4, 0, tick(&["a", "b"]), vec![ask_status("b")]));
    steps.push((5, 0, status("b", 10), vec![]));
    steps.push((1_500, 0, Input::Failed(id("nobody"), Request::Status, None), vec![]));
    steps.push((2_103, 0, Input::Failed(id("nobody"), Request::Status, None), vec![ask("b", 1..=10)]));
    let mut lost = steps.clone();
    steps.push((2_200, 0, blocks("b", 1..=10, 1..=10), vec![prepare("b", 1..=10)]));
    steps.push((2_300, 0, blocks("a", 1..=10, 1..=10), vec![]));
    let state = play("the second is faster", steps);
    let paces = ["a", "b"].map(|name| state.peers[&id(name)].rank(heddle_primitives::RequestKind::Blocks));
    assert!(paces[1] < paces[0], "the slow one has lost standing");
    lost.push((2_200, 0, failed("a", 1..=10), vec![]));
    lost.push((2_300, 0, blocks("b", 1..=10, 1..=10), vec![prepare("b", 1..=10)]));
    play("the first fails, and the second need not be asked again", lost);
}

#[test]
fn pruned_peers_are_asked_only_for_what_they_serve() {
    play(
        "nobody serves the first gap: nothing above it is fetched",
        vec![(0, 0, tick(&["pruned"]), vec![ask_status("pruned")]), (1, 0, pruned("pruned", 50, 100), vec![])],
    );
    play(
        "the archive brings the node to where the pruned peer takes over",
        vec![
            (0, 39, tick(&["archive", "pruned"]), vec![ask_status("archive"), ask_status("pruned")]),
            (1, 39, pruned("pruned", 50, 100), vec![]),
            (2, 39, status("archive", 100), vec![ask_headers("archive", 40..=100)]),
            (3, 39, headers("archive", 40..=100, 40..=70), vec![verify("archive", 40..=70)]),
            (
                4,
                39,
                verified("archive", 40..=70),
                vec![ask_headers("archive", 71..=100), ask("archive", 40..=49), ask("pruned", 50..=59)],
            ),
        ],
    );
}

#[test]
fn consensus_may_be_faster() {
    let mut steps = final_headers(20);
    steps.push((3, 0, verified("a", 1..=20), vec![ask("a", 1..=10), ask("a", 11..=20)]));
    steps.push((4, 14, blocks("a", 1..=10, 1..=10), vec![]));
    steps.push((5, 14, blocks("a", 11..=20, 11..=20), vec![prepare("a", 15..=20)]));
    steps.push((6, 16, prepared("a", 15..=20), vec![import("a", 17..=20)]));
    steps.push((7, 20, imported("a", 17), vec![]));
    play("a range that the head passed is dropped when it comes, one that it reached is cut", steps);
    let mut steps = final_headers(10);
    steps.push((3, 0, verified("a", 1..=10), vec![ask("a", 1..=10)]));
    steps.push((4, 0, blocks("a", 1..=10, 1..=10), vec![prepare("a", 1..=10)]));
    steps.push((5, 0, prepared("a", 1..=10), vec![import("a", 1..=10)]));
    steps.push((6, 6, imported("a", 1), vec![ask("a", 7..=10)]));
    play("an import that stopped early because the heights were committed is planned anew", steps);
    let mut steps = final_headers(20);
    steps.push((3, 30, verified("a", 1..=20), vec![]));
    let state = play("the head is ahead of what was verified", steps);
    assert_eq!(state.status().highest, Height::new(30));
}

#[test]
fn requests_and_ranges_in_memory_are_bounded() {
    let names = Vec::from_iter((0..50).map(|n| format!("peer{n}")));
    let names = Vec::from_iter(names.iter().map(String::as_str));
    let mut state = State::new(config(), Height::GENESIS);
    let mut asked = Vec::new();
    let mut handle = |input| state.handle(Duration::ZERO, Height::GENESIS, input);
    handle(tick(&names));
    for name in &names {
        asked.extend(handle(status(name, 300)));
    }
    assert_eq!(asked, [ask_headers("peer0", 1..=256)], "one of 50 peers");
    assert_eq!(handle(headers("peer0", 1..=256, 1..=256)), [verify("peer0", 1..=256)]);
    let asked = handle(verified("peer0", 1..=256));
    assert_eq!(asked.len(), 3, "headers, and ranges_max of blocks: {}", told(&asked));
    // What has arrived and cannot be committed yet still counts.
    let Output::Ask(peer, Request::Blocks(upper)) = &asked[2] else { panic!("{}", told(&asked)) };
    let arrived = Input::Blocks(peer.clone(), upper.clone(), test_chain::final_blocks(11..=20));
    assert_eq!(handle(arrived).len(), 1, "to be prepared, and nothing more is asked for");
    assert_eq!(state.window.0.len(), 2);
    // Peers that leave are forgotten, except those that still owe an answer.
    state.handle(Duration::ZERO, Height::GENESIS, tick(&[]));
    assert_eq!(state.peers.len(), 2);
}
