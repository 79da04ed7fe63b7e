//! Many relays at once: what is submitted anywhere reaches every honest node, about once, whatever others do.

mod world;

use super::{
    Input, Output, TransactionMetrics, TransactionRelay, hashes::HASHES_MAX, relay::ANNOUNCEMENTS_WAITING_MAX,
    wanted::WANTED_MAX,
};
use crate::{Announcement, Misbehaviour};
use alloy_primitives::B256;
use heddle_primitives::{MAX_TRANSACTION_BYTES, TransactionAnnouncement, TransactionRequest};
use libp2p::PeerId;
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};
use world::{Nature, USELESS, World, transaction};

const SECOND: Duration = Duration::from_secs(1);

/// `honest` nodes and these others.
fn natures(honest: usize, others: &[Nature]) -> Vec<Nature> {
    [vec![Nature::Honest; honest], others.to_vec()].concat()
}

/// Submits `count` transactions at random honest nodes, some at once and some a while apart; one in ten is too large
/// to be pushed.
fn submit(world: &mut World, honest: usize, count: u64) -> HashSet<B256> {
    let mut hashes = HashSet::new();
    for number in 0..count {
        let node = world.chance.below(honest);
        let bytes = if number % 10 == 0 { 20_000 } else { 110 };
        hashes.insert(world.submit(node, transaction(2, number, bytes)));
        let pause = world.chance.below(20) as u64;
        world.run(Duration::from_millis(pause));
    }
    hashes
}

/// Bytes received for each byte of these transactions that a node did not submit itself, over all honest nodes.
fn duplicate_factor(world: &World, hashes: &HashSet<B256>) -> f64 {
    let bytes: usize = hashes.iter().map(|hash| world.nodes[0].pool[hash].len()).sum();
    let honest = world.of(Nature::Honest).count();
    let received: usize = world.of(Nature::Honest).map(|node| node.received_bytes).sum();
    received as f64 / (bytes * (honest - 1)) as f64
}

#[test]
fn every_transaction_reaches_every_node_about_once() {
    for (seed, size) in [(1, 4), (2, 16), (3, 16), (4, 64)] {
        let mut world = World::new(seed, &natures(size, &[]));
        world.link_at_random(3);
        let hashes = submit(&mut world, size, 300);
        world.run(SECOND);
        assert!(world.all_hold(&hashes), "seed {seed}");
        let factor = duplicate_factor(&world, &hashes);
        assert!((1.0..1.3).contains(&factor), "{factor} with {size} nodes");
        assert_eq!((world.blamed.len(), world.refused), (0, 0), "seed {seed}");
    }
}

#[test]
fn a_burst_at_one_node_reaches_all_and_stays_within_the_pace() {
    let mut world = World::new(5, &natures(20, &[]));
    world.link_at_random(3);
    let hashes = HashSet::from_iter((0..4_000).map(|number| world.submit(0, transaction(2, number, 110))));
    world.run(20 * SECOND);
    assert!(world.all_hold(&hashes));
    assert!(duplicate_factor(&world, &hashes) < 1.3);
    assert_eq!((world.blamed.len(), world.refused), (0, 0));
}

#[test]
fn liars_delay_and_stop_nothing() {
    let liars = [Nature::Silent, Nature::Silent, Nature::Silent, Nature::Poisoner, Nature::Poisoner];
    for seed in 6..10 {
        let mut world = World::new(seed, &natures(20, &liars));
        world.link_at_random(3);
        let hashes = submit(&mut world, 20, 200);
        world.run(30 * SECOND);
        assert!(world.all_hold(&hashes), "seed {seed}");
        assert!(duplicate_factor(&world, &hashes) < 1.3, "seed {seed}");
        assert!(world.blamed.iter().all(|(node, _)| *node >= 20), "seed {seed}: {:?}", world.blamed);
        assert_eq!(world.refused, 0, "seed {seed}");
    }
}

#[test]
fn who_announces_and_never_serves_is_blamed_rarely_enough_to_be_merely_slow() {
    let mut world = World::new(11, &natures(2, &[Nature::Silent]));
    for (a, b) in [(0, 1), (0, 2)] {
        world.link(a, b);
    }
    for number in 0..60 {
        let raw = transaction(2, number, 110);
        let hash = alloy_primitives::keccak256(&raw);
        world.say(2, 0, TransactionRequest::Announce(vec![world::announcement(hash, &raw)]));
        world.run(SECOND);
    }
    let costs = world.blamed.iter().filter(|blame| **blame == (2, Misbehaviour::Unresponsive)).count();
    assert!((2..=6).contains(&costs), "{costs}");
    assert_eq!(costs, world.blamed.len());
}

