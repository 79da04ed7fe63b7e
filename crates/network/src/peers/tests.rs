//! The peer book as a story: what happened, then what it decides.

use super::{bans::BAN_MIN, *};
use crate::PeerState;
use libp2p::swarm::ConnectionId;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn address(port: u16) -> Multiaddr {
    format!("/ip4/10.0.0.1/tcp/{port}").parse().unwrap()
}

/// A book with one bootnode, and the time.
fn book() -> (PeerBook, PeerId, Instant) {
    let (now, bootnode) = (Instant::now(), PeerId::random());
    let named = NamedPeers { bootnodes: vec![(bootnode, address(1))], ..NamedPeers::default() };
    (PeerBook::new(PeerId::random(), Goals { connected: 3, outbound: 0 }, named, now), bootnode, now)
}

fn connect(book: &mut PeerBook, peer: PeerId, address: Multiaddr, inbound: bool, now: Instant) {
    book.connected(peer, Connection::new(ConnectionId::new_unchecked(0), address, inbound, now), now);
}

fn make_ready(book: &mut PeerBook, peer: PeerId, now: Instant) {
    connect(book, peer, address(9), true, now);
    book.identified(peer, "heddle".into());
    for topic in Topic::ALL {
        book.subscribed(peer, topic);
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
    connect(&mut book, peer, address(1), false, now);
    assert!(!book.is_ready(&peer));
    book.identified(peer, "heddle".into());
    for topic in Topic::ALL {
        assert!(!book.is_ready(&peer) && book.wants_more());
        book.subscribed(peer, topic);
    }
    assert!(book.is_ready(&peer));
}

#[test]
fn a_silent_connection_is_overdue_and_a_ready_one_never() {
    let (mut book, bootnode, now) = book();
    make_ready(&mut book, bootnode, now);
    let silent = PeerId::random();
    connect(&mut book, silent, address(5), true, now);
    for peer in [bootnode, silent] {
        book.answered(peer, now + READY_TIMEOUT - SECOND);
    }
    assert!(book.overdue(now + READY_TIMEOUT - SECOND).is_empty());
    assert_eq!(book.overdue(now + READY_TIMEOUT), vec![silent]);
}

#[test]
fn a_ready_connection_that_answers_no_ping_is_dead() {
    let (mut book, peer, mut now) = book();
    make_ready(&mut book, peer, now);
    for _ in 0..10 {
        now += SILENCE_MAX - SECOND;
        assert!(book.overdue(now).is_empty());
        book.answered(peer, now);
    }
    assert_eq!(book.overdue(now + SILENCE_MAX), vec![peer]);
}

#[test]
fn a_lost_ready_peer_is_redialled_soon_and_a_refusing_one_ever_later() {
    let (mut book, peer, mut now) = book();
    make_ready(&mut book, peer, now);
    book.disconnected(peer, now);
    assert_eq!(book.dials_due(now + SECOND).len(), 1);
    for _ in 0..6 {
        now += HOUR;
        connect(&mut book, peer, address(1), false, now);
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
    assert_eq!(book.punish(peer, now), BAN_MIN);
    book.disconnected(peer, now);
    assert!(book.dials_due(now + BAN_MIN - SECOND).is_empty());
    assert_eq!(book.dials_due(now + BAN_MIN).len(), 1);
    assert_eq!(book.penalty(&peer, now + BAN_MIN), 0.0, "what it did is paid for");
}

#[test]
fn a_peer_that_left_keeps_its_penalty_and_may_be_banned() {
    let (mut book, _, now) = book();
    let peer = PeerId::random();
    make_ready(&mut book, peer, now);
    assert!(!book.penalise(peer, Misbehaviour::InvalidResponse, now));
    book.disconnected(peer, now);
    assert!(!book.peers.contains_key(&peer), "it has no address");
    assert!(book.penalty(&peer, now) > 0.0);
    assert!(!book.penalise(peer, Misbehaviour::InvalidResponse, now));
    assert!(book.penalise(peer, Misbehaviour::InvalidResponse, now));
    assert_eq!(book.punish(peer, now), BAN_MIN);
    assert!(book.bans.remaining(&peer, now).is_some());
}

#[test]
fn a_peer_that_introduces_itself_without_end_is_stopped() {
    let (mut book, bootnode, now) = book();
    make_ready(&mut book, bootnode, now);
    let allowed = (0..1000).filter(|_| book.allow_introduction(bootnode, now)).count();
    assert!((1..100).contains(&allowed), "{allowed}");
    assert!(book.allow_introduction(bootnode, now + SECOND));
}

#[test]
fn hearsay_names_nothing_nearer_than_who_could_have_said_it() {
    let (mut book, bootnode, now) = book();
    let (near, far) = (PeerId::random(), PeerId::random());
    connect(&mut book, bootnode, "/ip4/192.0.2.1/tcp/1".parse().unwrap(), false, now);
    book.hear(near, vec![address(1), "/ip4/127.0.0.1/tcp/1".parse().unwrap()], now);
    book.hear(far, vec![address(1), "/ip4/192.0.2.2/tcp/1".parse().unwrap()], now);
    let known = |id| book.peers.get(&id).map_or(0, |peer: &Peer| peer.addresses.iter().count());
    assert_eq!((known(near), known(far)), (0, 1));
}

#[test]
fn many_proven_identities_of_one_subnet_push_out_only_each_other() {
    let (mut book, _, mut now) = book();
    let mut meet = |book: &mut PeerBook, address: &str| {
        now += SECOND;
        let peer = PeerId::random();
        make_ready(book, peer, now);
        book.claimed(peer, vec![address.parse().unwrap()]);
        book.disconnected(peer, now);
        peer
    };
    let honest = meet(&mut book, "/ip4/192.0.2.1/tcp/1");
    for _ in 0..PROVEN_MAX + 50 {
        meet(&mut book, "/ip4/198.51.100.1/tcp/1");
    }
    assert!(book.peers.contains_key(&honest));
}

#[test]
fn an_operators_word_makes_a_peer_due() {
    let (mut book, bootnode, now) = book();
    make_ready(&mut book, bootnode, now);
    let (named, pardoned) = (PeerId::random(), PeerId::random());
    book.discover(named, [address(2)], now);
    book.discover(pardoned, [address(3)], now);
    let mut later = now + HOUR;
    for _ in 0..5 {
        book.dials_due(later);
        book.dial_failed(named, later);
        book.dial_failed(pardoned, later);
        later += 10 * SECOND;
    }
    book.dials_due(later);
    book.dial_failed(named, later);
    book.dial_failed(pardoned, later);
    assert!(book.dials_due(later + SECOND).is_empty());
    book.add_persistent(named, address(2), later);
    book.dial_anew(pardoned, later);
    assert_eq!(book.dials_due(later + SECOND).len(), 2);
}

#[test]
fn discoveries_are_bounded() {
    let (mut book, _, now) = book();
    for port in 0..2000u16 {
        let peer = PeerId::random();
        book.discover(peer, (0..100).map(|_| address(port)), now);
        let stranger = PeerId::random();
        connect(&mut book, stranger, address(port), true, now);
        book.bans.exclude(stranger, FOREIGN_BAN, now);
        book.disconnected(stranger, now);
    }
    assert!(book.peers.len() <= DISCOVERED_MAX + 1, "{}", book.peers.len());
    assert!(book.records(now).len() <= DISCOVERED_MAX + 1 + 1024);
}

#[test]
fn peers_that_were_of_use_are_bounded_and_those_seen_last_stay() {
    let (mut book, _, mut now) = book();
    let peers: Vec<_> = (0..PROVEN_MAX + 50).map(|_| PeerId::random()).collect();
    for peer in &peers {
        now += SECOND;
        make_ready(&mut book, *peer, now);
        book.claimed(*peer, vec![address(7)]);
        book.disconnected(*peer, now);
    }
    let met: Vec<_> = book.met(now).into_iter().map(|met| met.peer).collect();
    assert_eq!(met, peers.into_iter().rev().take(PROVEN_MAX).collect::<Vec<_>>());
}

#[test]
fn a_peer_that_was_of_use_is_redialled_for_two_weeks() {
    let (mut book, bootnode, mut now) = book();
    make_ready(&mut book, bootnode, now);
    let peer = PeerId::random();
    make_ready(&mut book, peer, now);
    book.claimed(peer, vec![address(7)]);
    book.disconnected(peer, now);
    let lost = now;
    while now - lost <= PROVEN_FOR {
        now += HOUR;
        assert_eq!(book.dials_due(now).len(), 1);
        book.dial_failed(peer, now);
    }
    assert!(book.dials_due(now + HOUR).is_empty());
}

#[test]
fn a_peer_lost_long_ago_is_dialled_less_often() {
    let (mut book, _, mut now) = book();
    let met = Met { peer: PeerId::random(), addresses: vec![address(7)], age: HOUR, score: 0.0, agent: String::new() };
    let peer = met.peer;
    book.restore(met, now);
    now += HOUR;
    for _ in 0..20 {
        book.dials_due(now);
        book.dial_failed(peer, now);
        now += HOUR;
    }
    book.dials_due(now);
    book.dial_failed(peer, now);
    let is_due = |book: &mut PeerBook, now| book.dials_due(now).iter().any(|dial| dial.peer == peer);
    assert!(!is_due(&mut book, now + 60 * SECOND));
    assert!(is_due(&mut book, now + HOUR));
}

#[test]
fn a_persistent_peer_is_dialled_beyond_every_goal_until_it_is_removed() {
    let (mut book, bootnode, mut now) = book();
    for peer in [bootnode, PeerId::random(), PeerId::random(), PeerId::random()] {
        make_ready(&mut book, peer, now);
    }
    let peer = PeerId::random();
    book.add_persistent(peer, address(7), now);
    for _ in 0..100 {
        now += HOUR;
        assert_eq!(book.dials_due(now), vec![Dial { peer, addresses: vec![address(7)] }]);
        book.dial_failed(peer, now);
    }
    assert!(book.remove(peer) && !book.remove(peer));
    assert!(book.dials_due(now + HOUR).is_empty());
}

#[test]
fn peers_that_dialled_us_do_not_take_the_places_of_those_we_choose() {
    let now = Instant::now();
    let goals = Goals { connected: 3, outbound: 2 };
    let mut book = PeerBook::new(PeerId::random(), goals, NamedPeers::default(), now);
    for _ in 0..50 {
        make_ready(&mut book, PeerId::random(), now);
        book.discover(PeerId::random(), [address(2)], now);
    }
    assert_eq!(book.dials_due(now + HOUR).len(), 2);
    assert!(book.dials_due(now + HOUR).is_empty());
}

#[test]
fn a_direct_connection_takes_over_from_a_relayed_one() {
    let (mut book, _, now) = book();
    let peer = PeerId::random();
    make_ready(&mut book, peer, now);
    book.upgraded(peer, Connection::new(ConnectionId::new_unchecked(8), address(8), false, now));
    let connection = book.connection(&peer).unwrap();
    assert_eq!((connection.id, connection.address.clone()), (ConnectionId::new_unchecked(8), address(8)));
    assert!(book.is_ready(&peer), "what it said on the relayed one still holds");
}

#[test]
fn records_tell_what_is_known() {
    let (mut book, bootnode, now) = book();
    let (connected, banned) = (PeerId::random(), PeerId::random());
    make_ready(&mut book, connected, now);
    book.rate(&connected, 1.5);
    book.bans.exclude(banned, HOUR, now);
    let records = book.records(now);
    assert!(records.is_sorted_by_key(|record| record.peer_id));
    let of = |peer| records.iter().find(|record| record.peer_id == peer).unwrap();
    assert_eq!((of(bootnode).state, of(bootnode).last_seen), (PeerState::Idle, None));
    assert_eq!((of(connected).state, of(connected).last_seen), (PeerState::Ready, Some(Duration::ZERO)));
    assert_eq!((of(connected).score, of(connected).agent.as_str(), of(connected).inbound), (1.5, "heddle", true));
    assert_eq!((of(banned).banned_for, of(banned).addresses.len()), (Some(HOUR), 0));
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
