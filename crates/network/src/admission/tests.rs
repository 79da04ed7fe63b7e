//! The admission as a story: who comes, and what it answers.

use super::*;
use proptest::prelude::*;

fn config() -> NetworkConfig {
    NetworkConfig { peers_max: 8, ..NetworkConfig::default() }
}

fn admission(config: &NetworkConfig) -> Admission {
    Admission::new(config, [])
}

fn id(index: usize) -> ConnectionId {
    ConnectionId::new_unchecked(index)
}

fn arrival(ip: [u8; 4], inbound: bool) -> Arrival {
    Arrival { peer: PeerId::random(), ip: Some(ip.into()), inbound, relayed: false, probe: false }
}

fn place(index: usize) -> [u8; 4] {
    [192, (index >> 8) as u8, index as u8, 1]
}

#[test]
fn lists_decide_who_is_wanted() {
    let (friend, foe) = (PeerId::random(), PeerId::random());
    let parse = |text: &str| text.parse::<PeerFilter>().unwrap();
    let config = NetworkConfig {
        allow: vec![parse("192.0.2.0/24"), PeerFilter::Peer(friend)],
        deny: vec![parse("192.0.2.128/25"), PeerFilter::Peer(foe)],
        ..config()
    };
    let mut admission = admission(&config);
    let mut judge = |peer, ip: [u8; 4]| {
        let arrival = Arrival { peer, ..arrival(ip, true) };
        let judged = admission.establish(id(1), arrival);
        admission.closed(id(1));
        judged
    };
    assert_eq!(judge(PeerId::random(), [192, 0, 2, 1]), Ok(None));
    assert_eq!(judge(PeerId::random(), [192, 0, 2, 200]), Err(Refusal::Denied));
    assert_eq!(judge(PeerId::random(), [198, 51, 100, 1]), Err(Refusal::NotAllowed));
    assert_eq!(judge(friend, [198, 51, 100, 1]), Ok(None));
    assert_eq!(judge(friend, [192, 0, 2, 200]), Err(Refusal::Denied));
    assert_eq!(judge(foe, [192, 0, 2, 1]), Err(Refusal::Denied));
    assert_eq!(admission.pending_inbound(id(2), Some([192, 0, 2, 200].into())), Err(Refusal::Denied));
    assert_eq!(admission.pending_outbound(id(3), Some(foe)), Err(Refusal::Denied));
    assert_eq!(admission.pending_outbound(id(4), Some(PeerId::random())), Ok(()), "its address will tell");
}

#[test]
fn the_reserved_are_persistent() {
    let config = NetworkConfig { reserved_only: true, ..config() };
    let reserved = PeerId::random();
    let mut admission = Admission::new(&config, [reserved]);
    assert_eq!(admission.establish(id(1), arrival(place(1), true)), Err(Refusal::NotReserved));
    assert_eq!(admission.pending_outbound(id(2), Some(PeerId::random())), Err(Refusal::NotReserved));
    assert_eq!(admission.establish(id(3), Arrival { peer: reserved, ..arrival(place(1), true) }), Ok(None));
    admission.set_persistent(reserved, false);
    assert_eq!(admission.unwanted(), [reserved]);
}

#[test]
fn the_banned_stay_out_and_those_who_are_in_are_unwanted() {
    let mut admission = admission(&config());
    let inside = arrival(place(1), false);
    admission.establish(id(1), inside).unwrap();
    let other = arrival(place(2), true);
    admission.set_banned([inside.peer].into(), [IpAddr::from(place(2))].into());
    assert_eq!(admission.unwanted(), [inside.peer]);
    assert_eq!(admission.pending_inbound(id(2), other.ip), Err(Refusal::Banned));
    assert_eq!(admission.establish(id(2), other), Err(Refusal::Banned));
    assert_eq!(admission.pending_outbound(id(3), Some(inside.peer)), Err(Refusal::Banned));
}