#[test]
fn who_serves_what_is_invalid_is_blamed() {
    let mut world = World::new(12, &natures(2, &[Nature::Poisoner]));
    world.link(0, 1);
    world.link(0, 2);
    let poison = alloy_primitives::Bytes::from_static(&[world::INVALID; 100]);
    let hash = alloy_primitives::keccak256(&poison);
    let announce = TransactionRequest::Announce(vec![world::announcement(hash, &poison)]);
    world.say(2, 0, announce);
    world.run(SECOND);
    assert_eq!(world.blamed, [(2, Misbehaviour::InvalidGossip)]);

    let other = transaction(2, 7, 100);
    let announce = TransactionRequest::Announce(vec![world::announcement(alloy_primitives::keccak256(&other), &other)]);
    world.say(2, 0, announce);
    world.run(SECOND);
    assert_eq!(world.blamed[1..], [(2, Misbehaviour::InvalidResponse)], "it serves what was not asked for");
}

#[test]
fn what_is_useless_to_others_blames_nobody_and_is_not_fetched_again() {
    let mut world = World::new(13, &natures(10, &[]));
    world.link_at_random(2);
    for number in 0..100 {
        world.submit(0, transaction(USELESS, number, 110));
    }
    world.run(5 * SECOND);
    let useless_bytes = 100 * 110;
    assert!(world.nodes[1..].iter().all(|node| node.received_bytes <= useless_bytes));
    assert_eq!((world.blamed.len(), world.refused), (0, 0));
}

#[test]
fn a_slow_peer_delays_only_itself() {
    let mut world = World::new(14, &natures(12, &[Nature::Slow(Duration::from_millis(1_500))]));
    world.link_at_random(2);
    for node in 0..6 {
        world.link(node, 12);
    }
    let hashes = submit(&mut world, 12, 300);
    world.run(SECOND);
    assert!(world.all_hold(&hashes), "half of the others are linked to it, and none waits for it");
    assert!(hashes.iter().any(|hash| !world.nodes[12].pool.contains_key(hash)));
    world.run(60 * SECOND);
    assert!(hashes.iter().all(|hash| world.nodes[12].pool.contains_key(hash)), "it comes late to it");
    assert!(world.blamed.iter().all(|(node, what)| (*node, *what) == (12, Misbehaviour::Unresponsive)));
    let points = 5 * world.blamed.len();
    assert!(points < 100, "{points} points do not ban");
}

#[test]
fn a_new_peer_hears_of_what_is_pending_and_a_forgetful_one_hears_again() {
    let mut world = World::new(15, &natures(3, &[]));
    world.link(0, 1);
    let hashes = submit(&mut world, 2, 50);
    world.run(SECOND);
    world.link(1, 2);
    world.run(SECOND);
    assert!(world.all_hold(&hashes));

    let forgotten = *hashes.iter().next().unwrap();
    world.nodes[2].pool.remove(&forgotten);
    world.run(61 * SECOND);
    world.announce_again(1, forgotten);
    world.run(SECOND);
    assert!(world.all_hold(&hashes));
}

fn garbage(number: usize) -> TransactionAnnouncement {
    TransactionAnnouncement { hash: B256::left_padding_from(&number.to_be_bytes()), bytes: 110 }
}

fn relay_with(peers: &[PeerId], now: Instant) -> TransactionRelay {
    let mut relay = TransactionRelay::new(TransactionMetrics::default(), now);
    for peer in peers {
        relay.handle(Input::Joined(*peer), now);
    }
    relay
}

#[test]
fn announcers_of_garbage_leave_room_for_others_and_memory_is_bounded() {
    let now = Instant::now();
    let peers = Vec::from_iter((0..8).map(|_| PeerId::random()));
    let (honest, liars) = peers.split_first().unwrap();
    let mut relay = relay_with(&peers, now);
    for number in 0..3 * HASHES_MAX {
        let peer = liars[number % liars.len()];
        relay.handle(Input::Announced { peer, transactions: vec![garbage(number)] }, now);
        relay.handle(Input::Lacking { peer, transactions: vec![garbage(number)] }, now);
    }
    assert!(relay.wanted_count() <= WANTED_MAX);
    assert!(peers.iter().all(|peer| relay.known_count(peer) <= HASHES_MAX));

    let wanted = garbage(usize::MAX);
    let outputs = relay.handle(Input::Lacking { peer: *honest, transactions: vec![wanted] }, now);
    let asks = |output: &Output| matches!(output, Output::Fetch { peer, hashes, .. } if peer == honest && *hashes == [wanted.hash]);
    assert!(outputs.iter().any(asks), "{outputs:?}");
}

