//! The core as a table: each case is a story, each line one input at a time and head, with all that must follow.

use super::*;
use alloy_primitives::B256;
use heddle_primitives::{Block, CommitCertificate, Header, ProposedBlock, Round};
use std::sync::Arc;

const SECOND: u64 = 1_000;

fn config() -> SyncConfig {
    SyncConfig { ranges_max: 2, blocks_per_range: 10, ..SyncConfig::default() }
}

pub(super) fn id(name: &str) -> PeerId {
    PeerId::new(name.as_bytes().to_vec())
}

fn ids(names: &[&str]) -> Vec<PeerId> {
    names.iter().map(|n| id(n)).collect()
}

pub(super) fn block(number: u64) -> FinalizedBlock {
    let block = Block { header: Header { number, ..Header::default() }, ..Block::default() };
    FinalizedBlock {
        proposed: ProposedBlock::new(Arc::new(block), None),
        certificate: CommitCertificate::new(Height::new(number), Round::ZERO, B256::ZERO, Vec::new()),
    }
}

fn range(from: u64, count: u64) -> BlocksRequest {
    BlocksRequest { from: Height::new(from), count }
}

fn tick(names: &[&str]) -> Input {
    Input::Tick(ids(names))
}

fn wake(names: &[&str]) -> Input {
    Input::Wake(ids(names))
}

fn status(name: &str, height: u64) -> Input {
    pruned(name, 1, height)
}

fn pruned(name: &str, earliest: u64, height: u64) -> Input {
    let status = Status { height: Height::new(height), hash: B256::ZERO, earliest: Height::new(earliest) };
    Input::Status(id(name), status)
}

fn blocks(name: &str, asked: BlocksRequest, numbers: impl IntoIterator<Item = u64>) -> Input {
    Input::Blocks(id(name), asked, numbers.into_iter().map(block).collect())
}

fn failed(name: &str, asked: BlocksRequest) -> Input {
    Input::Failed(id(name), Request::Blocks(asked), None)
}

fn imported(name: &str, from: u64) -> Input {
    Input::Imported(id(name), Height::new(from), None)
}

fn ask_status(name: &str) -> Output {
    Output::Ask(id(name), Request::Status)
}

fn ask(name: &str, from: u64, count: u64) -> Output {
    Output::Ask(id(name), Request::Blocks(range(from, count)))
}

fn import(name: &str, from: u64, numbers: impl IntoIterator<Item = u64>) -> Output {
    Output::Import(id(name), Height::new(from), numbers.into_iter().map(block).collect())
}

fn report(name: &str, fault: PeerFault) -> Output {
    Output::Report(id(name), fault)
}

/// (milliseconds, head, input, outputs)
type Step = (u64, u64, Input, Vec<Output>);

