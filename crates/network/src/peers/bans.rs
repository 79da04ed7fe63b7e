//! Who is kept away, and for how long. Pure: it is told the time.

use crate::place::{Scope, scope_of};
use libp2p::PeerId;
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    time::{Duration, Instant},
};

/// First ban of a peer; each further one lasts twice as long.
pub(crate) const BAN_MIN: Duration = Duration::from_secs(5 * 60);
/// Longest ban that misbehaviour earns.
const BAN_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// A peer that behaved for so long after a ban starts from the shortest one again.
const CLEAN_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// So many banned identities of one public address ban the address.
const IDENTITIES_MAX: usize = 3;
/// Most peers, and most addresses, remembered as banned; the ban that ends first makes room.
const BANS_MAX: usize = 1024;

/// One peer's bans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ban {
    /// When the last one ends, or ended.
    pub(crate) until: Instant,
    /// How many were earned by misbehaviour.
    pub(crate) times: u32,
    /// Where the peer was when it earned the last one.
    pub(crate) ip: Option<IpAddr>,
}

/// Every ban.
#[derive(Clone, Debug, Default)]
pub(crate) struct BanBook {
    peers: HashMap<PeerId, Ban>,
    addresses: HashMap<IpAddr, Instant>,
}

impl BanBook {
    /// Bans a peer that misbehaved at `ip`; for how long.
    pub(crate) fn punish(&mut self, peer: PeerId, ip: Option<IpAddr>, now: Instant) -> Duration {
        let before = self.peers.get(&peer).filter(|ban| now < ban.until + CLEAN_AFTER);
        let times = before.map_or(0, |ban| ban.times).saturating_add(1);
        let time = BAN_MIN.saturating_mul(1 << (times - 1).min(16)).min(BAN_MAX);
        let until = before.map_or(now, |ban| ban.until).max(now + time);
        self.restore(peer, Ban { until, times, ip });
        if let Some(ip) = ip.filter(|ip| scope_of(*ip) == Scope::Global && self.identities(*ip, now) >= IDENTITIES_MAX)
        {
            self.restore_address(ip, until);
        }
        time
    }

    /// Peers that misbehaved at an address and are banned now.
    fn identities(&self, ip: IpAddr, now: Instant) -> usize {
        self.peers.values().filter(|ban| ban.ip == Some(ip) && ban.times > 0 && ban.until > now).count()
    }

    /// Keeps a peer away for at least `time`, whatever it did; later bans do not grow by it.
    pub(crate) fn exclude(&mut self, peer: PeerId, time: Duration, now: Instant) {
        if self.remaining(&peer, now).is_none_or(|remaining| remaining < time) {
            self.set(peer, time, now);
        }
    }

    /// The same for exactly `time`: an operator may shorten a ban too.
    pub(crate) fn set(&mut self, peer: PeerId, time: Duration, now: Instant) {
        let before = self.peers.get(&peer);
        let (times, ip) = before.map_or((0, None), |ban| (ban.times, ban.ip));
        // A time beyond what the clock can tell is as good as for ever.
        let until = now.checked_add(time).unwrap_or(now + BAN_MAX * 365);
        self.restore(peer, Ban { until, times, ip });
    }

    /// Forgets what a peer did, and lifts the ban of its address; whether it was banned.
    pub(crate) fn pardon(&mut self, peer: PeerId, now: Instant) -> bool {
        let Some(ban) = self.peers.remove(&peer) else { return false };
        if let Some(ip) = ban.ip {
            self.addresses.remove(&ip);
        }
        ban.until > now
    }

    /// Takes over a ban that was known before.
    pub(crate) fn restore(&mut self, peer: PeerId, ban: Ban) {
        if !self.peers.contains_key(&peer) && self.peers.len() == BANS_MAX {
            let first = self.peers.iter().min_by_key(|(_, ban)| ban.until).map(|(peer, _)| *peer);
            first.and_then(|first| self.peers.remove(&first));
        }
        self.peers.insert(peer, ban);
    }

    /// Takes over an address's ban that was known before.
    pub(crate) fn restore_address(&mut self, ip: IpAddr, until: Instant) {
        if !self.addresses.contains_key(&ip) && self.addresses.len() == BANS_MAX {
            let first = self.addresses.iter().min_by_key(|(_, until)| **until).map(|(ip, _)| *ip);
            first.and_then(|first| self.addresses.remove(&first));
        }
        let known = self.addresses.entry(ip).or_insert(until);
        *known = (*known).max(until);
    }