#[test]
fn the_queue_to_a_peer_that_takes_nothing_keeps_the_newest() {
    let (now, peer) = (Instant::now(), PeerId::random());
    let mut relay = relay_with(&[peer], now);
    for number in 0..2 * ANNOUNCEMENTS_WAITING_MAX {
        let transactions = vec![garbage(number)];
        relay.handle(Input::Pending { transactions, announcement: Announcement::Gossip }, now);
    }
    let later = now + SECOND;
    let outputs = relay.handle(Input::AnnounceEnded { peer, taken: true }, later);
    let [Output::Announce { transactions, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(transactions[0], garbage(ANNOUNCEMENTS_WAITING_MAX));
}

#[test]
fn what_a_peer_did_not_take_is_announced_again() {
    let (now, peer) = (Instant::now(), PeerId::random());
    let mut relay = relay_with(&[peer], now);
    let announces =
        |outputs: &[Output], number| outputs.contains(&Output::Announce { peer, transactions: vec![garbage(number)] });
    let pending = |number, announcement| Input::Pending { transactions: vec![garbage(number)], announcement };
    assert!(announces(&relay.handle(pending(1, Announcement::Gossip), now), 1));
    assert_eq!(relay.handle(Input::AnnounceEnded { peer, taken: false }, now), []);
    let later = now + SECOND;
    assert!(announces(&relay.handle(Input::Tick, later), 1));
    relay.handle(Input::AnnounceEnded { peer, taken: true }, later);

    let outputs = relay.handle(pending(2, Announcement::Local), later);
    assert_eq!(outputs, [Output::Push { peer, hashes: vec![garbage(2).hash] }]);
    relay.handle(Input::PushEnded { peer, taken: false }, later);
    assert!(announces(&relay.handle(Input::Tick, later + SECOND), 2), "a push that failed becomes an announcement");
    relay.handle(Input::AnnounceEnded { peer, taken: true }, later);
    assert_eq!(relay.handle(Input::Tick, later + 5 * SECOND), []);
}

#[test]
fn who_joins_twice_is_told_once_of_what_is_pending() {
    let (now, peer) = (Instant::now(), PeerId::random());
    let mut relay = TransactionRelay::new(TransactionMetrics::default(), now);
    assert_eq!(relay.handle(Input::Joined(peer), now), [Output::ListPending(peer)]);
    assert_eq!(relay.handle(Input::Joined(peer), now), []);
    relay.handle(Input::Left(peer), now);
    assert_eq!(relay.handle(Input::Joined(peer), now), [Output::ListPending(peer)]);
}

#[test]
fn who_answers_with_nothing_is_asked_once_more_after_the_others() {
    let now = Instant::now();
    let peers = [PeerId::random(), PeerId::random()];
    let mut relay = relay_with(&peers, now);
    let fetch = |outputs: Vec<Output>| {
        let of = |output| if let Output::Fetch { peer, id, .. } = output { Some((peer, id)) } else { None };
        outputs.into_iter().find_map(of)
    };
    let [first, second] = peers.map(|peer| Input::Lacking { peer, transactions: vec![garbage(1)] });
    let nothing = |(peer, id)| Input::Fetched { peer, id, transactions: Vec::new() };
    let of_first = fetch(relay.handle(first, now)).unwrap();
    assert_eq!((of_first.0, fetch(relay.handle(second, now))), (peers[0], None));
    let of_second = fetch(relay.handle(nothing(of_first), now)).unwrap();
    assert_eq!(of_second.0, peers[1]);
    assert_eq!(fetch(relay.handle(nothing(of_second), now)), None, "both are left alone for a while");
    let at = relay.due_at().unwrap();
    let again = fetch(relay.handle(Input::Tick, at)).unwrap();
    assert_eq!((at > now, again.0), (true, peers[0]));
    let last = fetch(relay.handle(nothing(again), at)).unwrap();
    assert_eq!((last.0, relay.wanted_count()), (peers[1], 1));
    assert_eq!((fetch(relay.handle(nothing(last), at)), relay.wanted_count()), (None, 0));
}

#[test]
fn a_local_transaction_goes_to_three_at_once_and_by_name_to_the_others() {
    let now = Instant::now();
    let peers = Vec::from_iter((0..10).map(|_| PeerId::random()));
    let mut relay = relay_with(&peers, now);
    let told = |relay: &mut TransactionRelay, transaction| {
        let input = Input::Pending { transactions: vec![transaction], announcement: Announcement::Local };
        let outputs = relay.handle(input, now);
        let pushed = outputs.iter().filter(|output| matches!(output, Output::Push { .. })).count();
        (pushed, outputs.len() - pushed)
    };
    assert_eq!(told(&mut relay, garbage(1)), (3, 7));
    let large = TransactionAnnouncement { bytes: MAX_TRANSACTION_BYTES as u32, ..garbage(2) };
    assert_eq!(told(&mut relay, large).0, 0);
}

#[test]
fn a_peer_that_leaves_is_replaced_by_the_next_announcer() {
    let now = Instant::now();
    let peers = Vec::from_iter((0..3).map(|_| PeerId::random()));
    let mut relay = relay_with(&peers, now);
    let fetched_from = |outputs: Vec<Output>| {
        outputs.into_iter().find_map(|output| if let Output::Fetch { peer, .. } = output { Some(peer) } else { None })
    };
    let lacking = |peer| Input::Lacking { peer, transactions: vec![garbage(1)] };
    assert_eq!(fetched_from(relay.handle(lacking(peers[0]), now)), Some(peers[0]));
    assert_eq!(fetched_from(relay.handle(lacking(peers[1]), now)), None);
    assert_eq!(fetched_from(relay.handle(lacking(peers[2]), now)), None);
    let second = fetched_from(relay.handle(Input::Left(peers[0]), now)).unwrap();
    let third = fetched_from(relay.handle(Input::Left(second), now)).unwrap();
    assert_ne!(second, third);
    relay.handle(Input::Left(third), now);
    assert_eq!(relay.wanted_count(), 0);
}