fn play(story: &str, steps: Vec<Step>) -> State {
    let mut state = State::new(config(), Height::new(steps[0].1));
    for (index, (at, head, input, expected)) in steps.into_iter().enumerate() {
        let described = format!("{input:?}");
        let outputs = state.handle(Duration::from_millis(at), Height::new(head), input);
        assert_eq!(outputs, expected, "{story}, step {index}: {described}");
    }
    state
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
fn fetches_ranges_from_several_peers_and_imports_in_order() {
    let state = play(
        "two ranges in flight, the upper one arrives first",
        vec![
            (0, 0, tick(&["a", "b"]), vec![ask_status("a"), ask_status("b")]),
            (1, 0, status("a", 25), vec![ask("a", 1, 10)]),
            (2, 0, status("b", 25), vec![ask("b", 11, 10)]),
            (3, 0, blocks("b", range(11, 10), 11..=20), vec![]),
            (4, 0, blocks("a", range(1, 10), 1..=10), vec![import("a", 1, 1..=10)]),
            (5, 10, imported("a", 1), vec![ask("a", 21, 5), import("b", 11, 11..=20)]),
            (6, 20, imported("b", 11), vec![]),
            (7, 20, blocks("a", range(21, 5), 21..=25), vec![import("a", 21, 21..=25)]),
            (8, 25, imported("a", 21), vec![]),
        ],
    );
    let height = Height::new(25);
    assert_eq!(
        state.status(),
        SyncStatus { syncing: false, starting: height, current: height, highest: height, peers: 2, common: height }
    );
}

#[test]
fn tells_where_it_is() {
    let state = play(
        "in the middle",
        vec![
            (0, 5, tick(&["a"]), vec![ask_status("a")]),
            (1, 5, status("a", 40), vec![ask("a", 6, 10)]),
            (2, 5, blocks("a", range(6, 10), 6..=15), vec![ask("a", 16, 10), import("a", 6, 6..=15)]),
            (3, 15, imported("a", 6), vec![]),
        ],
    );
    let (starting, current, highest) = (Height::new(5), Height::new(15), Height::new(40));
    assert_eq!(state.status(), SyncStatus { syncing: true, starting, current, highest, peers: 1, common: highest });
}

#[test]
fn a_single_missing_block_is_left_to_consensus_for_a_while() {
    play(
        "the head stands still",
        vec![
            (0, 7, tick(&["a"]), vec![ask_status("a")]),
            (1, 7, status("a", 8), vec![]),
            (1_999, 7, blocks("nobody", range(1, 1), []), vec![report("nobody", PeerFault::BrokenPromise)]),
            (2_000, 7, tick(&["a"]), vec![ask_status("a"), ask("a", 8, 1)]),
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
            (3_500, 8, tick(&["a"]), vec![ask("a", 9, 1)]),
        ],
    );
}

#[test]
fn a_short_answer_leaves_a_gap_that_is_asked_again() {
    play(
        "short in the lower range, whole in the upper",
        vec![
            (0, 0, tick(&["a", "b"]), vec![ask_status("a"), ask_status("b")]),
            (1, 0, status("a", 20), vec![ask("a", 1, 10)]),
            (2, 0, status("b", 20), vec![ask("b", 11, 10)]),
            (3, 0, blocks("b", range(11, 10), 11..=20), vec![]),
            (4, 0, blocks("a", range(1, 10), 1..=4), vec![import("a", 1, 1..=4)]),
            (5, 4, imported("a", 1), vec![ask("a", 5, 6)]),
            (6, 4, blocks("a", range(5, 6), 5..=10), vec![import("a", 5, 5..=10)]),
            (7, 10, imported("a", 5), vec![import("b", 11, 11..=20)]),
        ],
    );
}

#[test]
fn answers_to_another_question_are_faults() {
    let asked = range(1, 10);
    for (story, numbers, fault) in [
        ("nothing", vec![], PeerFault::BrokenPromise),
        ("starts elsewhere", vec![2, 3], PeerFault::WrongAnswer),
        ("has a hole", vec![1, 3], PeerFault::WrongAnswer),
        ("repeats itself", vec![1, 1], PeerFault::WrongAnswer),
        ("more than asked for", (1..=11).collect(), PeerFault::WrongAnswer),
    ] {
        play(
            story,
            vec![
                (0, 0, tick(&["liar", "other"]), vec![ask_status("liar"), ask_status("other")]),
                (1, 0, status("liar", 9_000), vec![ask("liar", 1, 10)]),
                (2, 0, status("other", 10), vec![]),
                (3, 0, blocks("liar", asked.clone(), numbers), vec![report("liar", fault), ask("other", 1, 10)]),
                (4, 0, status("liar", 9_000), vec![]),
            ],
        );
    }
}

#[test]
fn a_liar_about_its_height_stops_counting() {
    let state = play(
        "what it announced is forgotten when it does not deliver",
        vec![
            (0, 3, tick(&["liar"]), vec![ask_status("liar")]),
            (1, 3, status("liar", u64::MAX), vec![ask("liar", 4, 10)]),
            (2, 3, blocks("liar", range(4, 10), []), vec![report("liar", PeerFault::BrokenPromise)]),
        ],
    );
    assert!(!state.status().syncing);
    assert_eq!(state.status().highest, Height::new(3));
}

#[test]
fn each_failure_doubles_the_rest_and_a_commit_forgives() {
    let mut state = State::new(config(), Height::GENESIS);
    let mut now = Duration::ZERO;
    let mut handle = |now, head, input| state.handle(now, Height::new(head), input);
    for rest in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(handle(now, 0, tick(&["a"])), [ask_status("a")]);
        assert_eq!(handle(now, 0, status("a", 10)), [ask("a", 1, 10)]);
        assert_eq!(handle(now, 0, failed("a", range(1, 10))), []);
        now += Duration::from_secs(rest);
        assert_eq!(handle(now - Duration::from_millis(1), 0, tick(&["a"])), []);
    }
    assert_eq!(handle(now, 0, tick(&["a"])), [ask_status("a")]);
    assert_eq!(handle(now, 0, status("a", 10)), [ask("a", 1, 10)]);
    assert_eq!(handle(now, 0, blocks("a", range(1, 10), 1..=10)), [import("a", 1, 1..=10)]);
    assert_eq!(handle(now, 10, imported("a", 1)), []);
    assert_eq!(handle(now, 10, Input::Failed(id("a"), Request::Status, None)), []);
    now += Duration::from_secs(1);
    assert_eq!(handle(now, 10, tick(&["a"])), [ask_status("a")]);
}

