//! Who may connect. Pure: it is told what connects and closes, and answers.
//!
//! A connection is refused, in this order: if its peer is unwanted (denied, not allowed, banned, not reserved), if the
//! peer has one already, if its place has enough (an address, a subnet), if there is no room. A newcomer from elsewhere
//! makes room when connections that peers dialled fill theirs: see [`evict`]. Persistent peers skip all but the first
//! two. The places that peers who dialled us never get are those above `inbound_max`.

mod behaviour;
#[cfg(test)]
mod eclipse;
mod evict;
#[cfg(test)]
mod tests;

pub(crate) use behaviour::Limits;

use crate::{
    ConnectionLimits, NetworkConfig, PeerFilter,
    place::{Scope, scope_of, subnet_of, subnet_share},
};
use evict::Candidate;
use ipnet::IpNet;
use libp2p::{PeerId, swarm::ConnectionId};
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

/// One owner may have one in so many of the connections that are being established. When all are taken, as many as
/// that are kept for owners that have none, as many again for addresses of connected peers, and as many for those of
/// peers that the operator named.
const PENDING_SHARE: u32 = 4;

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the deny list names it")]
    Denied,
    #[error("the allow list does not name it")]
    NotAllowed,
    #[error("it is banned")]
    Banned,
    #[error("only persistent peers are let in")]
    NotReserved,
    #[error("the peer is connected already")]
    Second,
    #[error("too many connections are being established")]
    Pending,
    #[error("its address has enough connections")]
    Address,
    #[error("its subnet has enough connections")]
    Subnet,
    #[error("there is no room for peers that dial us")]
    InboundFull,
    #[error("there is no room")]
    Full,
    #[error("it asks for a dial into this node's own network")]
    TooNear,
}

/// What an operator allows.
#[derive(Clone, Debug)]
struct Policy {
    reserved_only: bool,
    allow: Vec<PeerFilter>,
    deny: Vec<PeerFilter>,
    limits: ConnectionLimits,
    peers_max: usize,
    inbound_max: usize,
}

/// A connection being judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) peer: PeerId,
    /// Of the peer, or of the relay in between.
    pub(crate) ip: Option<IpAddr>,
    pub(crate) inbound: bool,
    pub(crate) relayed: bool,
    /// Opened only to find out whether an address is reached; outside every count.
    pub(crate) probe: bool,
}

#[derive(Clone, Copy, Debug)]
struct Established {
    arrival: Arrival,
    order: u64,
    /// Told to close: its place is free already.
    leaving: bool,
}

/// Every connection, and who may have one.
#[derive(Debug)]
pub(crate) struct Admission {
    policy: Policy,
    persistent: HashSet<PeerId>,
    banned: HashSet<PeerId>,
    banned_ips: HashSet<IpAddr>,
    /// Where the peers are that the operator named.
    named_ips: HashSet<IpAddr>,
    /// Being established: whether the peer dialled us, and from where.
    pending: HashMap<ConnectionId, (bool, Option<IpAddr>)>,
    established: HashMap<ConnectionId, Established>,
    scores: HashMap<PeerId, f64>,
    arrivals: u64,
}

impl Admission {
    pub(crate) fn new(config: &NetworkConfig, persistent: impl IntoIterator<Item = PeerId>) -> Self {
        let policy = Policy {
            reserved_only: config.reserved_only,
            allow: config.allow.clone(),
            deny: config.deny.clone(),
            limits: config.limits,
            peers_max: config.peers_max as usize,
            inbound_max: config.inbound_max() as usize,
        };
        Self {
            policy,
            persistent: persistent.into_iter().collect(),
            banned: HashSet::new(),
            banned_ips: HashSet::new(),
            named_ips: HashSet::new(),
            pending: HashMap::new(),
            established: HashMap::new(),
            scores: HashMap::new(),
            arrivals: 0,
        }
    }

    /// Makes a peer persistent, or one like any other.
    pub(crate) fn set_persistent(&mut self, peer: PeerId, is_persistent: bool) {
        if is_persistent {
            self.persistent.insert(peer);
        } else {
            self.persistent.remove(&peer);
        }
    }

    /// Whether a peer is persistent.
    pub(crate) fn is_persistent(&self, peer: PeerId) -> bool {
        self.persistent.contains(&peer)
    }

    /// Replaces who is banned.
    pub(crate) fn set_banned(&mut self, peers: HashSet<PeerId>, ips: HashSet<IpAddr>) {
        (self.banned, self.banned_ips) = (peers, ips);
    }

    /// Replaces where the named peers are: they are let in to shake hands however many strangers do.
    pub(crate) fn set_named_ips(&mut self, ips: HashSet<IpAddr>) {
        self.named_ips = ips;
    }

