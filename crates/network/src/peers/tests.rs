//! The peer book as a story: what happened, then what it decides.

use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn address(port: u16) -> Multiaddr {
    format!("/ip4/10.0.0.1/tcp/{port}").parse().unwrap()
}

/// A book with one bootnode, and the time.
fn book() -> (PeerBook, PeerId, Instant) {
    let (now, bootnode) = (Instant::now(), PeerId::random());
    (PeerBook::new(PeerId::random(), 3, vec![(bootnode, address(1))], now), bootnode, now)
}

fn make_ready(book: &mut PeerBook, peer: PeerId, now: Instant) {
    book.connected(peer, address(9), true, now);
    book.identified(peer, "heddle".into());
    for topic in Topic::ALL {
        book.subscribed(peer, topic, true);
    }
}

#[test]
fn a_bootnode_is_dialled_for_ever_once_at_a_time() {
    let (mut book, bootnode, mut now) = book();
    for _ in 0..100 {
        now += HOUR;
        assert_eq!(book.dials_due(now), vec![Dial { peer: bootnode, addresses: vec![address(1)] }]);
        assert!(book.dials_due(now + HOUR).is_empty(), "a dial is under way");
        book.dial_failed(bootnode, now);
        assert!(book.dials_due(now).is_empty(), "a failure waits");
    }
}

#[test]
fn a_discovered_peer_is_forgotten_after_failures() {
    let (mut book, bootnode, mut now) = book();
    make_ready(&mut book, bootnode, now);
    let peer = PeerId::random();
    book.discover(peer, [address(2)], now);
    for _ in 0..FAILURES_MAX {
        now += HOUR;
        assert_eq!(book.dials_due(now).len(), 1);
        book.dial_failed(peer, now);
    }
    assert!(book.dials_due(now + HOUR).is_empty());
    assert!(!book.peers.contains_key(&peer));
}

#[test]
fn discovered_peers_are_dialled_up_to_the_target() {
    let (mut book, bootnode, now) = book();
    make_ready(&mut book, bootnode, now);
    for port in 2..10 {
        book.discover(PeerId::random(), [address(port)], now);
    }
    assert_eq!(book.dials_due(now + HOUR).len(), 2, "the target is 3 and one is connected");
    assert!(book.dials_due(now + HOUR).is_empty());
}

#[test]
fn ready_means_identified_and_subscribed_to_every_topic() {
    let (mut book, peer, now) = book();
    book.connected(peer, address(1), false, now);
    assert!(!book.is_ready(&peer));
    book.identified(peer, "heddle".into());
    for topic in Topic::ALL {
        assert!(!book.is_ready(&peer) && book.wants_more());
        book.subscribed(peer, topic, true);
    }
    assert!(book.is_ready(&peer));
    book.subscribed(peer, Topic::Consensus, false);
    assert!(!book.is_ready(&peer));
    assert_eq!(book.overdue(now + READY_TIMEOUT), vec![peer]);
}

#[test]
fn a_silent_connection_is_overdue_and_a_ready_one_never() {
    let (mut book, bootnode, now) = book();
    make_ready(&mut book, bootnode, now);
    let silent = PeerId::random();
    book.connected(silent, address(5), true, now);
    assert!(book.overdue(now + READY_TIMEOUT - SECOND).is_empty());
    assert_eq!(book.overdue(now + HOUR), vec![silent]);
}

#[test]
fn a_lost_ready_peer_is_redialled_soon_and_a_refusing_one_ever_later() {
    let (mut book, peer, mut now) = book();
    make_ready(&mut book, peer, now);
    book.disconnected(peer, now);
    assert_eq!(book.dials_due(now + SECOND).len(), 1);
    for _ in 0..6 {
        now += HOUR;
        book.connected(peer, address(1), false, now);
        book.disconnected(peer, now);
        let _ = book.dials_due(now);
    }
    assert!(book.dials_due(now + SECOND).is_empty());
    assert_eq!(book.dials_due(now + 20 * SECOND).len(), 1);
}

#[test]
fn a_banned_peer_stays_away_for_its_time() {
    let (mut book, peer, now) = book();
    make_ready(&mut book, peer, now);
    assert!(!book.penalise(peer, Misbehaviour::InvalidResponse, now));
    assert!(book.penalty(&peer, now) > 0.0);
    assert!(book.penalise(peer, Misbehaviour::InvalidBlock, now));
    assert!(book.ban(peer, BAN, now));
    book.disconnected(peer, now);
    assert!(book.dials_due(now + BAN - SECOND).is_empty());
    assert!(book.bans_ended(now + BAN - SECOND).is_empty());
    assert_eq!(book.bans_ended(now + BAN), vec![peer]);
    assert_eq!(book.dials_due(now + BAN).len(), 1);
    assert_eq!(book.penalty(&peer, now + BAN), 0.0);
}

#[test]
fn bans_and_discoveries_are_bounded() {
    let (mut book, _, now) = book();
    for port in 0..2000u16 {
        let peer = PeerId::random();
        book.discover(peer, (0..100).map(|_| address(port)), now);
        let stranger = PeerId::random();
        book.connected(stranger, address(port), true, now);
        book.ban(stranger, FOREIGN_BAN, now);
        book.disconnected(stranger, now);
    }
    assert!(book.peers.len() <= DISCOVERED_MAX + BANS_MAX + 1, "{}", book.peers.len());
    assert_eq!(book.bans_ended(now + HOUR).len(), BANS_MAX);
    assert!(book.peers.len() <= DISCOVERED_MAX + 1);
}

#[test]
fn our_own_address_is_never_dialled() {
    let (mut book, bootnode, now) = book();
    make_ready(&mut book, bootnode, now);
    book.discover(book.local, [address(3)], now);
    assert!(book.dials_due(now + HOUR).is_empty());
}

proptest! {
    /// Whatever happens in whatever order: one dial at a time a peer, none while connected, bounds hold.
    #[test]
    fn invariants_hold(events in proptest::collection::vec((0usize..6, 0usize..12), 1..200)) {
        let (mut book, bootnode, mut now) = book();
        let peers: Vec<_> = std::iter::once(bootnode).chain((1..12).map(|_| PeerId::random())).collect();
        for (event, index) in events {
            now += SECOND;
            let peer = peers[index];
            match event {
                0 => book.discover(peer, [address(index as u16)], now),
                1 => book.dial_failed(peer, now),
                2 => make_ready(&mut book, peer, now),
                3 => book.disconnected(peer, now),
                4 => { book.penalise(peer, Misbehaviour::InvalidGossip, now); }
                _ => {
                    let is_busy = |peer: &Peer| !matches!(peer.link, Link::Idle);
                    let busy: Vec<_> = peers.iter().filter(|id| book.peers.get(id).is_some_and(is_busy)).collect();
                    let dials = book.dials_due(now);
                    prop_assert!(dials.iter().all(|dial| !busy.contains(&&dial.peer) && !dial.addresses.is_empty()));
                }
            }
            prop_assert!(book.peers.contains_key(&bootnode));
        }
    }
}
