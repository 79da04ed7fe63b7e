//! Every peer we know: where it is, whether it is connected and ready, when to dial it, what it did wrong.
//! Pure: it is told the time and decides; the service dials and disconnects.

mod addresses;
pub(crate) mod bans;
mod dials;
mod peer;
mod penalty;
mod record;
#[cfg(test)]
mod tests;

pub use penalty::Misbehaviour;

use crate::{
    Topic,
    backoff::Backoff,
    config::NamedPeers,
    place::{ip_of, is_relayed, scope},
};
use addresses::Addresses;
pub(crate) use addresses::Source;
use bans::BanBook;
use dials::Crowd;
pub(crate) use dials::Dial;
use libp2p::{Multiaddr, PeerId};
pub(crate) use peer::Connection;
use peer::{Link, Peer};
use penalty::Penalties;
pub(crate) use record::Met;
use record::Seen;
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    time::{Duration, Instant},
};

/// Most peers remembered that were never of use and are neither configured nor connected.
const DISCOVERED_MAX: usize = 256;
/// Most peers remembered that were of use before.
pub(crate) const PROVEN_MAX: usize = 1000;
/// A peer that was of use is forgotten when it was not seen for so long.
pub(crate) const PROVEN_FOR: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// A discovered peer that was never of use is forgotten after so many failures in a row.
const FAILURES_MAX: u32 = 8;
/// A connection must be identified and subscribed within this time.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that answered no ping for so long is dead: QUIC finds out by itself, TCP only after minutes.
const SILENCE_MAX: Duration = Duration::from_secs(8);
/// How long a peer of another chain stays away: it may be restarted on ours.
pub(crate) const FOREIGN_BAN: Duration = Duration::from_secs(60);

/// How many connections are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goals {
    /// In all.
    pub(crate) connected: usize,
    /// That we dialled, however many dialled us.
    pub(crate) outbound: usize,
}

/// Every peer we know.
#[derive(Debug)]
pub(crate) struct PeerBook {
    local: PeerId,
    goals: Goals,
    peers: HashMap<PeerId, Peer>,
    penalties: Penalties,
    /// Who is kept away.
    pub(crate) bans: BanBook,
}

impl PeerBook {
    /// Knows the peers that the operator named.
    pub(crate) fn new(local: PeerId, goals: Goals, named: NamedPeers, now: Instant) -> Self {
        let mut book =
            Self { local, goals, peers: HashMap::new(), penalties: Penalties::default(), bans: BanBook::default() };
        for (peer, address) in named.bootnodes.into_iter().chain(named.relays) {
            book.entry(peer, now).bootnode = true;
            book.entry(peer, now).addresses.learn(Source::Configured, address);
        }
        for (peer, address) in named.persistent {
            book.add_persistent(peer, address, now);
        }
        book
    }

    fn entry(&mut self, peer: PeerId, now: Instant) -> &mut Peer {
        let local = self.local;
        self.peers.entry(peer).or_insert_with(|| Peer::new(Backoff::new(local, peer, now)))
    }

    /// Makes a peer persistent: dialled at once, and always redialled.
    pub(crate) fn add_persistent(&mut self, peer: PeerId, address: Multiaddr, now: Instant) {
        let entry = self.entry(peer, now);
        entry.persistent = true;
        entry.addresses.learn(Source::Configured, address);
        self.dial_anew(peer, now);
    }