    /// Forgets peers that were clean for long enough, and addresses whose bans have ended.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.peers.retain(|_, ban| ban.until > now || (ban.times > 0 && now < ban.until + CLEAN_AFTER));
        self.addresses.retain(|_, until| *until > now);
    }

    /// How much longer a peer is banned; `None` when it is not.
    pub(crate) fn remaining(&self, peer: &PeerId, now: Instant) -> Option<Duration> {
        let remaining = self.peers.get(peer)?.until.saturating_duration_since(now);
        (!remaining.is_zero()).then_some(remaining)
    }

    /// The peers banned now.
    pub(crate) fn banned_peers(&self, now: Instant) -> HashSet<PeerId> {
        self.peers.iter().filter(|(_, ban)| ban.until > now).map(|(peer, _)| *peer).collect()
    }

    /// The addresses banned now.
    pub(crate) fn banned_ips(&self, now: Instant) -> HashSet<IpAddr> {
        self.addresses.iter().filter(|(_, until)| **until > now).map(|(ip, _)| *ip).collect()
    }

    /// Every peer's bans, ended ones included.
    pub(crate) fn peers(&self) -> impl Iterator<Item = (&PeerId, &Ban)> {
        self.peers.iter()
    }

    /// Every banned address, and until when.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&IpAddr, &Instant)> {
        self.addresses.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn bans_double_up_to_a_day_and_are_forgotten_after_a_clean_week() {
        let (mut bans, peer, mut now) = (BanBook::default(), PeerId::random(), Instant::now());
        for expected in [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440] {
            let time = bans.punish(peer, None, now);
            assert_eq!(time, expected * MINUTE);
            assert_eq!(bans.remaining(&peer, now), Some(time));
            now += time;
            assert_eq!(bans.remaining(&peer, now), None);
            bans.sweep(now);
        }
        now += CLEAN_AFTER - MINUTE;
        bans.sweep(now);
        assert_eq!(bans.punish(peer, None, now), BAN_MAX);
        now += BAN_MAX + CLEAN_AFTER;
        bans.sweep(now);
        assert_eq!(bans.peers().count(), 0);
        assert_eq!(bans.punish(peer, None, now), BAN_MIN);
    }

    #[test]
    fn several_banned_identities_ban_their_address_unless_it_is_local() {
        let now = Instant::now();
        for (ip, is_banned) in [([192, 0, 2, 1], true), ([127, 0, 0, 1], false), ([10, 0, 0, 1], false)] {
            let (mut bans, ip) = (BanBook::default(), IpAddr::from(ip));
            let peers: Vec<_> = (0..IDENTITIES_MAX).map(|_| PeerId::random()).collect();
            for peer in &peers {
                assert!(bans.banned_ips(now).is_empty());
                bans.punish(*peer, Some(ip), now);
            }
            assert_eq!(bans.banned_ips(now).contains(&ip), is_banned);
            assert!(bans.banned_ips(now + BAN_MIN).is_empty());
            assert!(bans.pardon(peers[0], now) && !bans.pardon(peers[0], now));
            assert!(bans.banned_ips(now).is_empty());
        }
    }

    #[test]
    fn an_exclusion_is_no_misbehaviour() {
        let (mut bans, peer, now) = (BanBook::default(), PeerId::random(), Instant::now());
        bans.exclude(peer, Duration::MAX, now);
        assert!(bans.remaining(&peer, now) > Some(BAN_MAX));
        bans.exclude(peer, MINUTE, now);
        assert!(bans.remaining(&peer, now) > Some(BAN_MAX), "no ban is shortened by another");
        bans.set(peer, MINUTE, now);
        assert_eq!(bans.remaining(&peer, now), Some(MINUTE));
        bans.sweep(now + MINUTE);
        assert_eq!(bans.punish(peer, None, now + MINUTE), BAN_MIN);
    }

    proptest! {
        /// A peer is never away for longer than a day by misbehaviour, and the tables stay bounded.
        #[test]
        fn bans_are_bounded(events in proptest::collection::vec((0usize..1500, 0u8..4, 0u64..10_000), 1..3000)) {
            let peers: Vec<_> = (0..1500).map(|_| PeerId::random()).collect();
            let (mut bans, mut now) = (BanBook::default(), Instant::now());
            for (index, host, seconds) in events {
                now += Duration::from_secs(seconds);
                bans.punish(peers[index], Some([192, 0, 2, host].into()), now);
                prop_assert!(bans.remaining(&peers[index], now).is_some_and(|time| time <= BAN_MAX));
                bans.sweep(now);
            }
            prop_assert!(bans.peers.len() <= BANS_MAX && bans.addresses.len() <= BANS_MAX);
        }
    }
}