    /// Replaces what is known of peers' use: the worst make room first.
    pub(crate) fn set_scores(&mut self, scores: HashMap<PeerId, f64>) {
        self.scores = scores;
    }

    /// The connected peers that may not be connected any more.
    pub(crate) fn unwanted(&self) -> Vec<PeerId> {
        let arrivals = self.established.values().map(|one| one.arrival);
        arrivals.filter(|one| self.check_wanted(Some(one.peer), one.ip).is_err()).map(|one| one.peer).collect()
    }

    /// Whether a peer may be dialled; a range of the allow list may still cover the address it is found at.
    pub(crate) fn check_dialable(&self, peer: PeerId) -> Result<(), Refusal> {
        let has_ranges = || self.policy.allow.iter().any(|filter| matches!(filter, PeerFilter::Range(_)));
        match self.check_wanted(Some(peer), None) {
            Err(Refusal::NotAllowed) if has_ranges() => Ok(()),
            checked => checked,
        }
    }

    /// Somebody dials us; who is not known yet.
    pub(crate) fn pending_inbound(&mut self, id: ConnectionId, ip: Option<IpAddr>) -> Result<(), Refusal> {
        let is_denied = |filter: &PeerFilter| filter.matches(None, ip);
        if self.policy.deny.iter().any(is_denied) {
            return Err(Refusal::Denied);
        }
        if ip.is_some_and(|ip| self.banned_ips.contains(&ip)) {
            return Err(Refusal::Banned);
        }
        if !self.has_handshake(ip) {
            return Err(Refusal::Pending);
        }
        self.pending.insert(id, (true, ip));
        Ok(())
    }

    /// Whether somebody at `ip` may shake hands: see [`PENDING_SHARE`].
    fn has_handshake(&self, ip: Option<IpAddr>) -> bool {
        let pending_max = self.policy.limits.pending;
        let (count, share) = (self.pending_count(true), pending_max.div_ceil(PENDING_SHARE) as usize);
        let owners = self.pending.values().filter(|(inbound, _)| *inbound).filter_map(|(_, from)| from.map(owner_of));
        let of_owner = ip.map_or(0, |ip| owners.filter(|owner| *owner == owner_of(ip)).count());
        let is_named = ip.is_some_and(|ip| self.named_ips.contains(&ip));
        let is_connected = || self.established.values().any(|one| ip.is_some() && one.arrival.ip == ip);
        let reserves = match ip {
            _ if is_named => 3,
            _ if is_connected() => 2,
            Some(_) if of_owner == 0 => 1,
            _ => 0,
        };
        count < pending_max as usize + reserves * share && (is_named || of_owner < share)
    }

    /// We dial somebody.
    pub(crate) fn pending_outbound(&mut self, id: ConnectionId, peer: Option<PeerId>) -> Result<(), Refusal> {
        if let Some(peer) = peer {
            self.check_dialable(peer)?;
        }
        let is_persistent = peer.is_some_and(|peer| self.persistent.contains(&peer));
        if !is_persistent && self.pending_count(false) >= self.policy.limits.pending as usize {
            return Err(Refusal::Pending);
        }
        self.pending.insert(id, (false, None));
        Ok(())
    }

    fn pending_count(&self, inbound: bool) -> usize {
        self.pending.values().filter(|(each, _)| *each == inbound).count()
    }

    /// A connection is established if this allows it; perhaps another one has to close for it.
    pub(crate) fn establish(&mut self, id: ConnectionId, arrival: Arrival) -> Result<Option<ConnectionId>, Refusal> {
        self.pending.remove(&id);
        self.check_wanted(Some(arrival.peer), arrival.ip)?;
        self.check_single(&arrival)?;
        let evicted = if arrival.probe || self.persistent.contains(&arrival.peer) {
            None
        } else {
            self.check_place(&arrival)?;
            self.make_room(&arrival)?
        };
        if let Some(leaving) = evicted.and_then(|evicted| self.established.get_mut(&evicted)) {
            leaving.leaving = true;
        }
        self.arrivals += 1;
        self.established.insert(id, Established { arrival, order: self.arrivals, leaving: false });
        Ok(evicted)
    }

    /// A connection closed, or was never established.
    pub(crate) fn closed(&mut self, id: ConnectionId) {
        self.pending.remove(&id);
        self.established.remove(&id);
    }

