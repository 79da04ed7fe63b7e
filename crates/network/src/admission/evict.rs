//! Who makes room for a peer from elsewhere. Pure.

use crate::place::subnet_of;
use libp2p::swarm::ConnectionId;
use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    net::IpAddr,
};

/// One in so many connections is kept for its age, and one in so many for its score.
const PROTECTED_SHARE: usize = 8;

/// A connection that a peer dialled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) id: ConnectionId,
    pub(super) ip: Option<IpAddr>,
    /// Smaller is older.
    pub(super) order: u64,
    pub(super) score: f64,
}

/// The connection to close for a newcomer from `newcomer`: the worst one of the most represented subnet, and there of
/// the most represented address, if the newcomer's has at least two fewer, so that the exchange makes the places more
/// even. The oldest and the best connections stay whatever comes, so that nobody who arrives later takes every place.
pub(super) fn choose(connections: &[Candidate], newcomer: IpAddr) -> Option<ConnectionId> {
    let crowding = Crowding::of(connections);
    let protected = protected(connections);
    let exposed = connections.iter().filter(|one| !protected.contains(&one.id));
    let worst = exposed.max_by(|a, b| {
        let rank = |one: &Candidate| (crowding.at(one.ip), Reverse(score_key(one.score)), one.order);
        rank(a).cmp(&rank(b))
    })?;
    let ((subnet, address), (own_subnet, own_address)) = (crowding.at(worst.ip), crowding.at(Some(newcomer)));
    let is_same_subnet = worst.ip.map(subnet_of) == Some(subnet_of(newcomer));
    let is_fairer = if is_same_subnet { address > own_address + 1 } else { subnet > own_subnet + 1 };
    is_fairer.then_some(worst.id)
}

/// How many connections share a place.
struct Crowding {
    subnets: HashMap<ipnet::IpNet, usize>,
    addresses: HashMap<IpAddr, usize>,
}

impl Crowding {
    fn of(connections: &[Candidate]) -> Self {
        let mut crowding = Self { subnets: HashMap::new(), addresses: HashMap::new() };
        for ip in connections.iter().filter_map(|one| one.ip) {
            *crowding.subnets.entry(subnet_of(ip)).or_default() += 1;
            *crowding.addresses.entry(ip).or_default() += 1;
        }
        crowding
    }

    /// Connections of the subnet, then of the address; none for an unknown place.
    fn at(&self, ip: Option<IpAddr>) -> (usize, usize) {
        let Some(ip) = ip else { return (0, 0) };
        let subnet = self.subnets.get(&subnet_of(ip)).copied().unwrap_or_default();
        (subnet, self.addresses.get(&ip).copied().unwrap_or_default())
    }
}

fn protected(connections: &[Candidate]) -> HashSet<ConnectionId> {
    let share = connections.len() / PROTECTED_SHARE;
    let first = |mut sorted: Vec<&Candidate>, by: fn(&Candidate) -> (Reverse<i64>, u64)| {
        sorted.sort_by_key(|one| by(one));
        sorted.into_iter().take(share).map(|one| one.id).collect::<Vec<_>>()
    };
    let oldest = first(connections.iter().collect(), |one| (Reverse(0), one.order));
    let best = first(connections.iter().collect(), |one| (Reverse(score_key(one.score)), one.order));
    oldest.into_iter().chain(best).collect()
}

/// A score in thousandths, to sort by.
fn score_key(score: f64) -> i64 {
    (score * 1000.0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(index: usize, ip: [u8; 4], score: f64) -> Candidate {
        let id = ConnectionId::new_unchecked(index);
        Candidate { id, ip: Some(ip.into()), order: index as u64, score }
    }

    #[test]
    fn the_worst_of_the_most_crowded_address_goes() {
        let connections: Vec<_> = (0..16)
            .map(|index| match index {
                // The oldest two, then the best two, are kept although they crowd one address.
                0 | 1 => candidate(index, [198, 51, 100, 1], 0.0),
                2 | 3 => candidate(index, [198, 51, 100, 1], 9.0),
                4..=6 => candidate(index, [198, 51, 100, 1], index as f64),
                7 | 8 => candidate(index, [198, 51, 100, 2], -5.0),
                _ => candidate(index, [192, 0, index as u8, 1], -9.0),
            })
            .collect();
        assert_eq!(choose(&connections, [203, 0, 113, 1].into()), Some(ConnectionId::new_unchecked(4)));
        assert_eq!(choose(&connections, [198, 51, 100, 1].into()), None, "the newcomer is of the crowd");
        assert_eq!(choose(&connections, [198, 51, 100, 9].into()), Some(ConnectionId::new_unchecked(4)));
    }

    #[test]
    fn nobody_goes_where_everybody_is_alone() {
        let connections: Vec<_> = (0..16).map(|index| candidate(index, [192, 0, index as u8, 1], 0.0)).collect();
        assert_eq!(choose(&connections, [203, 0, 113, 1].into()), None);
        assert_eq!(choose(&[], [203, 0, 113, 1].into()), None);
    }

    proptest! {
        /// Whoever goes: it is neither among the oldest nor the best, and afterwards the places are more even.
        #[test]
        fn every_exchange_makes_places_more_even(
            places in proptest::collection::vec((0u8..4, 0u8..4, -5i32..5), 0..64),
            newcomer in (0u8..6, 0u8..6),
        ) {
            let ip = |subnet, host| [192, 0, subnet, host];
            let connections: Vec<_> = places.iter().enumerate()
                .map(|(index, (subnet, host, score))| candidate(index, ip(*subnet, *host), f64::from(*score)))
                .collect();
            let newcomer = IpAddr::from(ip(newcomer.0, newcomer.1));
            let Some(gone) = choose(&connections, newcomer) else { return Ok(()) };
            let gone = connections.iter().find(|one| one.id == gone).unwrap();
            let share = connections.len() / PROTECTED_SHARE;
            prop_assert!(gone.order >= share as u64);
            prop_assert!(connections.iter().filter(|one| one.score >= gone.score && one.id != gone.id).count() >= share);
            let crowding = Crowding::of(&connections);
            let (from, to) = (crowding.at(gone.ip), crowding.at(Some(newcomer)));
            prop_assert!(from.0 > to.0 + 1 || (gone.ip.map(subnet_of) == Some(subnet_of(newcomer)) && from.1 > to.1 + 1));
        }
    }
}
