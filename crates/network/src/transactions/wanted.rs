//! What peers announced and this node lacks: whom to ask for it, and when.

use super::source::Source;
use alloy_primitives::B256;
use heddle_primitives::{MAX_TRANSACTION_BATCH_BYTES, MAX_TRANSACTIONS_PER_BATCH, TransactionAnnouncement};
use libp2p::PeerId;
use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

/// Most hashes wanted at once.
pub(crate) const WANTED_MAX: usize = 16_384;
/// A peer's share of them is an equal part, as if there were at least so many peers: nobody can take every place.
const SHARES_MIN: usize = 4;
/// Most peers remembered as announcers of one hash.
const ANNOUNCERS_MAX: usize = 8;

/// Names one fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FetchId(u64);

/// Who announced a hash.
#[derive(Debug)]
struct Announcer {
    peer: PeerId,
    /// The size that it gave.
    bytes: u32,
    /// Whether it was asked once and answered with nothing at all: it may have had no budget left for us.
    is_spared: bool,
}

impl Announcer {
    fn new(peer: PeerId, bytes: u32) -> Self {
        Self { peer, bytes, is_spared: false }
    }
}

/// A hash that is wanted.
#[derive(Debug)]
struct Want {
    /// It counts to the first one's share.
    announcers: Vec<Announcer>,
    /// Who has been asked.
    asked: Option<PeerId>,
}

impl Want {
    fn size_by(&self, peer: PeerId) -> Option<u32> {
        self.announcers.iter().find(|announcer| announcer.peer == peer).map(|announcer| announcer.bytes)
    }

    fn owner(&self) -> Option<PeerId> {
        self.announcers.first().map(|announcer| announcer.peer)
    }
}

/// The hashes that are wanted and the peers that can be asked. Each hash is part of one fetch, or stands in the queue
/// of at least one of its announcers.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    wants: HashMap<B256, Want>,
    sources: BTreeMap<PeerId, Source>,
    fetches: u64,
}

impl Wanted {
    /// How many hashes are wanted.
    pub(crate) fn len(&self) -> usize {
        self.wants.len()
    }

    /// A peer announced a transaction that is lacking here; `false` when there is no place for it.
    pub(crate) fn announced(&mut self, peer: PeerId, announcement: TransactionAnnouncement, now: Instant) -> bool {
        let TransactionAnnouncement { hash, bytes } = announcement;
        let share = WANTED_MAX / self.sources.len().max(SHARES_MIN);
        let source = self.sources.entry(peer).or_insert_with(|| Source::new(now));
        if let Some(want) = self.wants.get_mut(&hash) {
            let is_new = want.size_by(peer).is_none() && want.announcers.len() < ANNOUNCERS_MAX;
            if is_new && source.enqueue(hash) {
                want.announcers.push(Announcer::new(peer, bytes));
            }
            return true;
        }
        if self.wants.len() >= WANTED_MAX || source.owned >= share || !source.enqueue(hash) {
            return false;
        }
        source.owned += 1;
        self.wants.insert(hash, Want { announcers: vec![Announcer::new(peer, bytes)], asked: None });
        true
    }

    /// The next fetch from this peer, if one is due.
    pub(crate) fn next_fetch(&mut self, peer: PeerId, now: Instant) -> Option<(FetchId, Vec<B256>)> {
        let source = self.sources.get_mut(&peer)?;
        if source.due_at().is_none_or(|due| due > now) {
            return None;
        }
        let mut asked = Vec::new();
        let mut bytes_left = MAX_TRANSACTION_BATCH_BYTES;
        while asked.len() < MAX_TRANSACTIONS_PER_BATCH
            && let Some(hash) = source.queue.pop_front()
        {
            let Some(want) = self.wants.get_mut(&hash).filter(|want| want.asked.is_none()) else { continue };
            let Some(bytes) = want.size_by(peer) else { continue };
            if bytes as usize > bytes_left {
                source.queue.push_front(hash);
                break;
            }
            bytes_left -= bytes as usize;
            want.asked = Some(peer);
            asked.push((hash, bytes));
        }
        if asked.is_empty() {
            return None;
        }
        self.fetches += 1;
        let id = FetchId(self.fetches);
        let hashes = asked.iter().map(|(hash, _)| *hash).collect();
        source.start(id, asked, now);
        Some((id, hashes))
    }

