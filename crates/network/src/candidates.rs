//! What others say of our addresses, before a behaviour that collects it hears of it.

use crate::{
    hook::{Hook, Hooked},
    place::{Scope, is_relayed, scope},
};
use libp2p::{
    Multiaddr,
    multiaddr::Protocol,
    swarm::{FromSwarm, NetworkBehaviour},
};
use std::collections::HashSet;

/// Which candidates a behaviour hears of.
#[derive(Debug)]
pub(crate) struct CandidateFilter {
    nearest: Scope,
    /// How many different ones more; `None` for a behaviour that bounds them itself.
    room: Option<usize>,
    known: HashSet<Multiaddr>,
}

impl CandidateFilter {
    /// At most `count` different ones.
    pub(crate) fn at_most(count: usize) -> Self {
        Self { nearest: Scope::Loopback, room: Some(count), known: HashSet::new() }
    }

    /// None nearer than this.
    pub(crate) fn not_nearer_than(nearest: Scope) -> Self {
        Self { nearest, room: None, known: HashSet::new() }
    }

    fn admits(&mut self, address: &Multiaddr) -> bool {
        if !is_socket(address) || scope(address) < self.nearest {
            return false;
        }
        let Some(room) = self.room else { return true };
        if self.known.contains(address) {
            return true;
        }
        let has_room = self.known.len() < room;
        if has_room {
            self.known.insert(address.clone());
        }
        has_room
    }
}

/// Whether this is a TCP or UDP port of an IP address, dialled directly.
fn is_socket(address: &Multiaddr) -> bool {
    let mut parts = address.iter();
    matches!(parts.next(), Some(Protocol::Ip4(_) | Protocol::Ip6(_)))
        && matches!(parts.next(), Some(Protocol::Tcp(_) | Protocol::Udp(_)))
        && !is_relayed(address)
}

impl<B: NetworkBehaviour> Hook<B> for CandidateFilter {
    fn lets_hear(&mut self, event: &FromSwarm<'_>) -> bool {
        match event {
            FromSwarm::NewExternalAddrCandidate(candidate) => self.admits(candidate.addr),
            _ => true,
        }
    }
}

/// A behaviour that hears of some candidates only.
pub(crate) type Filtered<B> = Hooked<B, CandidateFilter>;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn inventions_are_bounded_and_what_was_heard_stays() {
        let mut filter = CandidateFilter::at_most(32);
        let ports: Vec<_> = (1..=100).map(|port| address(&format!("/ip4/192.0.2.1/tcp/{port}"))).collect();
        assert_eq!(ports.iter().filter(|port| filter.admits(port)).count(), 32);
        assert!(filter.admits(&ports[0]) && !filter.admits(&ports[99]));
    }

    #[test]
    fn only_sockets_far_enough_away_are_heard_of() {
        let mut filter = CandidateFilter::not_nearer_than(Scope::Global);
        for (text, is_admitted) in [
            ("/ip4/192.0.2.1/udp/1/quic-v1", true),
            ("/ip6/2001:db8::1/tcp/1", true),
            ("/ip4/192.168.0.1/tcp/1", false),
            ("/ip4/127.0.0.1/tcp/1", false),
            ("/dns4/node.example/tcp/1", false),
            ("/ip4/192.0.2.1", false),
        ] {
            assert_eq!(filter.admits(&address(text)), is_admitted, "{text}");
        }
    }
}
