//! Whom to ask: what each peer offers, and how it has served.

use crate::PeerId;
use crate::rest::rest_after;
use alloy_primitives::B256;
use heddle_primitives::{Height, SnapshotOffer};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The rest of a peer that says that it is busy.
const BUSY_REST: Duration = Duration::from_millis(500);
/// A peer that so often in a row did not deliver does not count as one that serves.
const FRUITLESS: u32 = 3;
/// As long as there are fewer records than this, those of peers that misbehaved or rest outlive their connection.
const RECORDS_MAX: usize = 1_024;

/// What is known of a peer.
#[derive(Debug, Default)]
pub(super) struct Peer {
    connected: bool,
    banned: bool,
    /// What it offers, by height.
    offers: BTreeMap<Height, B256>,
    /// When it was asked for offers last.
    polled: Option<Duration>,
    polling: bool,
    /// It has said what it offers, if anything.
    has_answered: bool,
    /// States of this height and below it does not serve any more.
    gone: Height,
    /// Requests for pieces that it has not answered.
    in_flight: usize,
    /// It was asked for headers and has not answered.
    is_asked_for_headers: bool,
    /// How often in a row it did not deliver.
    failures: u32,
    rests_until: Duration,
    /// Smoothed bytes a second of service; 0 before the first delivery.
    rate: u64,
}

impl Peer {
    fn is_present(&self) -> bool {
        self.connected && !self.banned
    }

    fn is_usable(&self, now: Duration) -> bool {
        self.is_present() && now >= self.rests_until
    }

    fn serves(&self, height: Height) -> bool {
        self.is_present() && self.offers.contains_key(&height)
    }

    /// Who is better comes first: failures, then load, then speed.
    fn rank(&self) -> (u32, usize, Reverse<u64>) {
        (self.failures, self.in_flight, Reverse(self.rate))
    }

    fn fail(&mut self, now: Duration) {
        let rest = rest_after(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.rests_until = self.rests_until.max(now + rest);
    }
}

/// All peers.
#[derive(Debug, Default)]
pub(super) struct Peers(BTreeMap<PeerId, Peer>);

impl Peers {
    /// Notes who is connected; who has to be asked for offers is returned, and counts as asked.
    pub(super) fn observe(&mut self, now: Duration, connected: &[PeerId], offers_age_max: Duration) -> Vec<PeerId> {
        let connected = BTreeSet::from_iter(connected);
        for id in &connected {
            self.0.entry(PeerId::clone(id)).or_default();
        }
        let mut due = Vec::new();
        for (id, peer) in &mut self.0 {
            peer.connected = connected.contains(id);
            let is_due = peer.polled.is_none_or(|polled| now.saturating_sub(polled) >= offers_age_max);
            if peer.is_usable(now) && !peer.polling && is_due {
                peer.polling = true;
                peer.polled = Some(now);
                due.push(id.clone());
            }
        }
        let room = self.0.len() < RECORDS_MAX;
        self.0.retain(|_, peer| {
            let is_waited_for = peer.polling || peer.is_asked_for_headers || peer.in_flight > 0;
            peer.connected || is_waited_for || (room && (peer.banned || now < peer.rests_until))
        });
        due
    }

    /// A peer's answer to what it offers; none when it did not answer.
    pub(super) fn offer(&mut self, now: Duration, id: &PeerId, offers: Option<&[SnapshotOffer]>) {
        let Some(peer) = self.0.get_mut(id) else { return };
        peer.polling = false;
        let Some(offers) = offers else { return peer.fail(now) };
        peer.has_answered = true;
        let is_served = |offer: &&SnapshotOffer| offer.height > peer.gone;
        peer.offers = offers.iter().filter(is_served).map(|offer| (offer.height, offer.hash)).collect();
    }

    /// The peers that offer this height with another hash, and the hash of each.
    pub(super) fn forgers(&self, height: Height, hash: B256) -> Vec<(PeerId, B256)> {
        let present = self.0.iter().filter(|(_, peer)| peer.is_present());
        let offered = present.filter_map(|(id, peer)| Some((id.clone(), *peer.offers.get(&height)?)));
        offered.filter(|(_, offered)| *offered != hash).collect()
    }

    /// How many peers serve this height, resting or not.
    pub(super) fn serving(&self, height: Height) -> usize {
        self.0.values().filter(|peer| peer.serves(height)).count()
    }

    /// How many reliable peers serve this height, as far as it matters: none, one, or more.
    pub(super) fn class(&self, height: Height) -> usize {
        let reliable = self.0.values().filter(|peer| peer.serves(height) && peer.failures < FRUITLESS);
        reliable.take(2).count()
    }

    /// The height to fetch, other than `except`: of those that several reliable peers offer the greatest, or else of
    /// those that one does, or anybody.
    pub(super) fn best(&self, now: Duration, except: Option<Height>) -> Option<Height> {
        let usable = self.0.values().filter(|peer| peer.is_usable(now));
        let heights = BTreeSet::from_iter(usable.flat_map(|peer| peer.offers.keys().copied()));
        heights.into_iter().filter(|height| Some(*height) != except).max_by_key(|height| (self.class(*height), *height))
    }