    /// Forgets how often a peer could not be reached: it is due now.
    pub(crate) fn dial_anew(&mut self, id: PeerId, now: Instant) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.backoff = Backoff::new(self.local, id, now);
        }
    }

    /// Dials a peer no more and forgets it once it is gone; whether it was known.
    pub(crate) fn remove(&mut self, id: PeerId) -> bool {
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        (peer.bootnode, peer.persistent, peer.addresses) = (false, false, Addresses::default());
        if peer.is_idle() {
            self.peers.remove(&id);
        }
        true
    }

    /// Learns addresses of a peer from Kademlia, where nobody tells which peer said so: those nearer than every peer
    /// that is connected are nowhere that one of them could know of.
    pub(crate) fn hear(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, now: Instant) {
        let connections = self.peers.values().filter_map(Peer::connection);
        let Some(nearest) = connections.map(|connection| scope(&connection.address)).min() else { return };
        self.discover(peer, addresses.into_iter().filter(|address| scope(address) >= nearest), now);
    }

    /// Learns addresses of a peer from mDNS.
    pub(crate) fn discover(&mut self, peer: PeerId, addresses: impl IntoIterator<Item = Multiaddr>, now: Instant) {
        let mut addresses = addresses.into_iter().peekable();
        let is_useless = peer == self.local || addresses.peek().is_none();
        if is_useless || (!self.peers.contains_key(&peer) && !self.make_room()) {
            return;
        }
        let entry = self.entry(peer, now);
        for address in addresses {
            entry.addresses.learn(Source::Hearsay, address);
        }
    }

    /// Learns from a connected peer where it says it may be dialled.
    pub(crate) fn claimed(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.addresses.claim(addresses);
        }
    }

    /// Whether Kademlia's table is to be told of a connected peer; `true` once a connection.
    pub(crate) fn route(&mut self, peer: PeerId) -> bool {
        let mut is_first = false;
        self.update_connection(peer, |connection| is_first = !std::mem::replace(&mut connection.routed, true));
        is_first
    }

    fn is_discovered(peer: &Peer) -> bool {
        !peer.is_named() && peer.seen.is_none() && peer.is_idle()
    }

    /// Forgets a peer of the most crowded subnet when the table of those never met is full; whether there is room now.
    fn make_room(&mut self) -> bool {
        let discovered = || self.peers.iter().filter(|(_, peer)| Self::is_discovered(peer));
        if discovered().count() < DISCOVERED_MAX {
            return true;
        }
        let mut crowd = Crowd::default();
        discovered().for_each(|(_, peer)| crowd.add(&peer.subnets()));
        let rank = |peer: &Peer| (crowd.of(&peer.subnets()), peer.backoff.failures());
        let worst = discovered().max_by_key(|(_, peer)| rank(peer)).map(|(id, _)| *id);
        worst.is_some_and(|worst| self.peers.remove(&worst).is_some())
    }

    /// A dial of ours came to nothing.
    pub(crate) fn dial_failed(&mut self, id: PeerId, now: Instant) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if matches!(peer.link, Link::Dialing) {
            peer.link = Link::Idle;
            peer.fail(now);
            self.forget_if_hopeless(id, now);
        }
    }

    /// A connection is established; the peer is not ready yet.
    pub(crate) fn connected(&mut self, id: PeerId, connection: Connection, now: Instant) {
        let peer = self.entry(id, now);
        if !connection.inbound && !is_relayed(&connection.address) {
            peer.addresses.learn(Source::Reached, connection.address.clone());
        }
        peer.link = Link::Connected(connection);
    }

    /// A direct connection replaces the relayed one; what the peer said on that still holds.
    pub(crate) fn upgraded(&mut self, id: PeerId, connection: Connection) {
        self.update_connection(id, |old| {
            (old.id, old.address, old.inbound) = (connection.id, connection.address, connection.inbound);
        });
    }

    /// The connection closed. One that never became ready counts as a failure.
    pub(crate) fn disconnected(&mut self, id: PeerId, now: Instant) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.connection().is_some_and(Connection::is_ready) {
            peer.backoff.succeed();
            peer.seen = Some(Seen::now(now));
        }
        peer.link = Link::Idle;
        peer.fail(now);
        self.forget_if_hopeless(id, now);
    }

    fn forget_if_hopeless(&mut self, id: PeerId, now: Instant) {
        let Some(peer) = self.peers.get(&id).filter(|peer| !peer.is_named() && peer.is_idle()) else { return };
        let is_hopeless = match peer.seen {
            Some(seen) => seen.age(now) > PROVEN_FOR,
            None => peer.backoff.failures() >= FAILURES_MAX || self.discovered_count() > DISCOVERED_MAX,
        };
        if is_hopeless || peer.addresses.is_empty() {
            self.peers.remove(&id);
        } else if peer.seen.is_some() {
            self.bound_proven(now);
        }
    }

    fn discovered_count(&self) -> usize {
        self.peers.values().filter(|peer| Self::is_discovered(peer)).count()
    }

    /// Forgets a peer of the most crowded subnet, there the one not seen for longest, when too many were of use once.
    fn bound_proven(&mut self, now: Instant) {
        let proven = || self.peers.iter().filter(|(_, peer)| peer.seen.is_some() && !peer.is_named() && peer.is_idle());
        if proven().count() <= PROVEN_MAX {
            return;
        }
        let mut crowd = Crowd::default();
        proven().for_each(|(_, peer)| crowd.add(&peer.subnets()));
        let rank = |peer: &Peer| (crowd.of(&peer.subnets()), peer.seen.map(|seen| seen.age(now)));
        let worst = proven().max_by_key(|(_, peer)| rank(peer)).map(|(id, _)| *id);
        worst.and_then(|worst| self.peers.remove(&worst));
    }

    /// Whether a connected peer may introduce itself once more: each time makes work.
    pub(crate) fn allow_introduction(&mut self, id: PeerId, now: Instant) -> bool {
        let mut is_allowed = true;
        self.update_connection(id, |connection| is_allowed = connection.allow_introduction(now));
        is_allowed
    }

    /// Identify named the peer's software and our chain.
    pub(crate) fn identified(&mut self, id: PeerId, agent: String) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.agent.clone_from(&agent);
        }
        self.update_connection(id, |connection| connection.agent = Some(agent));
    }

    /// The peer subscribed to a topic.
    pub(crate) fn subscribed(&mut self, id: PeerId, topic: Topic) {
        self.update_connection(id, |connection| _ = connection.topics.insert(topic));
    }

    fn update_connection(&mut self, id: PeerId, update: impl FnOnce(&mut Connection)) {
        if let Some(Link::Connected(connection)) = self.peers.get_mut(&id).map(|peer| &mut peer.link) {
            update(connection);
        }
    }

    /// The peer answered a ping.
    pub(crate) fn answered(&mut self, id: PeerId, now: Instant) {
        self.update_connection(id, |connection| connection.answered = now);
    }

    /// Connections that are not ready although they had their time, or that are dead: to be closed.
    pub(crate) fn overdue(&self, now: Instant) -> Vec<PeerId> {
        let is_overdue = |connection: &Connection| {
            let is_late = !connection.is_ready() && now.saturating_duration_since(connection.since) >= READY_TIMEOUT;
            is_late || now.saturating_duration_since(connection.answered) >= SILENCE_MAX
        };
        self.peers.iter().filter(|(_, peer)| peer.connection().is_some_and(is_overdue)).map(|(id, _)| *id).collect()
    }

    /// Counts a misbehaviour; whether the peer has now done enough to be banned.
    pub(crate) fn penalise(&mut self, id: PeerId, misbehaviour: Misbehaviour, now: Instant) -> bool {
        self.penalties.add(id, misbehaviour, now)
    }

    /// Bans a peer for its misbehaviour; for how long.
    pub(crate) fn punish(&mut self, id: PeerId, now: Instant) -> Duration {
        let address = self.connection(&id).map(|connection| &connection.address);
        let ip = address.filter(|address| !is_relayed(address)).and_then(ip_of);
        self.bans.punish(id, ip, now)
    }

    /// The peer's penalty, 0 or more.
    pub(crate) fn penalty(&self, id: &PeerId, now: Instant) -> f64 {
        self.penalties.points(id, now)
    }

    /// Forgets penalties and bans that time has paid for.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.penalties.sweep(now);
        self.bans.sweep(now);
    }

    /// Remembers a peer's gossip score.
    pub(crate) fn rate(&mut self, id: &PeerId, score: f64) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.score = score;
        }
    }

    /// The IP addresses of the peers that the operator named.
    pub(crate) fn named_ips(&self) -> HashSet<IpAddr> {
        let named = self.peers.values().filter(|peer| peer.is_named());
        named.flat_map(|peer| peer.addresses.iter()).filter_map(ip_of).collect()
    }

    /// The peer's connection, if there is one.
    pub(crate) fn connection(&self, id: &PeerId) -> Option<&Connection> {
        self.peers.get(id).and_then(Peer::connection)
    }

    /// Whether the peer can be asked and told things.
    pub(crate) fn is_ready(&self, id: &PeerId) -> bool {
        self.connection(id).is_some_and(Connection::is_ready)
    }

    /// The peers that are ready, in no order.
    pub(crate) fn ready(&self) -> impl Iterator<Item = (PeerId, &Connection)> {
        let connections = self.peers.iter().filter_map(|(id, peer)| Some((*id, peer.connection()?)));
        connections.filter(|(_, connection)| connection.is_ready())
    }
}
