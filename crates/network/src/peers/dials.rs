//! Which of the peers that may be dialled are dialled next. Pure.

use super::{Link, Peer, PeerBook};
use crate::place::{Scope, ip_of, scope_of, subnet_of, subnet_share};
use ipnet::IpNet;
use libp2p::{Multiaddr, PeerId};
use std::{
    collections::{BTreeSet, HashMap},
    time::Instant,
};

/// Most dials started by one call.
const DIALS_MAX: usize = 8;

/// A dial to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dial {
    pub(crate) peer: PeerId,
    pub(crate) addresses: Vec<Multiaddr>,
}

/// A discovered peer that may be dialled now.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) peer: PeerId,
    /// Of every address that it may have.
    pub(super) subnets: Vec<IpNet>,
    /// Whether it was of use before.
    pub(super) proven: bool,
    /// Dials in a row that came to nothing.
    pub(super) failures: u32,
}

/// How many peers are in each subnet.
#[derive(Clone, Debug, Default)]
pub(super) struct Crowd(HashMap<IpNet, usize>);

impl Crowd {
    pub(super) fn add(&mut self, subnets: &[IpNet]) {
        for subnet in subnets {
            *self.0.entry(*subnet).or_default() += 1;
        }
    }

    /// How crowded the most crowded one is: addresses that nobody has seen a peer at do not hide where it is.
    pub(super) fn of(&self, subnets: &[IpNet]) -> usize {
        subnets.iter().filter_map(|subnet| self.0.get(subnet)).copied().max().unwrap_or_default()
    }

    /// Whether one of these has as many as `share` and is bounded by it.
    fn is_full(&self, subnets: &[IpNet], share: usize) -> bool {
        let is_bounded = |subnet: &&IpNet| scope_of(subnet.addr()) == Scope::Global;
        subnets.iter().filter(is_bounded).any(|subnet| self.0.get(subnet).is_some_and(|count| *count >= share))
    }
}

/// The different subnets that addresses lie in; names lie in none.
pub(super) fn subnets<'a>(addresses: impl Iterator<Item = &'a Multiaddr>) -> Vec<IpNet> {
    let distinct: BTreeSet<_> = addresses.filter_map(ip_of).map(subnet_of).collect();
    distinct.into_iter().collect()
}

/// Chooses at most `places` peers, and in all at most `share` of a subnet: those of the least crowded subnets first, so
/// that whoever owns many identities in few places fills few places here; then those that were of use before, then those
/// that failed least.
pub(super) fn choose(mut candidates: Vec<Candidate>, mut crowd: Crowd, places: usize, share: usize) -> Vec<PeerId> {
    let mut chosen = Vec::new();
    while chosen.len() < places {
        candidates.retain(|one| !crowd.is_full(&one.subnets, share));
        let rank = |one: &Candidate| (crowd.of(&one.subnets), !one.proven, one.failures);
        let best = candidates.iter().enumerate().min_by_key(|(_, one)| rank(one)).map(|(index, _)| index);
        let Some(best) = best.map(|index| candidates.swap_remove(index)) else { break };
        crowd.add(&best.subnets);
        chosen.push(best.peer);
    }
    chosen
}

impl PeerBook {
    /// The dials to start now: every named peer that is due, and others until there are as many as wanted.
    pub(crate) fn dials_due(&mut self, now: Instant) -> Vec<Dial> {
        let may_dial = |id: &PeerId, peer: &Peer| peer.is_due(now) && self.bans.remaining(id, now).is_none();
        let due: Vec<_> = self.peers.iter().filter(|(id, peer)| may_dial(id, peer)).collect();
        let named = due.iter().filter(|(_, peer)| peer.is_named()).map(|(id, _)| **id);
        let mut chosen: Vec<_> = named.take(DIALS_MAX).collect();
        let places = self.wanted().min(DIALS_MAX - chosen.len());
        if places > 0 {
            let others = due.iter().filter(|(_, peer)| !peer.is_named());
            let candidates = others.map(|(id, peer)| candidate(**id, peer)).collect();
            chosen.extend(choose(candidates, self.crowd(), places, subnet_share(self.goals.outbound)));
        }
        chosen.into_iter().filter_map(|peer| self.start_dial(peer)).collect()
    }

