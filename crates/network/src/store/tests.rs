//! What is written is read again, and nothing else does harm.

use super::*;
use crate::{config::NamedPeers, peers::Goals};
use libp2p::{Multiaddr, PeerId};

const DAY: u64 = 24 * 60 * 60;

fn book(moment: Moment) -> PeerBook {
    PeerBook::new(PeerId::random(), Goals { connected: 8, outbound: 0 }, NamedPeers::default(), moment.now)
}

fn address() -> Multiaddr {
    "/ip4/192.0.2.1/tcp/30303".parse().unwrap()
}

fn met(age: Duration) -> Met {
    Met { peer: PeerId::random(), addresses: vec![address()], age, score: 2.5, agent: "heddle/1".into() }
}

/// A store in a directory of its own.
fn store() -> (tempfile::TempDir, PeerStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = PeerStore::new(directory.path().join("peers.json"));
    (directory, store)
}

/// The same moment, later.
fn later(moment: Moment, seconds: u64) -> Moment {
    Moment { now: moment.now + Duration::from_secs(seconds), unix: moment.unix + seconds }
}

fn read_back(store: &PeerStore, moment: Moment) -> PeerBook {
    let mut book = book(moment);
    assert!(store.load(&mut book, moment));
    book
}

#[test]
fn peers_and_bans_survive() {
    let ((_directory, store), moment) = (store(), Moment::now());
    let mut before = book(moment);
    let (peer, banned, ended) = (met(Duration::from_secs(60)), PeerId::random(), PeerId::random());
    before.restore(peer.clone(), moment.now);
    for identity in [banned, PeerId::random(), PeerId::random()] {
        before.bans.punish(identity, Some([192, 0, 2, 9].into()), moment.now);
    }
    before.bans.exclude(ended, Duration::from_secs(5), moment.now);
    store.save(&before, moment);

    let moment = later(moment, 10);
    let after = read_back(&store, moment);
    assert_eq!(after.met(moment.now), vec![Met { age: Duration::from_secs(70), ..peer }]);
    assert_eq!(after.bans.remaining(&banned, moment.now), Some(Duration::from_secs(290)));
    assert!(after.bans.remaining(&ended, moment.now).is_none());
    assert!(after.bans.banned_ips(moment.now).contains(&[192, 0, 2, 9].into()));

    // The length of the next ban is not forgotten either.
    let moment = later(moment, DAY);
    let mut after = read_back(&store, moment);
    assert_eq!(after.bans.remaining(&banned, moment.now), None);
    assert_eq!(after.bans.punish(banned, None, moment.now), Duration::from_secs(600));
}

#[test]
fn old_peers_are_forgotten_and_the_last_seen_are_kept() {
    let ((_directory, store), moment) = (store(), Moment::now());
    let mut before = book(moment);
    for seconds in 0..PROVEN_MAX as u64 {
        before.restore(met(Duration::from_secs(seconds * DAY / 100)), moment.now);
    }
    store.save(&before, moment);
    let fresh = PROVEN_FOR.as_secs() * 100 / DAY;
    assert_eq!(read_back(&store, moment).met(moment.now).len() as u64, fresh.min(PROVEN_MAX as u64 - 1) + 1);
    let moment = later(moment, 15 * DAY);
    assert!(read_back(&store, moment).met(moment.now).is_empty());
}

#[test]
fn no_more_peers_are_taken_over_than_the_bound() {
    let ((_directory, store), moment) = (store(), Moment::now());
    let peers = (0..PROVEN_MAX + 500).map(|_| StoredPeer {
        peer_id: PeerId::random(),
        addresses: vec![address(); 100],
        last_seen: moment.unix,
        score: 0.0,
        agent: String::new(),
    });
    let stored = StoredPeers { version: VERSION, peers: peers.collect(), bans: Vec::new(), address_bans: Vec::new() };
    replace(&store.path, &stored).unwrap();
    assert_eq!(read_back(&store, moment).met(moment.now).len(), PROVEN_MAX);
}

#[test]
fn a_damaged_file_is_set_aside() {
    let moment = Moment::now();
    for damage in ["", "{", "[]", r#"{"version":2,"peers":[],"bans":[],"address_bans":[]}"#] {
        let (_directory, store) = store();
        fs::write(&store.path, damage).unwrap();
        assert!(read_back(&store, moment).met(moment.now).is_empty());
        assert!(!store.path.exists());
        assert_eq!(fs::read_to_string(beside(&store.path, "damaged")).unwrap(), damage);
    }
}

#[test]
fn an_entry_that_cannot_be_read_costs_only_itself() {
    let ((_directory, store), moment) = (store(), Moment::now());
    let (kept, spoilt, banned) = (met(Duration::ZERO), met(Duration::ZERO), PeerId::random());
    let mut before = book(moment);
    for met in [&kept, &spoilt] {
        before.restore(met.clone(), moment.now);
    }
    for peer in [banned, PeerId::random()] {
        before.bans.exclude(peer, Duration::from_secs(60), moment.now);
    }
    store.save(&before, moment);
    let mut file: serde_json::Value = serde_json::from_slice(&fs::read(&store.path).unwrap()).unwrap();
    for peer in file["peers"].as_array_mut().unwrap() {
        if peer["peer_id"] == spoilt.peer.to_string() {
            peer["addresses"] = serde_json::json!(["/dns/a/b"]);
        }
    }
    for ban in file["bans"].as_array_mut().unwrap() {
        if ban["peer_id"] != banned.to_string() {
            ban["until"] = serde_json::Value::Null;
        }
    }
    fs::write(&store.path, file.to_string()).unwrap();
    let after = read_back(&store, moment);
    assert_eq!(after.met(moment.now), [kept]);
    assert_eq!(after.bans.banned_peers(moment.now), [banned].into());
}

#[test]
fn what_a_peer_says_never_makes_the_file_unreadable() {
    let ((_directory, store), moment) = (store(), Moment::now());
    let mut before = book(moment);
    let known = met(Duration::ZERO);
    before.restore(known.clone(), moment.now);
    let nonsense = Multiaddr::from(libp2p::multiaddr::Protocol::Dns("a/b".into()));
    before.claimed(known.peer, vec![address(), nonsense]);
    store.save(&before, moment);
    assert_eq!(read_back(&store, moment).met(moment.now), [known]);
}

#[test]
fn a_file_that_cannot_be_opened_is_left_alone() {
    let ((_directory, store), moment) = (store(), Moment::now());
    fs::create_dir(&store.path).unwrap();
    assert!(!store.load(&mut book(moment), moment));
    assert!(store.path.is_dir() && !beside(&store.path, "damaged").exists());
}

#[test]
fn no_file_is_no_damage() {
    let ((directory, store), moment) = (store(), Moment::now());
    assert!(read_back(&store, moment).met(moment.now).is_empty());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_cannot_be_written_stops_nothing() {
    let moment = Moment::now();
    PeerStore::new("/nowhere/peers.json".into()).save(&book(moment), moment);
}