    /// An answer came, of these hashes and sizes: how many of the hashes asked for it lacks, or `None` when it holds
    /// more than these, one twice, or one of another size than announced. What is still wanted is asked of the next
    /// announcer, or, if nothing came at all, once more of this one. The fetch counts until [`Self::judged`].
    pub(crate) fn answered(
        &mut self,
        peer: PeerId,
        id: FetchId,
        answer: &[(B256, usize)],
        now: Instant,
    ) -> Option<usize> {
        let source = self.sources.get_mut(&peer)?;
        let asked = source.take_asked(id);
        let mut missing = BTreeMap::from_iter(asked.iter().copied());
        let is_asked = |(hash, bytes): &(B256, usize)| missing.remove(hash).is_some_and(|size| size as usize == *bytes);
        if !answer.iter().all(is_asked) {
            self.release(peer, asked.into_iter().map(|(hash, _)| hash));
            return None;
        }
        let count = missing.len();
        if answer.is_empty() {
            source.rest_briefly(now);
            missing.retain(|hash, _| !self.spare(peer, *hash));
        } else {
            source.failures = 0;
        }
        self.release(peer, missing.into_keys());
        Some(count)
    }

    /// The answer has been dealt with; it was `useless` when the pool refused more of it than it took.
    pub(crate) fn judged(&mut self, peer: PeerId, id: FetchId, useless: bool, now: Instant) {
        let Some(source) = self.sources.get_mut(&peer) else { return };
        source.end(id);
        if useless {
            source.rest_briefly(now);
        }
    }

    /// No answer came; how many hashes were asked for, and whether this is news (several fetches fail together).
    pub(crate) fn failed(&mut self, peer: PeerId, id: FetchId, now: Instant) -> (usize, bool) {
        let Some(source) = self.sources.get_mut(&peer) else { return (0, false) };
        let asked = source.take_asked(id);
        source.end(id);
        let (is_news, cut) = (source.fail(now), source.cut_queue());
        let count = asked.len();
        self.release(peer, asked.into_iter().map(|(hash, _)| hash).chain(cut));
        (count, is_news)
    }

    /// The transaction came, from whomever.
    pub(crate) fn received(&mut self, hash: &B256) {
        if let Some(owner) = self.wants.remove(hash).and_then(|want| want.owner()) {
            self.disown(owner);
        }
    }

    /// The peer has gone: others are asked for what it announced.
    pub(crate) fn left(&mut self, peer: PeerId) {
        if self.sources.remove(&peer).is_some() {
            let announced = |(_, want): &(&B256, &Want)| want.size_by(peer).is_some();
            let hashes = Vec::from_iter(self.wants.iter().filter(announced).map(|(hash, _)| *hash));
            self.release(peer, hashes.into_iter());
        }
    }

    /// When [`Self::next_fetch`] may have one.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        self.sources.values().filter_map(Source::due_at).min()
    }

    /// `peer` is no longer to be asked for these: the next announcer is, or nobody.
    fn release(&mut self, peer: PeerId, hashes: impl Iterator<Item = B256>) {
        for hash in hashes {
            let Some(want) = self.wants.get_mut(&hash) else { continue };
            let was_owner = want.owner() == Some(peer);
            want.announcers.retain(|announcer| announcer.peer != peer);
            let owner = want.owner();
            if was_owner {
                self.disown(peer);
                owner.and_then(|owner| self.sources.get_mut(&owner)).into_iter().for_each(|source| source.owned += 1);
            }
            self.ask_next(peer, hash);
        }
    }

    /// Keeps `peer` as an announcer of a hash that it did not send; `false` if this was done before.
    fn spare(&mut self, peer: PeerId, hash: B256) -> bool {
        let announcers = self.wants.get_mut(&hash).into_iter().flat_map(|want| &mut want.announcers);
        let is_first = announcers
            .filter(|announcer| announcer.peer == peer)
            .any(|announcer| !std::mem::replace(&mut announcer.is_spared, true));
        if is_first {
            self.ask_next(peer, hash);
        }
        is_first
    }

    /// Puts a hash that `peer` was asked for, or nobody, before the announcer that failed the least; one that was asked
    /// in vain comes last.
    fn ask_next(&mut self, peer: PeerId, hash: B256) {
        let Some(want) = self.wants.get_mut(&hash).filter(|want| want.asked.is_none_or(|asked| asked == peer)) else {
            return;
        };
        want.asked = None;
        let failures = |other: &Announcer| self.sources.get(&other.peer).map_or(u32::MAX, |source| source.failures);
        let next =
            want.announcers.iter().min_by_key(|other| (other.is_spared, failures(other))).map(|other| other.peer);
        let is_queued =
            next.and_then(|next| self.sources.get_mut(&next)).is_some_and(|source| source.enqueue_first(hash));
        if !is_queued {
            self.received(&hash);
        }
    }

    fn disown(&mut self, owner: PeerId) {
        if let Some(source) = self.sources.get_mut(&owner) {
            source.owned -= 1;
        }
    }
}
