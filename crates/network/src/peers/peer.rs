//! One peer, and its connection.

use super::{Addresses, Seen, dials};
use crate::{
    Topic,
    backoff::{Backoff, DELAY_MAX},
    rate::TokenBucket,
};
use libp2p::{Multiaddr, swarm::ConnectionId};
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

/// A peer lost for longer than this is dialled less and less often.
const LOST_FOR: Duration = Duration::from_secs(600);
/// Longest wait before dialling such a peer again.
const LOST_DELAY_MAX: Duration = Duration::from_secs(300);
/// A peer may say who it is once a second, and so many times at once: each change of its addresses makes it say so.
const INTRODUCTIONS_MAX: u32 = 30;

/// An established connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// Which one.
    pub(crate) id: ConnectionId,
    /// The peer's address on this connection.
    pub(crate) address: Multiaddr,
    /// Whether the peer dialled us.
    pub(crate) inbound: bool,
    /// When it was established.
    pub(crate) since: Instant,
    /// When it last answered a ping.
    pub(super) answered: Instant,
    /// What identify said it runs; `None` until then.
    pub(super) agent: Option<String>,
    /// The topics that it is subscribed to.
    pub(super) topics: HashSet<Topic>,
    /// Whether Kademlia's table was told of it.
    pub(super) routed: bool,
    /// How often it may say again who it is.
    introductions: TokenBucket,
}

impl Connection {
    pub(crate) fn new(id: ConnectionId, address: Multiaddr, inbound: bool, now: Instant) -> Self {
        Self {
            id,
            address,
            inbound,
            since: now,
            answered: now,
            agent: None,
            topics: HashSet::new(),
            routed: false,
            introductions: TokenBucket::new(1, INTRODUCTIONS_MAX, now),
        }
    }

    /// Whether it may introduce itself now; if so it counts.
    pub(super) fn allow_introduction(&mut self, now: Instant) -> bool {
        self.introductions.try_take(1, now)
    }

    /// Whether identify has named its software and our chain.
    pub(crate) fn is_identified(&self) -> bool {
        self.agent.is_some()
    }

    /// Identified as of our chain and subscribed to every topic: what we publish now reaches it.
    pub(super) fn is_ready(&self) -> bool {
        self.is_identified() && self.topics.len() == Topic::ALL.len()
    }

    /// What the peer says it runs.
    pub(crate) fn agent(&self) -> &str {
        self.agent.as_deref().unwrap_or_default()
    }
}

#[derive(Debug)]
pub(super) enum Link {
    Idle,
    Dialing,
    Connected(Connection),
}

#[derive(Debug)]
pub(super) struct Peer {
    /// Dialled for ever, never forgotten.
    pub(super) bootnode: bool,
    /// The same, and exempt from limits.
    pub(super) persistent: bool,
    pub(super) addresses: Addresses,
    pub(super) backoff: Backoff,
    pub(super) link: Link,
    /// When it was last ready; `None` when it never was.
    pub(super) seen: Option<Seen>,
    /// Its last gossip score.
    pub(super) score: f64,
    /// What it last said it runs.
    pub(super) agent: String,
}

impl Peer {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            bootnode: false,
            persistent: false,
            addresses: Addresses::default(),
            backoff,
            link: Link::Idle,
            seen: None,
            score: 0.0,
            agent: String::new(),
        }
    }

    pub(super) fn connection(&self) -> Option<&Connection> {
        match &self.link {
            Link::Connected(connection) => Some(connection),
            _ => None,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.link, Link::Idle)
    }

    /// Whether the operator named it: dialled for ever, never forgotten.
    pub(super) fn is_named(&self) -> bool {
        self.bootnode || self.persistent
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.is_idle() && !self.addresses.is_empty() && self.backoff.is_due(now)
    }

    /// Whether we dialled it, or do so now.
    pub(super) fn is_outbound(&self) -> bool {
        match &self.link {
            Link::Idle => false,
            Link::Dialing => true,
            Link::Connected(connection) => !connection.inbound,
        }
    }

    /// Where it is, for the diversity of places: the connection's subnet, or those of all its addresses.
    pub(super) fn subnets(&self) -> Vec<ipnet::IpNet> {
        match self.connection() {
            Some(connection) => dials::subnets(std::iter::once(&connection.address)),
            None => dials::subnets(self.addresses.iter()),
        }
    }

    pub(super) fn fail(&mut self, now: Instant) {
        let is_lost = self.seen.is_some_and(|seen| seen.age(now) > LOST_FOR) && !self.is_named();
        self.backoff.fail(now, if is_lost { LOST_DELAY_MAX } else { DELAY_MAX });
    }
}