#[test]
fn one_connection_a_peer_besides_probes_and_what_replaces_a_relayed_one() {
    let mut admission = admission(&config());
    let direct = arrival(place(1), true);
    let relayed = Arrival { relayed: true, ..direct };
    admission.establish(id(1), relayed).unwrap();
    assert_eq!(admission.establish(id(2), relayed), Err(Refusal::Second));
    assert_eq!(admission.establish(id(3), direct), Ok(None));
    assert_eq!(admission.establish(id(4), direct), Err(Refusal::Second));
    assert_eq!(admission.establish(id(5), relayed), Err(Refusal::Second));
    assert_eq!(admission.establish(id(6), Arrival { probe: true, ..direct }), Ok(None));
    for closed in [1, 3] {
        admission.closed(id(closed));
    }
    assert_eq!(admission.establish(id(7), direct), Ok(None), "a probe is not the peer's own connection");
}

#[test]
fn a_place_has_only_so_many_connections() {
    let config = NetworkConfig { peers_max: 1000, ..config() };
    let (limits, mut admission) = (config.limits, admission(&config));
    let mut admitted = |ip: fn(usize) -> [u8; 4], relayed| {
        let arrivals = (0..200).map(|index| (index, Arrival { relayed, ..arrival(ip(index), index % 2 == 0) }));
        let ids: Vec<_> = arrivals.filter(|(index, one)| admission.establish(id(*index), *one).is_ok()).collect();
        ids.iter().for_each(|(index, _)| admission.closed(id(*index)));
        ids.len() as u32
    };
    assert_eq!(admitted(|_| [192, 0, 2, 1], false), limits.per_ip);
    assert_eq!(admitted(|_| [192, 0, 2, 1], true), limits.per_subnet, "a relay's guests share its address");
    assert_eq!(admitted(|index| [192, 0, 2, index as u8], false), limits.per_subnet);
    assert_eq!(admitted(|_| [127, 0, 0, 1], false), 200);
    assert_eq!(admitted(|_| [10, 0, 0, 1], false), 200);
}

#[test]
fn one_owner_cannot_hold_every_handshake() {
    let mut admission = admission(&config());
    let pending = config().limits.pending as usize;
    let neighbour = |index: usize| IpAddr::from([192, 0, 0, index as u8]);
    let held =
        (0..pending).filter(|index| admission.pending_inbound(id(*index), Some(neighbour(*index))).is_ok()).count();
    let share = pending / PENDING_SHARE as usize;
    assert_eq!(held, share);
    let others =
        (0..pending).filter(|index| admission.pending_inbound(id(1000 + index), Some(place(index + 1).into())).is_ok());
    assert_eq!(others.count(), pending - held + share, "subnets that have none may use what is kept for them");
    assert_eq!(admission.pending_inbound(id(5000), Some(place(500).into())), Err(Refusal::Pending));
    admission.closed(id(0));
    assert_eq!(admission.pending_inbound(id(5000), Some(place(500).into())), Ok(()));
}

#[test]
fn familiar_addresses_shake_hands_however_many_strangers_do() {
    let mut admission = admission(&config());
    let (connected, named) = (arrival([198, 51, 100, 1], true), IpAddr::from([203, 0, 113, 1]));
    admission.establish(id(9000), connected).unwrap();
    admission.set_named_ips([named].into());
    let strangers = 10 * config().limits.pending as usize;
    let held = (0..strangers).filter(|index| admission.pending_inbound(id(*index), Some(place(*index).into())).is_ok());
    assert!(held.count() < strangers);
    for (index, ip) in [connected.ip, Some(named)].into_iter().enumerate() {
        assert_eq!(admission.pending_inbound(id(9001 + index), ip), Ok(()));
    }
}

