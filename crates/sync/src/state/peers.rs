//! What is known of each peer, and whom to ask.

use super::pace::Pace;
use crate::PeerId;
use crate::rest::rest_after;
use heddle_primitives::{Height, Request, RequestKind, Status};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

/// The rest after something invalid, which no mishap explains.
pub(super) const REST_INVALID: Duration = Duration::from_secs(600);
/// The rest of a peer that is busy.
pub(super) const REST_BUSY: Duration = Duration::from_secs(1);
/// Requests for blocks that a peer has in flight, so that it is never idle while an answer is on its way.
const BLOCK_REQUESTS_MAX: usize = 2;

/// What a request is about: its kind and where it starts.
pub(super) type Question = (RequestKind, Height);

/// The question of a request.
pub(super) fn question(request: &Request) -> Question {
    let from = match request {
        Request::Blocks(range) | Request::Headers(range) => range.from,
        _ => Height::GENESIS,
    };
    (request.kind(), from)
}

#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) connected: bool,
    pub(super) status: Option<Status>,
    pub(super) status_asked: Option<Duration>,
    /// What it has not answered yet, and since when.
    pub(super) pending: BTreeMap<Question, Duration>,
    /// How fast it serves headers, and blocks.
    headers: Pace,
    blocks: Pace,
    /// When it was asked for headers or blocks last.
    asked: Option<Duration>,
    pub(super) failures: u32,
    pub(super) rests_until: Duration,
    /// The greatest height that it had announced when it failed to serve.
    unproven: Height,
}

impl Peer {
    pub(super) fn is_usable(&self, now: Duration) -> bool {
        self.connected && now >= self.rests_until
    }

    pub(super) fn announces(&self) -> Option<Height> {
        self.status.as_ref().map(|status| status.height)
    }

    pub(super) fn serves(&self, height: Height) -> bool {
        self.status.as_ref().is_some_and(|s| s.earliest <= height && height <= s.height)
    }

    /// Whether it may be asked for headers or blocks from this height on.
    pub(super) fn can_serve(&self, now: Duration, question: Question) -> bool {
        let most = if question.0 == RequestKind::Blocks { BLOCK_REQUESTS_MAX } else { 1 };
        let in_flight = self.in_flight(question.0) < most && !self.pending.contains_key(&question);
        self.is_usable(now) && self.serves(question.1) && in_flight
    }

    fn in_flight(&self, kind: RequestKind) -> usize {
        self.pending.keys().filter(|(pending, _)| *pending == kind).count()
    }

    pub(super) fn pace(&mut self, kind: RequestKind) -> &mut Pace {
        if kind == RequestKind::Headers { &mut self.headers } else { &mut self.blocks }
    }

    /// Its place among those that can be asked, the lowest first: whoever is idle, has not failed, and is fast; a stranger
    /// counts for neither fast nor slow.
    pub(super) fn rank(&self, kind: RequestKind) -> impl Ord + use<> {
        let pace = if kind == RequestKind::Headers { &self.headers } else { &self.blocks };
        (self.in_flight(kind), self.failures, Reverse(pace.per_second()), self.asked)
    }

    pub(super) fn ask(&mut self, now: Duration, question: Question) {
        self.pending.insert(question, now);
        self.asked = Some(now);
    }

    /// Whether it failed to serve a height above the last final header that is known.
    pub(super) fn is_doubted(&self, tip: Height) -> bool {
        self.unproven > tip
    }

    /// What a failed peer announced is forgotten: it counts again when it has rested and answers.
    pub(super) fn fail(&mut self, now: Duration, rest_min: Duration) {
        let rest = rest_after(self.failures).max(rest_min);
        self.failures = self.failures.saturating_add(1);
        self.rests_until = now + rest;
        self.unproven = self.unproven.max(self.status.take().map_or(Height::GENESIS, |status| status.height));
    }
}

/// Who was asked for something: one peer, and when that took long another one.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) peer: PeerId,
    pub(super) second: Option<PeerId>,
    pub(super) at: Duration,
}

impl Asked {
    pub(super) fn new(peer: PeerId, at: Duration) -> Self {
        Self { peer, second: None, at }
    }

    pub(super) fn includes(&self, peer: &PeerId) -> bool {
        self.peer == *peer || self.second.as_ref() == Some(peer)
    }

    /// One of them answered; gives the one that was slower, if there is one.
    pub(super) fn answered_by(&mut self, peer: &PeerId) -> Option<PeerId> {
        let second = self.second.take()?;
        if second == *peer { Some(std::mem::replace(&mut self.peer, second)) } else { Some(second) }
    }

    /// One of them failed; whether nobody is left.
    pub(super) fn failed(&mut self, peer: &PeerId) -> bool {
        match self.second.take() {
            Some(second) if self.peer == *peer => self.peer = second,
            Some(second) if second != *peer => self.second = Some(second),
            Some(_) => {}
            None => return self.peer == *peer,
        }
        false
    }
}
