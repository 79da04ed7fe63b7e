//! Every peer we know: where it is, whether it is connected and ready, when to dial it, what it did wrong.
//! Pure: it is told the time and decides; the service dials and disconnects.

mod penalty;
#[cfg(test)]
mod tests;

pub use penalty::Misbehaviour;

use crate::{Topic, backoff::Backoff};
use libp2p::{Multiaddr, PeerId};
use penalty::Penalty;
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

/// Most peers remembered that are neither bootnodes nor connected.
const DISCOVERED_MAX: usize = 256;
/// Most addresses remembered of one peer.
const ADDRESSES_MAX: usize = 8;
/// Most bans remembered at once.
const BANS_MAX: usize = 1024;
/// Most dials started by one call.
const DIALS_MAX: usize = 8;
/// A discovered peer is forgotten after so many failures in a row.
const FAILURES_MAX: u32 = 8;
/// A connection must be identified and subscribed within this time.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a peer that misbehaved stays away.
pub(crate) const BAN: Duration = Duration::from_secs(300);
/// How long a peer of another chain stays away: it may be restarted on ours.
pub(crate) const FOREIGN_BAN: Duration = Duration::from_secs(60);

/// An established connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// The peer's address on this connection.
    pub(crate) address: Multiaddr,
    /// Whether the peer dialled us.
    pub(crate) inbound: bool,
    /// When it was established.
    pub(crate) since: Instant,
    /// What identify said it runs; `None` until then.
    agent: Option<String>,
    /// The topics that it is subscribed to.
    topics: HashSet<Topic>,
}

impl Connection {
    /// Whether identify has named its software and our chain.
    pub(crate) fn is_identified(&self) -> bool {
        self.agent.is_some()
    }

    /// Identified as of our chain and subscribed to every topic: what we publish now reaches it.
    fn is_ready(&self) -> bool {
        self.is_identified() && self.topics.len() == Topic::ALL.len()
    }

    /// What the peer says it runs.
    pub(crate) fn agent(&self) -> &str {
        self.agent.as_deref().unwrap_or_default()
    }
}

#[derive(Debug)]
enum Link {
    Idle,
    Dialing,
    Connected(Connection),
}

#[derive(Debug)]
struct Peer {
    /// Dialled for ever, never forgotten.
    bootnode: bool,
    addresses: Vec<Multiaddr>,
    backoff: Backoff,
    link: Link,
    penalty: Penalty,
    banned_until: Option<Instant>,
}

impl Peer {
    fn connection(&self) -> Option<&Connection> {
        match &self.link {
            Link::Connected(connection) => Some(connection),
            _ => None,
        }
    }

    fn learn(&mut self, addresses: impl IntoIterator<Item = Multiaddr>) {
        for address in addresses {
            if self.addresses.len() < ADDRESSES_MAX && !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let may_dial = matches!(self.link, Link::Idle) && self.banned_until.is_none() && !self.addresses.is_empty();
        may_dial && self.backoff.is_due(now)
    }

    fn is_forgettable(&self) -> bool {
        !self.bootnode && self.banned_until.is_none() && matches!(self.link, Link::Idle)
    }
}

/// A dial to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dial {
    pub(crate) peer: PeerId,
    pub(crate) addresses: Vec<Multiaddr>,
}

/// Every peer we know.
#[derive(Debug)]
pub(crate) struct PeerBook {
    local: PeerId,
    target: usize,
    peers: HashMap<PeerId, Peer>,
}

impl PeerBook {
    /// Knows the bootnodes; wants `target` connections.
    pub(crate) fn new(local: PeerId, target: usize, bootnodes: Vec<(PeerId, Multiaddr)>, now: Instant) -> Self {
        let mut book = Self { local, target, peers: HashMap::new() };
        for (peer, address) in bootnodes {
            let entry = book.entry(peer, now);
            entry.bootnode = true;
            entry.learn([address]);
        }
        book
    }

    fn entry(&mut self, peer: PeerId, now: Instant) -> &mut Peer {
        let local = self.local;
        self.peers.entry(peer).or_insert_with(|| Peer {
            bootnode: false,
            addresses: Vec::new(),
            backoff: Backoff::new(local, peer, now),
            link: Link::Idle,
            penalty: Penalty::none(now),
            banned_until: None,
        })
    }

    /// Learns addresses of a peer from Kademlia, mDNS or identify.
    pub(crate) fn discover(&mut self, peer: PeerId, addresses: impl IntoIterator<Item = Multiaddr>, now: Instant) {
        if peer == self.local {
            return;
        }
        if !self.peers.contains_key(&peer) && !self.make_room() {
            return;
        }
        self.entry(peer, now).learn(addresses);
    }

    /// Forgets the worst forgettable peer when the table is full; whether there is room now.
    fn make_room(&mut self) -> bool {
        let forgettable = || self.peers.iter().filter(|(_, peer)| peer.is_forgettable());
        if forgettable().count() < DISCOVERED_MAX {
            return true;
        }
        let worst = forgettable().max_by_key(|(_, peer)| peer.backoff.failures()).map(|(id, _)| *id);
        worst.is_some_and(|worst| self.peers.remove(&worst).is_some())
    }