#[test]
fn one_subnet_has_a_quarter_of_the_places_that_are_ours_to_choose() {
    let config = NetworkConfig { peers_max: 64, ..config() };
    let mut admission = admission(&config);
    let mut admitted = |ip: fn(usize) -> [u8; 4]| {
        let arrivals = (0..40).map(|index| (index, arrival(ip(index), false)));
        let ids: Vec<_> = arrivals.filter(|(index, one)| admission.establish(id(*index), *one).is_ok()).collect();
        ids.iter().for_each(|(index, _)| admission.closed(id(*index)));
        ids.len()
    };
    assert_eq!(admitted(|index| [192, 0, 2, index as u8]), 4);
    assert_eq!(admitted(|index| [10, 0, 0, index as u8]), 40);
    assert_eq!(admitted(place), 40);
}

#[test]
fn dials_are_bounded_and_those_to_persistent_peers_are_not() {
    let persistent = PeerId::random();
    let mut admission = Admission::new(&config(), [persistent]);
    let pending = config().limits.pending as usize;
    for index in 0..pending {
        admission.pending_outbound(id(index), Some(PeerId::random())).unwrap();
    }
    assert_eq!(admission.pending_outbound(id(pending), Some(PeerId::random())), Err(Refusal::Pending));
    assert_eq!(admission.pending_outbound(id(pending), Some(persistent)), Ok(()));
}

#[test]
fn who_makes_room_counts_no_more() {
    let mut admission = admission(&config());
    let inbound_max = config().inbound_max() as usize;
    for index in 0..inbound_max {
        admission.establish(id(index), arrival([10, 0, 0, 1], true)).unwrap();
    }
    assert_eq!(admission.establish(id(90), arrival([10, 0, 0, 1], true)), Err(Refusal::InboundFull));
    let evicted = admission.establish(id(91), arrival([192, 0, 2, 1], true)).unwrap().unwrap();
    assert!(admission.peer_of(evicted).is_some(), "it is there until it is closed");
    assert_ne!(admission.establish(id(92), arrival([192, 0, 3, 1], true)).unwrap(), Some(evicted));
}

proptest! {
    /// Whoever comes and goes: the counts stay within their limits, the places of those we dial are theirs, and
    /// persistent peers always get in.
    #[test]
    fn limits_hold(
        events in proptest::collection::vec((0u8..6, 0usize..12, any::<bool>()), 1..300),
        persistent in 0usize..3,
    ) {
        let config = config();
        let named: Vec<_> = (0..persistent).map(|_| PeerId::random()).collect();
        let mut admission = Admission::new(&config, named.clone());
        let mut open: Vec<ConnectionId> = Vec::new();
        for (index, (event, host, inbound)) in events.into_iter().enumerate() {
            match event {
                0 if !open.is_empty() => admission.closed(open.swap_remove(host % open.len())),
                1 if host < named.len() => {
                    let arrival = Arrival { peer: named[host], ..arrival(place(0), inbound) };
                    let judged = admission.establish(id(index), arrival);
                    prop_assert!(matches!(judged, Ok(None) | Err(Refusal::Second)));
                    open.extend(judged.is_ok().then(|| id(index)));
                }
                _ => if let Ok(evicted) = admission.establish(id(index), arrival(place(host), inbound)) {
                    open.push(id(index));
                    if let Some(evicted) = evicted {
                        prop_assert!(!named.contains(&admission.peer_of(evicted).unwrap()));
                        admission.closed(evicted);
                        open.retain(|each| *each != evicted);
                    }
                },
            }
            let counted: Vec<_> = admission.counted().map(|(_, one)| one.arrival).collect();
            prop_assert!(counted.len() <= config.peers_max as usize);
            prop_assert!(counted.iter().filter(|one| one.inbound).count() <= config.inbound_max() as usize);
            for host in 0..12 {
                let of_place = counted.iter().filter(|one| one.ip == Some(place(host).into())).count();
                prop_assert!(of_place <= config.limits.per_ip as usize);
            }
        }
    }
}