    fn start_dial(&mut self, id: PeerId) -> Option<Dial> {
        let peer = self.peers.get_mut(&id)?;
        peer.link = Link::Dialing;
        Some(Dial { peer: id, addresses: peer.addresses.iter().cloned().collect() })
    }

    /// How many more connections are wanted, counting the dials under way.
    fn wanted(&self) -> usize {
        let busy = self.peers.values().filter(|peer| !peer.is_idle()).count();
        let outbound = self.peers.values().filter(|peer| peer.is_outbound()).count();
        self.goals.connected.saturating_sub(busy).max(self.goals.outbound.saturating_sub(outbound))
    }

    /// The places where we are connected by dials of ours; those of peers who dialled us are their choice.
    fn crowd(&self) -> Crowd {
        let mut crowd = Crowd::default();
        self.peers.values().filter(|peer| peer.is_outbound()).for_each(|peer| crowd.add(&peer.subnets()));
        crowd
    }

    /// Whether more connections are wanted.
    pub(crate) fn wants_more(&self) -> bool {
        self.wanted() > 0
    }
}

fn candidate(id: PeerId, peer: &Peer) -> Candidate {
    Candidate { peer: id, subnets: peer.subnets(), proven: peer.seen.is_some(), failures: peer.backoff.failures() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(subnet: u8, proven: bool, failures: u32) -> Candidate {
        let address: Multiaddr = format!("/ip4/192.0.{subnet}.1/tcp/1").parse().unwrap();
        Candidate { peer: PeerId::random(), subnets: subnets([&address].into_iter()), proven, failures }
    }

    #[test]
    fn proven_peers_come_first_within_a_subnet() {
        let candidates = vec![candidate(1, false, 0), candidate(1, true, 3), candidate(1, true, 1)];
        let expected = [2, 1, 0].map(|index: usize| candidates[index].peer);
        assert_eq!(choose(candidates, Crowd::default(), 9, usize::MAX), expected);
    }

    #[test]
    fn invented_addresses_do_not_hide_where_a_peer_is() {
        let (honest, mut liar) = (candidate(2, false, 5), candidate(1, true, 0));
        liar.subnets.extend(candidate(77, false, 0).subnets);
        let mut crowd = Crowd::default();
        crowd.add(&candidate(1, false, 0).subnets);
        let expected = [honest.peer, liar.peer];
        assert_eq!(choose(vec![liar.clone(), honest.clone()], crowd.clone(), 9, usize::MAX), expected);
        assert_eq!(choose(vec![liar, honest], crowd, 9, 1), expected[..1], "the liar's subnet is full");
    }

    proptest! {
        /// However many identities a subnet has, no subnet is chosen twice while another that is free is passed over.
        #[test]
        fn many_identities_of_one_place_do_not_crowd_out_others(
            subnets in proptest::collection::vec(0u8..10, 0..100),
            places in 0usize..20,
        ) {
            let candidates: Vec<_> = subnets.iter().map(|subnet| candidate(*subnet, false, 0)).collect();
            let subnet_of: HashMap<_, _> = candidates.iter().map(|one| (one.peer, one.subnets[0])).collect();
            let chosen = choose(candidates, Crowd::default(), places, usize::MAX);
            prop_assert_eq!(chosen.len(), places.min(subnets.len()));
            let distinct = |subnets: &mut dyn Iterator<Item = IpNet>| {
                subnets.collect::<std::collections::HashSet<_>>().len()
            };
            let all = distinct(&mut subnet_of.values().copied());
            prop_assert_eq!(distinct(&mut chosen.iter().map(|peer| subnet_of[peer])), all.min(places));
        }
    }
}
