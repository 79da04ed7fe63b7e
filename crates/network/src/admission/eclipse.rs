//! Many identities in few places against few honest peers, in simulation: the peer book and the admission together.
//! Identities are random, so that what holds is an average over time, and by a margin.

use super::*;
use crate::{
    config::NamedPeers,
    peers::{Connection, Goals, PeerBook},
};
use libp2p::Multiaddr;
use std::time::{Duration, Instant};

const SYBILS: usize = 200;
/// Two of the four addresses share a subnet.
const SYBIL_ADDRESSES: [[u8; 4]; 4] = [[198, 51, 100, 1], [198, 51, 100, 2], [203, 0, 113, 1], [192, 0, 2, 1]];
const HONEST_ADDRESSES: [[u8; 4]; 3] = [[100, 1, 1, 1], [100, 2, 2, 2], [100, 3, 3, 3]];
const SECONDS: u64 = 300;

/// Chance that repeats (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[derive(Clone, Copy)]
struct Stranger {
    peer: PeerId,
    ip: [u8; 4],
}

impl Stranger {
    fn address(&self) -> Multiaddr {
        Multiaddr::from(IpAddr::from(self.ip)).with(libp2p::multiaddr::Protocol::Tcp(1))
    }
}

/// An address where nobody is, in a subnet that hardly anybody else names.
fn lie(chance: &mut Chance) -> Multiaddr {
    let ip = [101, chance.below(256) as u8, chance.below(256) as u8, 1];
    Multiaddr::from(IpAddr::from(ip)).with(libp2p::multiaddr::Protocol::Tcp(1))
}

/// A node, and the connections that it believes to have.
struct Victim {
    book: PeerBook,
    admission: Admission,
    links: HashMap<ConnectionId, Stranger>,
    next: usize,
    now: Instant,
}

impl Victim {
    fn new(config: &NetworkConfig) -> Self {
        let now = Instant::now();
        let goals = Goals { connected: config.peers_target as usize, outbound: config.outbound_min() as usize };
        let book = PeerBook::new(PeerId::random(), goals, NamedPeers::default(), now);
        Self { book, admission: Admission::new(config, []), links: HashMap::new(), next: 0, now }
    }

    fn is_connected(&self, stranger: &Stranger) -> bool {
        self.links.values().any(|other| other.peer == stranger.peer)
    }

    /// The stranger dials us, or we dial it; it behaves well once it is connected.
    fn connect(&mut self, stranger: Stranger, inbound: bool) {
        self.next += 1;
        let id = ConnectionId::new_unchecked(self.next);
        let (peer, ip) = (stranger.peer, Some(stranger.ip.into()));
        match self.admission.establish(id, Arrival { peer, ip, inbound, relayed: false, probe: false }) {
            Ok(evicted) => {
                if let Some(evicted) = evicted {
                    self.close(evicted);
                }
                self.links.insert(id, stranger);
                self.book.connected(peer, Connection::new(id, stranger.address(), inbound, self.now), self.now);
                self.book.identified(peer, "any".into());
                crate::Topic::ALL.into_iter().for_each(|topic| self.book.subscribed(peer, topic));
                self.book.claimed(peer, vec![stranger.address()]);
            }
            Err(_) if !inbound => self.book.dial_failed(peer, self.now),
            Err(_) => {}
        }
    }

    fn close(&mut self, id: ConnectionId) {
        self.admission.closed(id);
        if let Some(stranger) = self.links.remove(&id) {
            self.book.disconnected(stranger.peer, self.now);
        }
    }

    /// A second in which the sybils press in, tell of each other, and few of their connections close.
    fn besieged(&mut self, sybils: &[Stranger], chance: &mut Chance) {
        self.now += Duration::from_secs(1);
        for _ in 0..50 {
            let (known, pushing) = (sybils[chance.below(SYBILS)], sybils[chance.below(SYBILS)]);
            self.book.discover(known.peer, [known.address(), lie(chance)], self.now);
            if !self.is_connected(&pushing) {
                self.connect(pushing, true);
            }
        }
        let ids: Vec<_> = self.links.keys().copied().collect();
        if let Some(id) = ids.get(chance.below(ids.len().max(1) * 4)) {
            self.close(*id);
        }
    }