#[test]
fn the_next_peer_is_asked_when_one_fails() {
    play(
        "a timeout",
        vec![
            (0, 0, tick(&["a", "b"]), vec![ask_status("a"), ask_status("b")]),
            (1, 0, status("a", 10), vec![ask("a", 1, 10)]),
            (2, 0, status("b", 10), vec![]),
            (10 * SECOND, 0, failed("a", range(1, 10)), vec![ask("b", 1, 10)]),
        ],
    );
    play(
        "a disconnection: the request still counts until its end is reported",
        vec![
            (0, 0, tick(&["a", "b"]), vec![ask_status("a"), ask_status("b")]),
            (1, 0, status("a", 10), vec![ask("a", 1, 10)]),
            (2, 0, status("b", 10), vec![]),
            (3, 0, tick(&["b"]), vec![]),
            (4, 0, failed("a", range(1, 10)), vec![ask("b", 1, 10)]),
            (5, 0, tick(&["b", "a"]), vec![]),
        ],
    );
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
            (2, 39, status("archive", 100), vec![ask("archive", 40, 10), ask("pruned", 50, 10)]),
        ],
    );
}

#[test]
fn an_invalid_block_puts_its_sender_aside_with_all_it_sent() {
    let fault = PeerFault::InvalidBlock("block 1: no quorum".into());
    let rejected = Input::Imported(id("liar"), Height::new(1), Some(fault.clone()));
    let state = play(
        "two ranges of the liar, the first is invalid",
        vec![
            (0, 0, tick(&["liar"]), vec![ask_status("liar")]),
            (1, 0, status("liar", 20), vec![ask("liar", 1, 10)]),
            (2, 0, blocks("liar", range(1, 10), 1..=10), vec![ask("liar", 11, 10), import("liar", 1, 1..=10)]),
            (3, 0, blocks("liar", range(11, 10), 11..=20), vec![]),
            (4, 0, rejected, vec![report("liar", fault)]),
            (60 * SECOND, 0, tick(&["liar", "b"]), vec![ask_status("b")]),
            (61 * SECOND, 0, status("b", 20), vec![ask("b", 1, 10)]),
            (605 * SECOND, 0, tick(&["liar", "b"]), vec![ask_status("b"), ask_status("liar")]),
        ],
    );
    assert_eq!(state.ranges.len(), 1);
}

#[test]
fn consensus_may_be_faster() {
    play(
        "a range that the head passed is dropped when it comes, one that it reached is cut",
        vec![
            (0, 0, tick(&["a", "b"]), vec![ask_status("a"), ask_status("b")]),
            (1, 0, status("a", 20), vec![ask("a", 1, 10)]),
            (2, 0, status("b", 20), vec![ask("b", 11, 10)]),
            (3, 14, blocks("a", range(1, 10), 1..=10), vec![]),
            (4, 14, blocks("b", range(11, 10), 11..=20), vec![import("b", 11, 15..=20)]),
            (5, 20, imported("b", 11), vec![]),
        ],
    );
    play(
        "an import that stopped early because the heights were committed is planned anew",
        vec![
            (0, 0, tick(&["a"]), vec![ask_status("a")]),
            (1, 0, status("a", 10), vec![ask("a", 1, 10)]),
            (2, 0, blocks("a", range(1, 10), 1..=10), vec![import("a", 1, 1..=10)]),
            (3, 6, imported("a", 1), vec![ask("a", 7, 4)]),
        ],
    );
}

#[test]
fn requests_and_ranges_in_memory_are_bounded() {
    let names = Vec::from_iter((0..50).map(|n| format!("peer{n}")));
    let names = Vec::from_iter(names.iter().map(String::as_str));
    let mut state = State::new(config(), Height::GENESIS);
    let mut asked = Vec::new();
    state.handle(Duration::ZERO, Height::GENESIS, tick(&names));
    for name in &names {
        asked.extend(state.handle(Duration::ZERO, Height::GENESIS, status(name, 1_000_000)));
    }
    assert_eq!(asked.len(), 2, "ranges_max of 50 peers");
    // What has arrived and cannot be committed yet still counts.
    assert_eq!(state.handle(Duration::ZERO, Height::GENESIS, blocks("peer1", range(11, 10), 11..=20)), []);
    assert_eq!(state.ranges.len(), 2);
    // Peers that leave are forgotten, except one that still owes an answer.
    state.handle(Duration::ZERO, Height::GENESIS, tick(&[]));
    assert_eq!(Vec::from_iter(state.peers.keys().cloned()), ids(&["peer0"]));
}
