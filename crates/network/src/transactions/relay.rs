//! The pure core: what to tell which peer, what to ask of whom, what to give to the pool.

use super::{
    hashes::{HashFilter, ReceivedOfLate},
    message::{FetchFailure, Input, Output, Received},
    metrics::{Announced, Fetched, Pushed, TransactionMetrics, Use},
    outbox::Lane,
    wanted::{FetchId, Wanted},
};
use crate::{Announcement, Judgement, Misbehaviour};
use alloy_primitives::B256;
use heddle_primitives::{
    MAX_ANNOUNCED_TRANSACTIONS, MAX_PUSHED_TRANSACTION_BYTES, MAX_PUSHED_TRANSACTIONS, TransactionAnnouncement,
};
use libp2p::PeerId;
use std::{collections::BTreeMap, ops::Bound, time::Instant};

/// Announcements that may wait for one peer; the newest stay.
pub(crate) const ANNOUNCEMENTS_WAITING_MAX: usize = 4_096;
/// Transactions that may wait to be pushed to one peer; one beyond is announced to it.
const PUSHES_WAITING_MAX: usize = 256;
/// Peers that a small local transaction is pushed to.
const PUSH_PEERS: usize = 3;
/// Pushes of one peer that may wait to be judged; one beyond is dropped.
const PUSHES_JUDGED_MAX: usize = 8;

#[derive(Debug)]
struct Peer {
    /// Whether it can be told things; it may tell us things before.
    joined: bool,
    /// What it has, as far as it said or was told.
    known: HashFilter,
    announcements: Lane<TransactionAnnouncement>,
    pushes: Lane<TransactionAnnouncement>,
    /// Its pushes that are being judged.
    judging: usize,
}

impl Peer {
    fn new(now: Instant) -> Self {
        Self {
            joined: false,
            known: HashFilter::default(),
            announcements: Lane::new(ANNOUNCEMENTS_WAITING_MAX, MAX_ANNOUNCED_TRANSACTIONS, now),
            pushes: Lane::new(PUSHES_WAITING_MAX, MAX_PUSHED_TRANSACTIONS, now),
            judging: 0,
        }
    }

    fn lacks(&self, hash: &B256) -> bool {
        self.joined && !self.known.contains(hash)
    }

    fn due_at(&self) -> Option<Instant> {
        let lanes = [self.announcements.due_at(), self.pushes.due_at()];
        lanes.into_iter().flatten().min().filter(|_| self.joined)
    }
}

/// Decides how transactions spread. Bounded by the number of connections.
#[derive(Debug)]
pub(crate) struct TransactionRelay {
    peers: BTreeMap<PeerId, Peer>,
    received: ReceivedOfLate,
    wanted: Wanted,
    /// The peer that was pushed to last: the next ones are the next.
    last_pushed_to: Option<PeerId>,
    metrics: TransactionMetrics,
    outputs: Vec<Output>,
}

impl TransactionRelay {
    pub(crate) fn new(metrics: TransactionMetrics, now: Instant) -> Self {
        Self {
            peers: BTreeMap::new(),
            received: ReceivedOfLate::new(now),
            wanted: Wanted::default(),
            last_pushed_to: None,
            metrics,
            outputs: Vec::new(),
        }
    }

    /// Takes an input, and says what is to be done by it and by now.
    pub(crate) fn handle(&mut self, input: Input, now: Instant) -> Vec<Output> {
        match input {
            Input::Joined(peer) => self.joined(peer, now),
            Input::Left(peer) => self.left(peer),
            Input::Held { peer, transactions } => self.tell(peer, transactions),
            Input::Pending { transactions, announcement } => self.pending(&transactions, announcement, now),
            Input::AnnounceEnded { peer, taken } => self.announce_ended(peer, taken, now),
            Input::PushEnded { peer, taken } => self.push_ended(peer, taken, now),
            Input::Announced { peer, transactions } => self.announced(peer, transactions, now),
            Input::Lacking { peer, transactions } => self.lacking(peer, transactions, now),
            Input::Pushed { peer, transactions } => self.pushed(peer, transactions, now),
            Input::Fetched { peer, id, transactions } => self.fetched(peer, id, transactions, now),
            Input::FetchFailed { peer, id, failure } => self.fetch_failed(peer, id, failure, now),
            Input::Judged { peer, fetch, judgement } => self.judged(peer, fetch, judgement, now),
            Input::Tick => {}
        }
        self.send_due(now);
        self.metrics.wanted.set(self.wanted.len() as i64);
        std::mem::take(&mut self.outputs)
    }