    /// The dials to start now: every bootnode that is due, and discovered peers up to the target.
    pub(crate) fn dials_due(&mut self, now: Instant) -> Vec<Dial> {
        let busy = self.peers.values().filter(|peer| !matches!(peer.link, Link::Idle)).count();
        let mut discovered_places = self.target.saturating_sub(busy);
        let mut dials = Vec::new();
        for (id, peer) in &mut self.peers {
            if !peer.is_due(now) || dials.len() == DIALS_MAX {
                continue;
            }
            if !peer.bootnode {
                if discovered_places == 0 {
                    continue;
                }
                discovered_places -= 1;
            }
            peer.link = Link::Dialing;
            dials.push(Dial { peer: *id, addresses: peer.addresses.clone() });
        }
        dials
    }

    /// A dial of ours came to nothing.
    pub(crate) fn dial_failed(&mut self, id: PeerId, now: Instant) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if matches!(peer.link, Link::Dialing) {
            peer.link = Link::Idle;
            peer.backoff.fail(now);
            self.forget_if_hopeless(id);
        }
    }

    /// A connection is established; the peer is not ready yet.
    pub(crate) fn connected(&mut self, id: PeerId, address: Multiaddr, inbound: bool, now: Instant) {
        self.entry(id, now).link =
            Link::Connected(Connection { address, inbound, since: now, agent: None, topics: HashSet::new() });
    }

    /// The connection closed. One that never became ready counts as a failure.
    pub(crate) fn disconnected(&mut self, id: PeerId, now: Instant) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.connection().is_some_and(Connection::is_ready) {
            peer.backoff.succeed();
        }
        peer.link = Link::Idle;
        peer.backoff.fail(now);
        self.forget_if_hopeless(id);
    }

    fn forget_if_hopeless(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get(&id) else { return };
        let hopeless = peer.addresses.is_empty() || peer.backoff.failures() >= FAILURES_MAX;
        if peer.is_forgettable() && (hopeless || self.peers.len() > DISCOVERED_MAX) {
            self.peers.remove(&id);
        }
    }

    /// Identify named the peer's software and our chain.
    pub(crate) fn identified(&mut self, id: PeerId, agent: String) {
        self.update_connection(id, |connection| connection.agent = Some(agent));
    }

    /// The peer subscribed to a topic (`true`) or left it.
    pub(crate) fn subscribed(&mut self, id: PeerId, topic: Topic, subscribed: bool) {
        self.update_connection(id, |connection| {
            match subscribed {
                true => connection.topics.insert(topic),
                false => connection.topics.remove(&topic),
            };
        });
    }

    fn update_connection(&mut self, id: PeerId, update: impl FnOnce(&mut Connection)) {
        if let Some(Link::Connected(connection)) = self.peers.get_mut(&id).map(|peer| &mut peer.link) {
            update(connection);
        }
    }

    /// Connections that are not ready although they had their time: to be closed.
    pub(crate) fn overdue(&self, now: Instant) -> Vec<PeerId> {
        let is_overdue = |connection: &Connection| {
            !connection.is_ready() && now.saturating_duration_since(connection.since) >= READY_TIMEOUT
        };
        self.peers.iter().filter(|(_, peer)| peer.connection().is_some_and(is_overdue)).map(|(id, _)| *id).collect()
    }

    /// Counts a misbehaviour; whether the peer has now done enough to be banned.
    pub(crate) fn penalise(&mut self, id: PeerId, misbehaviour: Misbehaviour, now: Instant) -> bool {
        self.peers.get_mut(&id).is_some_and(|peer| peer.penalty.add(misbehaviour, now))
    }

    /// Keeps a peer away for a time; `false` when too many bans are remembered already.
    pub(crate) fn ban(&mut self, id: PeerId, time: Duration, now: Instant) -> bool {
        let bans = self.peers.values().filter(|peer| peer.banned_until.is_some()).count();
        let Some(peer) = self.peers.get_mut(&id).filter(|_| bans < BANS_MAX) else { return false };
        peer.banned_until = Some(now + time);
        true
    }

    /// Lifts the bans that have ended, and names the peers to unblock.
    pub(crate) fn bans_ended(&mut self, now: Instant) -> Vec<PeerId> {
        let mut ended = Vec::new();
        for (id, peer) in &mut self.peers {
            if peer.banned_until.is_some_and(|until| until <= now) {
                peer.banned_until = None;
                peer.penalty = Penalty::none(now);
                ended.push(*id);
            }
        }
        for id in &ended {
            self.forget_if_hopeless(*id);
        }
        ended
    }

    /// The peer's penalty, 0 or more.
    pub(crate) fn penalty(&self, id: &PeerId, now: Instant) -> f64 {
        self.peers.get(id).map_or(0.0, |peer| peer.penalty.points(now))
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

    /// Whether more connections are wanted.
    pub(crate) fn wants_more(&self) -> bool {
        self.ready().count() < self.target
    }
}