    fn dial(&mut self, known: &HashMap<PeerId, Stranger>) {
        for dial in self.book.dials_due(self.now) {
            self.connect(known[&dial.peer], false);
        }
    }
}

fn strangers() -> (Vec<Stranger>, Vec<Stranger>, HashMap<PeerId, Stranger>) {
    let sybil = |index: usize| Stranger { peer: PeerId::random(), ip: SYBIL_ADDRESSES[index % 4] };
    let sybils: Vec<_> = (0..SYBILS).map(sybil).collect();
    let honest: Vec<_> = HONEST_ADDRESSES.map(|ip| Stranger { peer: PeerId::random(), ip }).into();
    let all = sybils.iter().chain(&honest).map(|one| (one.peer, *one)).collect();
    (sybils, honest, all)
}

/// How many honest peers, and how many sybils, were connected on average in the last hundred seconds.
fn siege(config: &NetworkConfig, seed: u64, honest_dial: bool) -> (f64, f64) {
    let (mut chance, mut victim) = (Chance(seed | 1), Victim::new(config));
    let (sybils, honest, all) = strangers();
    let (mut honest_seconds, mut sybil_seconds) = (0, 0);
    for second in 0..SECONDS {
        victim.besieged(&sybils, &mut chance);
        for one in &honest {
            if honest_dial && !victim.is_connected(one) && chance.below(5) == 0 {
                victim.connect(*one, true);
            }
            // The victim hears of each once, amid the sybils.
            if !honest_dial && second == 100 {
                victim.book.discover(one.peer, [one.address()], victim.now);
            }
        }
        victim.dial(&all);
        if second >= SECONDS - 100 {
            honest_seconds += honest.iter().filter(|one| victim.is_connected(one)).count();
            sybil_seconds += sybils.iter().filter(|one| victim.is_connected(one)).count();
        }
    }
    (honest_seconds as f64 / 100.0, sybil_seconds as f64 / 100.0)
}

/// Every seed's result must hold.
fn for_seeds(check: impl Fn(u64)) {
    (1..=8u64).map(|seed| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).for_each(check);
}

/// Honest peers that dial get in although sybils came first and want every place.
#[test]
fn honest_peers_that_dial_get_in() {
    for_seeds(|seed| {
        let config = NetworkConfig::default();
        let (honest, sybils) = siege(&config, seed, true);
        assert!(honest > 2.0, "{honest} honest, {sybils} sybils");
        assert!(sybils <= f64::from(config.limits.per_ip) * SYBIL_ADDRESSES.len() as f64);
    });
}

/// Honest peers that are only heard of, once, among hundreds of sybils, are dialled and stay.
#[test]
fn honest_peers_heard_of_once_are_dialled() {
    for_seeds(|seed| {
        let (honest, sybils) = siege(&NetworkConfig::default(), seed, false);
        assert!(honest > 2.0, "{honest} honest, {sybils} sybils");
    });
}

/// The same where addresses limit nothing: the diversity of places alone keeps the sybils from surrounding.
#[test]
fn diversity_alone_keeps_places_for_honest_peers() {
    let limits = ConnectionLimits { per_ip: 1000, per_subnet: 1000, ..ConnectionLimits::default() };
    let config = NetworkConfig { limits, peers_max: 16, peers_target: 8, ..NetworkConfig::default() };
    for_seeds(|seed| {
        let (honest, sybils) = siege(&config, seed, true);
        assert!(honest > 2.0, "{honest} honest that dial, {sybils} sybils");
        let (honest, sybils) = siege(&config, seed, false);
        // Four places are for peers that we choose, and the sybils have three subnets.
        assert!(honest > 0.9, "{honest} honest heard of, {sybils} sybils");
    });
}