    /// Whether a reliable peer offers something, resting or not.
    pub(super) fn has_reliable_offers(&self) -> bool {
        self.0.values().any(|peer| peer.is_present() && peer.failures < FRUITLESS && !peer.offers.is_empty())
    }

    /// Whether somebody has said what it offers.
    pub(super) fn has_answers(&self) -> bool {
        self.0.values().any(|peer| peer.is_present() && peer.has_answered)
    }

    /// Whether somebody may still say what it offers for the first time.
    pub(super) fn has_unheard(&self) -> bool {
        self.0.values().any(|peer| peer.is_present() && peer.polling && !peer.has_answered)
    }

    /// Forgets the offers above a height, and lets those rest who made them.
    pub(super) fn forget_above(&mut self, now: Duration, height: Height) {
        for peer in self.0.values_mut().filter(|peer| peer.offers.keys().next_back() > Some(&height)) {
            peer.offers.retain(|offered, _| *offered <= height);
            peer.fail(now);
        }
    }

    /// Forgets the offers of a height.
    pub(super) fn forget(&mut self, height: Height) {
        for peer in self.0.values_mut() {
            peer.offers.remove(&height);
        }
    }

    /// Whether it offers this height.
    pub(super) fn offers(&self, id: &PeerId, height: Height) -> bool {
        self.0.get(id).is_some_and(|peer| peer.serves(height))
    }

    /// Who is asked for headers next, those that offer the height first; counts as asked.
    pub(super) fn for_headers(&mut self, now: Duration, height: Height, tried: &BTreeSet<PeerId>) -> Option<PeerId> {
        let is_able = |peer: &Peer| peer.is_usable(now) && !peer.is_asked_for_headers;
        let able = self.0.iter_mut().filter(|(id, peer)| is_able(peer) && !tried.contains(id));
        let (id, peer) = able.min_by_key(|(_, peer)| (!peer.serves(height), peer.rank()))?;
        peer.is_asked_for_headers = true;
        Some(id.clone())
    }

    /// A request for headers ended, however.
    pub(super) fn answered_headers(&mut self, id: &PeerId) {
        if let Some(peer) = self.0.get_mut(id) {
            peer.is_asked_for_headers = false;
        }
    }

    /// Who is asked for a piece next, other than `except`; counts as asked.
    pub(super) fn for_piece(
        &mut self,
        now: Duration,
        height: Height,
        in_flight_max: usize,
        except: Option<&PeerId>,
    ) -> Option<PeerId> {
        let able = self.0.iter_mut().filter(|(id, peer)| {
            let limit = if peer.rate == 0 { 1 } else { in_flight_max };
            Some(*id) != except && peer.is_usable(now) && peer.serves(height) && peer.in_flight < limit
        });
        let (id, peer) = able.min_by_key(|(_, peer)| peer.rank())?;
        peer.in_flight += 1;
        Some(id.clone())
    }

    /// A request for a piece ended, however.
    pub(super) fn answered(&mut self, id: &PeerId) {
        if let Some(peer) = self.0.get_mut(id) {
            peer.in_flight = peer.in_flight.saturating_sub(1);
        }
    }

    /// A piece of so many bytes was right, and took so long: who is patient for no longer than this trusts it again.
    pub(super) fn delivered(&mut self, id: &PeerId, bytes: usize, took: Duration, patience: Duration) {
        let Some(peer) = self.0.get_mut(id) else { return };
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = (bytes as u64).saturating_mul(1_000) / milliseconds;
        peer.rate = if peer.rate == 0 { rate } else { peer.rate / 4 * 3 + rate / 4 }.max(1);
        if took <= patience {
            peer.failures = 0;
        }
    }

    /// It is slower than the others. Who always is serves nothing in the end, however right it is.
    pub(super) fn late(&mut self, id: &PeerId) {
        if let Some(peer) = self.0.get_mut(id) {
            peer.rate /= 2;
            peer.failures = peer.failures.saturating_add(1);
        }
    }

    /// It sent headers or ends of epochs that are right.
    pub(super) fn helped(&mut self, id: &PeerId) {
        if let Some(peer) = self.0.get_mut(id) {
            peer.failures = 0;
        }
    }

    /// It did not deliver, and rests, longer each time.
    pub(super) fn failed(&mut self, now: Duration, id: &PeerId) {
        if let Some(peer) = self.0.get_mut(id) {
            peer.fail(now);
        }
    }

    /// It has no time, and rests a little; that is no failure.
    pub(super) fn busy(&mut self, now: Duration, id: &PeerId) {
        if let Some(peer) = self.0.get_mut(id) {
            peer.rests_until = peer.rests_until.max(now + BUSY_REST);
        }
    }

    /// It does not serve this height any more, nor any below.
    pub(super) fn gone(&mut self, id: &PeerId, height: Height) {
        if let Some(peer) = self.0.get_mut(id) {
            peer.gone = peer.gone.max(height);
            peer.offers.retain(|offered, _| *offered > height);
        }
    }

    /// It lied, and is never asked again.
    pub(super) fn ban(&mut self, id: &PeerId) {
        if let Some(peer) = self.0.get_mut(id) {
            peer.banned = true;
            peer.offers.clear();
        }
    }

    /// Whether it lied.
    pub(super) fn is_banned(&self, id: &PeerId) -> bool {
        self.0.get(id).is_some_and(|peer| peer.banned)
    }
}
