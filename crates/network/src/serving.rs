//! Whose request is answered next: peers take turns, and each has a budget. Pure: it is told the time.
//!
//! Only bulk is queued here: blocks, headers, proofs and states, which others catch up with. Whoever asks much waits for
//! its own budget and for the turns of others, and consensus waits for nobody: at most half of the machine's cores answer
//! bulk at once, and what was answered but not yet read by its peer is bounded in bytes.

use crate::rate::TokenBucket;
use libp2p::PeerId;
use std::{
    collections::{HashMap, VecDeque},
    time::Instant,
};

const MEBIBYTE: u32 = 1024 * 1024;
/// Bytes a second that one peer is answered, and at once.
const BYTES_A_SECOND: (u32, u32) = (64 * MEBIBYTE, 64 * MEBIBYTE);
/// Bytes answered that peers have not read yet; beyond, everybody waits. One more answer of at most 11 MiB a core fits.
const UNREAD_MAX: usize = 32 * MEBIBYTE as usize;
/// Requests of one peer that are answered, or being read, at once: a slow reader holds up no more.
const UNREAD_REQUESTS_MAX: usize = 4;
/// Requests of one peer that wait.
const WAITING_MAX: usize = 16;

#[derive(Debug)]
struct Peer<T> {
    waiting: VecDeque<T>,
    /// Requests taken and not finished.
    taken: usize,
    bytes: TokenBucket,
}

/// Requests that wait for their turn.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    peers: HashMap<PeerId, Peer<T>>,
    /// The peers that have requests waiting, the next one first.
    turns: VecDeque<PeerId>,
    running: usize,
    running_max: usize,
    unread: usize,
}

impl<T> FairQueue<T> {
    /// Answers `running_max` requests at once, at least one.
    pub(crate) fn new(running_max: usize) -> Self {
        let running_max = running_max.max(1);
        Self { peers: HashMap::new(), turns: VecDeque::new(), running: 0, running_max, unread: 0 }
    }

    /// Queues a request; gives it back when too many of its peer wait.
    pub(crate) fn push(&mut self, peer: PeerId, request: T, now: Instant) -> Result<(), T> {
        let entry = self.peers.entry(peer).or_insert_with(|| Peer {
            waiting: VecDeque::new(),
            taken: 0,
            bytes: TokenBucket::new(BYTES_A_SECOND.0, BYTES_A_SECOND.1, now),
        });
        if entry.waiting.len() == WAITING_MAX {
            return Err(request);
        }
        if entry.waiting.is_empty() {
            self.turns.push_back(peer);
        }
        entry.waiting.push_back(request);
        Ok(())
    }

    /// The request to answer now, if there is one; [`Self::answered`] and [`Self::finished`] must follow.
    pub(crate) fn take(&mut self, now: Instant) -> Option<(PeerId, T)> {
        if self.running >= self.running_max || self.unread >= UNREAD_MAX {
            return None;
        }
        for _ in 0..self.turns.len() {
            let id = self.turns.pop_front()?;
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            let may = peer.taken < UNREAD_REQUESTS_MAX && peer.bytes.is_positive(now);
            let request = if may { peer.waiting.pop_front() } else { None };
            if !peer.waiting.is_empty() {
                self.turns.push_back(id);
            }
            if let Some(request) = request {
                peer.taken += 1;
                self.running += 1;
                return Some((id, request));
            }
        }
        None
    }