    fn check_wanted(&self, peer: Option<PeerId>, ip: Option<IpAddr>) -> Result<(), Refusal> {
        let is_named = |filters: &[PeerFilter]| filters.iter().any(|filter| filter.matches(peer, ip));
        let is_persistent = peer.is_some_and(|peer| self.persistent.contains(&peer));
        if is_named(&self.policy.deny) {
            return Err(Refusal::Denied);
        }
        if peer.is_some_and(|peer| self.banned.contains(&peer)) {
            return Err(Refusal::Banned);
        }
        if is_persistent {
            return Ok(());
        }
        if ip.is_some_and(|ip| self.banned_ips.contains(&ip)) {
            return Err(Refusal::Banned);
        }
        if self.policy.reserved_only {
            return Err(Refusal::NotReserved);
        }
        if !self.policy.allow.is_empty() && !is_named(&self.policy.allow) {
            return Err(Refusal::NotAllowed);
        }
        Ok(())
    }

    /// One connection a peer, besides a direct one that replaces a relayed one, and those that only probe.
    fn check_single(&self, arrival: &Arrival) -> Result<(), Refusal> {
        let mut others = self.established.values().filter(|one| one.arrival.peer == arrival.peer && !one.arrival.probe);
        let is_upgrade = |other: &Established| other.arrival.relayed && !arrival.relayed;
        if arrival.probe || others.all(is_upgrade) { Ok(()) } else { Err(Refusal::Second) }
    }

    /// The connections that count towards limits.
    fn counted(&self) -> impl Iterator<Item = (ConnectionId, &Established)> {
        let is_counted =
            |one: &Established| !one.leaving && !one.arrival.probe && !self.persistent.contains(&one.arrival.peer);
        self.established.iter().filter(move |(_, one)| is_counted(one)).map(|(id, one)| (*id, one))
    }

    fn check_place(&self, arrival: &Arrival) -> Result<(), Refusal> {
        let Some(ip) = arrival.ip else { return Ok(()) };
        let limits = self.policy.limits;
        let (address_max, subnet_max) = match scope_of(ip) {
            // Many may come through one relay; they are one owner's guests all the same.
            Scope::Global if arrival.relayed => (limits.per_subnet, limits.per_subnet),
            Scope::Global => (limits.per_ip, limits.per_subnet),
            Scope::Loopback | Scope::Local => (limits.per_local, limits.per_local),
        };
        let ips = || self.counted().filter_map(|(_, one)| one.arrival.ip);
        if ips().filter(|other| *other == ip).count() >= address_max as usize {
            return Err(Refusal::Address);
        }
        if ips().filter(|other| subnet_of(*other) == subnet_of(ip)).count() >= subnet_max as usize {
            return Err(Refusal::Subnet);
        }
        let outbound = self.counted().filter(|(_, one)| !one.arrival.inbound).filter_map(|(_, one)| one.arrival.ip);
        let of_subnet = || outbound.filter(|other| subnet_of(*other) == subnet_of(ip)).count();
        let is_bounded = !arrival.inbound && scope_of(ip) == Scope::Global;
        if is_bounded && of_subnet() >= subnet_share(self.policy.peers_max - self.policy.inbound_max) {
            return Err(Refusal::Subnet);
        }
        Ok(())
    }

    fn make_room(&self, arrival: &Arrival) -> Result<Option<ConnectionId>, Refusal> {
        let inbound = || self.counted().filter(|(_, one)| one.arrival.inbound);
        let is_full = self.counted().count() >= self.policy.peers_max;
        if !arrival.inbound {
            return if is_full { Err(Refusal::Full) } else { Ok(None) };
        }
        if !is_full && inbound().count() < self.policy.inbound_max {
            return Ok(None);
        }
        let candidates: Vec<_> = inbound().map(|(id, one)| self.candidate(id, one)).collect();
        let evicted = arrival.ip.and_then(|ip| evict::choose(&candidates, ip));
        evicted.map(Some).ok_or(Refusal::InboundFull)
    }

    fn candidate(&self, id: ConnectionId, one: &Established) -> Candidate {
        let score = self.scores.get(&one.arrival.peer).copied().unwrap_or_default();
        Candidate { id, ip: one.arrival.ip, order: one.order, score }
    }

    /// Whether the peer has a connection of its own, besides those that only probe.
    fn is_connected(&self, peer: PeerId) -> bool {
        self.established.values().any(|one| one.arrival.peer == peer && !one.arrival.probe)
    }

    /// Where the peer is connected from.
    fn ips_of(&self, peer: PeerId) -> impl Iterator<Item = IpAddr> {
        self.established.values().filter(move |one| one.arrival.peer == peer).filter_map(|one| one.arrival.ip)
    }

    /// The peer of a connection.
    fn peer_of(&self, id: ConnectionId) -> Option<PeerId> {
        self.established.get(&id).map(|one| one.arrival.peer)
    }
}

/// What one owner usually has whole: a subnet, or in the operator's own network an address.
fn owner_of(ip: IpAddr) -> IpNet {
    if scope_of(ip) == Scope::Global { subnet_of(ip) } else { ip.into() }
}