    /// When [`Input::Tick`] is to be told; `None` when nothing waits for time to pass.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        self.peers.values().filter_map(Peer::due_at).chain(self.wanted.due_at()).min()
    }

    #[cfg(test)]
    pub(super) fn wanted_count(&self) -> usize {
        self.wanted.len()
    }

    #[cfg(test)]
    pub(super) fn known_count(&self, peer: &PeerId) -> usize {
        self.peers.get(peer).map_or(0, |peer| peer.known.len())
    }

    fn with(&mut self, peer: PeerId, update: impl FnOnce(&mut Peer)) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            update(peer);
        }
    }

    fn entry(&mut self, peer: PeerId, now: Instant) -> &mut Peer {
        self.peers.entry(peer).or_insert_with(|| Peer::new(now))
    }

    fn joined(&mut self, peer: PeerId, now: Instant) {
        if !std::mem::replace(&mut self.entry(peer, now).joined, true) {
            self.outputs.push(Output::ListPending(peer));
        }
    }

    fn left(&mut self, peer: PeerId) {
        self.peers.remove(&peer);
        self.wanted.left(peer);
    }

    fn tell(&mut self, peer: PeerId, transactions: Vec<TransactionAnnouncement>) {
        let Some(peer) = self.peers.get_mut(&peer) else { return };
        for transaction in transactions {
            announce(peer, transaction, &self.metrics);
        }
    }

    fn pending(&mut self, transactions: &[TransactionAnnouncement], announcement: Announcement, now: Instant) {
        for transaction in transactions {
            self.received.insert(&transaction.hash, now);
            if announcement == Announcement::Again {
                self.peers.values_mut().for_each(|peer| peer.known.remove(&transaction.hash));
            }
            let is_small = transaction.bytes as usize <= MAX_PUSHED_TRANSACTION_BYTES;
            let push = announcement == Announcement::Local && is_small;
            let pushed_to = if push { self.push_peers(&transaction.hash) } else { Vec::new() };
            for (id, peer) in &mut self.peers {
                if pushed_to.contains(id) {
                    peer.pushes.push(*transaction);
                } else {
                    announce(peer, *transaction, &self.metrics);
                }
            }
        }
    }

    /// The next peers to push to, in turn.
    fn push_peers(&mut self, hash: &B256) -> Vec<PeerId> {
        let start = self.last_pushed_to.map_or(Bound::Unbounded, Bound::Excluded);
        let turn = self.peers.range((start, Bound::Unbounded)).chain(&self.peers).take(self.peers.len());
        let can_take = |(_, peer): &(&PeerId, &Peer)| peer.lacks(hash) && !peer.pushes.is_full();
        let chosen = Vec::from_iter(turn.filter(can_take).map(|(id, _)| *id).take(PUSH_PEERS));
        self.last_pushed_to = chosen.last().copied().or(self.last_pushed_to);
        chosen
    }

    /// What was not taken is announced again, before what is newer.
    fn announce_ended(&mut self, peer: PeerId, taken: bool, now: Instant) {
        let Some(peer) = self.peers.get_mut(&peer) else { return };
        for transaction in peer.announcements.ended(taken, now).into_iter().rev() {
            peer.known.remove(&transaction.hash);
            if !peer.announcements.put_back(transaction) {
                self.metrics.announced(Announced::Dropped, 1);
            }
        }
    }

    /// What was not taken is announced: the peer may have it, and its bytes are many.
    fn push_ended(&mut self, peer: PeerId, taken: bool, now: Instant) {
        let Some(peer) = self.peers.get_mut(&peer) else { return };
        for transaction in peer.pushes.ended(taken, now) {
            peer.known.remove(&transaction.hash);
            announce(peer, transaction, &self.metrics);
        }
    }

    fn announced(&mut self, id: PeerId, mut transactions: Vec<TransactionAnnouncement>, now: Instant) {
        self.metrics.announced(Announced::Received, transactions.len());
        let peer = self.peers.entry(id).or_insert_with(|| Peer::new(now));
        transactions.retain(|transaction| {
            peer.known.insert(&transaction.hash);
            !self.received.contains(&transaction.hash, now)
        });
        if !transactions.is_empty() {
            self.outputs.push(Output::Check { peer: id, transactions });
        }
    }

    fn lacking(&mut self, peer: PeerId, transactions: Vec<TransactionAnnouncement>, now: Instant) {
        if !self.peers.contains_key(&peer) {
            return;
        }
        for transaction in transactions {
            let is_lacking = !self.received.contains(&transaction.hash, now);
            if is_lacking && !self.wanted.announced(peer, transaction, now) {
                self.metrics.announced(Announced::Refused, 1);
            }
        }
    }

    fn pushed(&mut self, id: PeerId, transactions: Vec<Received>, now: Instant) {
        let peer = self.entry(id, now);
        if peer.judging >= PUSHES_JUDGED_MAX {
            return self.metrics.pushed(Pushed::OverLimit, transactions.len());
        }
        for transaction in &transactions {
            peer.known.insert(&transaction.hash);
        }
        self.metrics.pushed(Pushed::Received, transactions.len());
        if self.judge(id, None, transactions, now) {
            self.with(id, |peer| peer.judging += 1);
        }
    }

    fn fetched(&mut self, peer: PeerId, id: FetchId, transactions: Vec<Received>, now: Instant) {
        let answer = Vec::from_iter(transactions.iter().map(|transaction| (transaction.hash, transaction.raw.len())));
        let Some(missing) = self.wanted.answered(peer, id, &answer, now) else {
            self.wanted.judged(peer, id, false, now);
            return self.misbehaved(peer, Misbehaviour::InvalidResponse);
        };
        self.metrics.fetched(Fetched::Missing, missing);
        if !self.judge(peer, Some(id), transactions, now) {
            self.wanted.judged(peer, id, false, now);
        }
    }

    /// Gives the pool what is new of these; whether anything is.
    fn judge(&mut self, peer: PeerId, fetch: Option<FetchId>, transactions: Vec<Received>, now: Instant) -> bool {
        let mut new = Vec::new();
        for Received { hash, raw } in transactions {
            self.wanted.received(&hash);
            let is_new = self.received.insert(&hash, now);
            self.metrics.received(if is_new { Use::New } else { Use::Duplicate }, raw.len());
            if is_new {
                new.push(raw);
            }
        }
        let has_new = !new.is_empty();
        if has_new {
            self.outputs.push(Output::Judge { peer, fetch, transactions: new });
        }
        has_new
    }

    fn judged(&mut self, peer: PeerId, fetch: Option<FetchId>, judgement: Judgement, now: Instant) {
        match fetch {
            Some(id) => self.wanted.judged(peer, id, judgement.refused > judgement.accepted, now),
            None => self.with(peer, |peer| peer.judging = peer.judging.saturating_sub(1)),
        }
        if judgement.invalid > 0 {
            self.misbehaved(peer, Misbehaviour::InvalidGossip);
        }
    }

    /// Several fetches that fail together cost once, and a peer that failed is left alone for longer than its score
    /// needs to recover: to be slow bans nobody.
    fn fetch_failed(&mut self, peer: PeerId, id: FetchId, failure: FetchFailure, now: Instant) {
        let (count, is_news) = self.wanted.failed(peer, id, now);
        self.metrics.fetched(Fetched::Failed, count);
        match failure {
            FetchFailure::Timeout if is_news => self.misbehaved(peer, Misbehaviour::Unresponsive),
            FetchFailure::Invalid => self.misbehaved(peer, Misbehaviour::InvalidResponse),
            FetchFailure::Timeout | FetchFailure::Refused => {}
        }
    }

    fn misbehaved(&mut self, peer: PeerId, misbehaviour: Misbehaviour) {
        self.outputs.push(Output::Misbehaved { peer, misbehaviour });
    }

    fn send_due(&mut self, now: Instant) {
        for (&id, peer) in self.peers.iter_mut().filter(|(_, peer)| peer.joined) {
            let Peer { known, announcements, pushes, .. } = peer;
            // It may have told us of them meanwhile.
            let mut is_news = |transaction: &TransactionAnnouncement| known.insert(&transaction.hash);
            let transactions = announcements.take(now, &mut is_news);
            if !transactions.is_empty() {
                self.metrics.announced(Announced::Sent, transactions.len());
                self.outputs.push(Output::Announce { peer: id, transactions });
            }
            let pushed = pushes.take(now, &mut is_news);
            if !pushed.is_empty() {
                let hashes = pushed.into_iter().map(|transaction| transaction.hash).collect();
                self.outputs.push(Output::Push { peer: id, hashes });
            }
        }
        for &peer in self.peers.keys() {
            if let Some((id, hashes)) = self.wanted.next_fetch(peer, now) {
                self.metrics.fetched(Fetched::Asked, hashes.len());
                self.outputs.push(Output::Fetch { peer, id, hashes });
            }
        }
    }
}

fn announce(peer: &mut Peer, transaction: TransactionAnnouncement, metrics: &TransactionMetrics) {
    if peer.lacks(&transaction.hash) && peer.announcements.push(transaction).is_some() {
        metrics.announced(Announced::Dropped, 1);
    }
}