    /// An answer of so many bytes is ready and goes out.
    pub(crate) fn answered(&mut self, peer: PeerId, bytes: usize) {
        self.running = self.running.saturating_sub(1);
        self.unread += bytes;
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.bytes.charge(bytes);
        }
    }

    /// The peer has read an answer of so many bytes, or never will.
    pub(crate) fn finished(&mut self, peer: PeerId, bytes: usize) {
        self.unread = self.unread.saturating_sub(bytes);
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.taken = peer.taken.saturating_sub(1);
        }
    }

    /// Forgets the peers that ask nothing and whose budget is full again.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.peers.retain(|_, peer| !peer.waiting.is_empty() || peer.taken > 0 || !peer.bytes.refill(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Answers everything that may be answered now, each with `bytes`, read at once; whose requests these were.
    fn drain(queue: &mut FairQueue<u32>, bytes: usize, now: Instant) -> Vec<PeerId> {
        let mut served = Vec::new();
        while let Some((peer, _)) = queue.take(now) {
            queue.answered(peer, bytes);
            queue.finished(peer, bytes);
            served.push(peer);
        }
        served
    }

    #[test]
    fn peers_take_turns_however_much_one_asks() {
        let (mut queue, now) = (FairQueue::new(1), Instant::now());
        let (greedy, modest) = (PeerId::random(), PeerId::random());
        for number in 0..WAITING_MAX as u32 {
            queue.push(greedy, number, now).unwrap();
        }
        assert_eq!(queue.push(greedy, 99, now), Err(99));
        queue.push(modest, 0, now).unwrap();
        queue.push(modest, 1, now).unwrap();
        let served = drain(&mut queue, 1, now);
        assert_eq!(served[..4], [greedy, modest, greedy, modest]);
        assert_eq!(served.len(), WAITING_MAX + 2);
    }

    #[test]
    fn who_has_used_up_its_bytes_waits_and_the_others_do_not() {
        let (mut queue, now) = (FairQueue::new(1), Instant::now());
        let (greedy, modest) = (PeerId::random(), PeerId::random());
        for number in 0..16 {
            queue.push(greedy, number, now).unwrap();
        }
        let megabytes = 10 * MEBIBYTE as usize;
        assert_eq!(drain(&mut queue, megabytes, now).len(), 7, "64 MiB, and what the last one is over");
        queue.push(modest, 0, now).unwrap();
        assert_eq!(drain(&mut queue, megabytes, now), vec![modest]);
        assert!(!drain(&mut queue, megabytes, now + Duration::from_secs(1)).is_empty());
    }

    #[test]
    fn a_slow_reader_holds_up_only_itself() {
        let (mut queue, now) = (FairQueue::new(100), Instant::now());
        let (slow, quick) = (PeerId::random(), PeerId::random());
        for number in 0..16 {
            queue.push(slow, number, now).unwrap();
        }
        let mut taken = 0;
        while let Some((peer, _)) = queue.take(now) {
            queue.answered(peer, 1000);
            taken += 1;
        }
        assert_eq!(taken, UNREAD_REQUESTS_MAX);
        queue.push(quick, 0, now).unwrap();
        assert_eq!(drain(&mut queue, 1000, now), vec![quick]);
        queue.finished(slow, 1000);
        assert_eq!(queue.take(now).map(|(peer, _)| peer), Some(slow));
    }

    #[test]
    fn unread_bytes_and_running_answers_are_bounded() {
        let (mut queue, now) = (FairQueue::new(2), Instant::now());
        for _ in 0..10 {
            queue.push(PeerId::random(), 0, now).unwrap();
        }
        let (first, _) = queue.take(now).unwrap();
        let (second, _) = queue.take(now).unwrap();
        assert!(queue.take(now).is_none(), "two run");
        queue.answered(first, UNREAD_MAX);
        queue.answered(second, 1);
        assert!(queue.take(now).is_none(), "nothing was read yet");
        queue.finished(first, UNREAD_MAX);
        assert!(queue.take(now).is_some());
    }

    #[test]
    fn peers_that_ask_nothing_are_forgotten() {
        let (mut queue, now) = (FairQueue::new(1), Instant::now());
        queue.push(PeerId::random(), 0, now).unwrap();
        queue.sweep(now);
        assert_eq!(drain(&mut queue, 1, now).len(), 1);
        queue.sweep(now);
        assert_eq!(queue.peers.len(), 1, "its budget is not full");
        queue.sweep(now + Duration::from_secs(2));
        assert!(queue.peers.is_empty());
    }
}
