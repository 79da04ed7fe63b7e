//! Whom to ask next when the same is wanted of anybody: one after the other, and more at once the longer nobody answers.

use libp2p::PeerId;
use std::{
    collections::{BTreeSet, VecDeque},
    time::{Duration, Instant},
};

/// How long a peer may take before others are asked beside it. Well above a round trip around the world with a full block
/// behind it, well below the time that a round of consensus waits for its proposal.
pub(crate) const PATIENCE: Duration = Duration::from_millis(400);
/// Most peers that are asked beside those that are silent, at a time.
const ASKED_AT_ONCE_MAX: usize = 8;

/// The order of asking. Whoever has not answered is not asked again; whoever refused is, when all have been asked.
#[derive(Debug)]
pub(crate) struct Asking {
    peers: Vec<PeerId>,
    queue: VecDeque<PeerId>,
    open: BTreeSet<PeerId>,
    /// How many are asked next.
    fan: usize,
    due: Instant,
}

impl Asking {
    /// Asks these in their order, beginning at once.
    pub(crate) fn new(peers: Vec<PeerId>, now: Instant) -> Self {
        Self { queue: peers.clone().into(), peers, open: BTreeSet::new(), fan: 1, due: now }
    }

    /// Takes in who may be asked besides.
    pub(crate) fn add(&mut self, peers: impl IntoIterator<Item = PeerId>) {
        for peer in peers {
            if !self.peers.contains(&peer) {
                self.peers.push(peer);
                self.queue.push_back(peer);
            }
        }
    }

    /// Whom to ask now that time has passed.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<PeerId> {
        if now < self.due {
            return Vec::new();
        }
        if self.queue.is_empty() {
            self.queue = self.peers.iter().copied().filter(|peer| !self.open.contains(peer)).collect();
        }
        let asked = (0..self.fan).filter_map(|_| self.queue.pop_front()).collect::<Vec<_>>();
        self.open.extend(&asked);
        self.fan = (self.fan * 2).min(ASKED_AT_ONCE_MAX);
        self.due = now + PATIENCE;
        asked
    }

    /// A peer gave nothing of use: who is asked in its place, if anybody is left.
    pub(crate) fn failed(&mut self, peer: PeerId) -> Option<PeerId> {
        if !self.open.remove(&peer) {
            return None;
        }
        let next = self.queue.pop_front()?;
        self.open.insert(next);
        Some(next)
    }

    /// A peer lied and is not asked any more: who is asked in its place, if anybody is left.
    pub(crate) fn lied(&mut self, peer: PeerId) -> Option<PeerId> {
        self.peers.retain(|other| *other != peer);
        self.failed(peer)
    }

    /// When to look again at the latest.
    pub(crate) fn next_due(&self) -> Instant {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_asks_more_and_refusal_the_next() {
        let peers: Vec<_> = (0..8).map(|_| PeerId::random()).collect();
        let start = Instant::now();
        let mut asking = Asking::new(peers.clone(), start);
        assert_eq!(asking.due(start), peers[..1]);
        assert_eq!(asking.due(start), [], "not before its time");
        assert_eq!(asking.failed(peers[0]), Some(peers[1]));
        assert_eq!(asking.failed(peers[0]), None, "once an answer");
        assert_eq!(asking.due(start + PATIENCE), peers[2..4], "the second is silent");
        assert_eq!(asking.due(start + PATIENCE * 2), peers[4..8]);
        assert_eq!(asking.failed(peers[4]), None, "all have been asked");
        assert_eq!(asking.due(start + PATIENCE * 3), [peers[0], peers[4]], "all again but those that are silent");
    }

    #[test]
    fn a_liar_is_asked_once() {
        let peers: Vec<_> = (0..2).map(|_| PeerId::random()).collect();
        let start = Instant::now();
        let mut asking = Asking::new(peers.clone(), start);
        assert_eq!(asking.due(start), peers[..1]);
        assert_eq!(asking.lied(peers[0]), Some(peers[1]));
        assert_eq!(asking.failed(peers[1]), None);
        assert_eq!(asking.due(start + PATIENCE), peers[1..]);
    }

    #[test]
    fn newcomers_are_asked_too() {
        let start = Instant::now();
        let mut asking = Asking::new(Vec::new(), start);
        assert_eq!(asking.due(start), []);
        let peer = PeerId::random();
        asking.add([peer, peer]);
        assert_eq!(asking.due(start + PATIENCE), [peer]);
    }
}
