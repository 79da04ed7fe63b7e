//! What to ask next, and whom.

use super::peers::{Asked, Peer, Question};
use super::window::{Range, Stage};
use super::{Output, State};
use crate::PeerId;
use heddle_primitives::{BlocksRequest, Height, MAX_HEADERS_PER_RESPONSE, Request, RequestKind};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// As long as there are fewer records than this, a peer that leaves takes its failures with it only after its rest.
const RECORDS_MAX: usize = 1_024;

impl<B> State<B> {
    /// Asks where peers are whose word is old.
    pub(super) fn poll(
        &mut self,
        now: Duration,
        connected: &[PeerId],
        status_age_max: Duration,
        outputs: &mut Vec<Output<B>>,
    ) {
        let connected = BTreeSet::from_iter(connected);
        for id in &connected {
            self.peers.entry(PeerId::clone(id)).or_default();
        }
        let question = (RequestKind::Status, Height::GENESIS);
        for (id, peer) in &mut self.peers {
            peer.connected = connected.contains(id);
            let due = peer.status_asked.is_none_or(|asked| now >= asked + status_age_max);
            if peer.is_usable(now) && !peer.pending.contains_key(&question) && due {
                peer.pending.insert(question, now);
                peer.status_asked = Some(now);
                outputs.push(Output::Ask(id.clone(), Request::Status));
            }
        }
        let room = self.peers.len() < RECORDS_MAX;
        self.peers.retain(|_, peer| {
            let rests = room && now < peer.rests_until;
            peer.connected || !peer.pending.is_empty() || rests
        });
    }

    pub(super) fn ask(&mut self, now: Duration, outputs: &mut Vec<Output<B>>) {
        self.lengthen(now, outputs);
        self.fill_window(now, outputs);
        self.ask_others(now, outputs);
    }

    /// Asks for what follows the last final header: for headers, or when that is little and all before is asked for, for the
    /// blocks themselves.
    fn lengthen(&mut self, now: Duration, outputs: &mut Vec<Output<B>>) {
        let tip = self.headers.tip();
        let is_direct_in_flight = self.window.0.iter().any(|(from, range)| range.last(*from) > tip);
        if !self.headers.may_grow() || is_direct_in_flight {
            return;
        }
        let goal = self.peers.values().filter(|peer| peer.is_usable(now)).filter_map(Peer::announces).max();
        let Some(missing) = goal.and_then(|goal| goal.as_u64().checked_sub(tip.as_u64())).filter(|n| *n > 0) else {
            return;
        };
        let room = self.config.headers_max.saturating_sub(self.headers.len());
        let still_for = now.saturating_sub(self.head_since);
        if room == 0 || (tip == self.head && missing == 1 && still_for < self.config.grace) {
            return;
        }
        let is_all_asked = self.window.first_gap(self.head).0 == tip.next();
        let has_room = self.window.0.len() < self.config.ranges_max;
        let is_direct = is_all_asked && has_room && missing <= self.config.direct_max;
        let (kind, most) = match is_direct {
            true => (RequestKind::Blocks, missing),
            false => (RequestKind::Headers, room.min(MAX_HEADERS_PER_RESPONSE)),
        };
        let question = (kind, tip.next());
        let Some((peer, served)) = pick(&mut self.peers, now, question, |_, _| true) else { return };
        let (from, count) = (question.1, served.min(most));
        outputs.push(Output::Ask(peer.clone(), request(question, count)));
        let asked = Asked::new(peer, now);
        if is_direct {
            self.window.0.insert(from, Range { asked, count, stage: Stage::Requested });
        } else {
            self.headers.asked = Some((asked, BlocksRequest { from, count }));
        }
    }

    /// Fills the window from its low end, each range from the best of those that are free.
    fn fill_window(&mut self, now: Duration, outputs: &mut Vec<Output<B>>) {
        let tip = self.headers.tip();
        while self.window.0.len() < self.config.ranges_max {
            let (from, gap) = self.window.first_gap(self.head);
            let Some(final_ones) = tip.next().as_u64().checked_sub(from.as_u64()).filter(|n| *n > 0) else { return };
            let question = (RequestKind::Blocks, from);
            let Some((peer, served)) = pick(&mut self.peers, now, question, |_, _| true) else { return };
            let count = gap.min(served).min(final_ones).min(self.config.blocks_per_range);
            outputs.push(Output::Ask(peer.clone(), request(question, count)));
            self.window.0.insert(from, Range { asked: Asked::new(peer, now), count, stage: Stage::Requested });
        }
    }

    /// Asks a second peer for what is late, or what was asked of one whose word is doubted.
    fn ask_others(&mut self, now: Duration, outputs: &mut Vec<Output<B>>) {
        let tip = self.headers.tip();
        let headers = self.headers.asked.iter_mut();
        let headers = headers.map(|(asked, range)| ((RequestKind::Headers, range.from), asked, range.count));
        let in_flight = self.window.0.iter_mut().filter(|(_, range)| matches!(range.stage, Stage::Requested));
        let ranges = in_flight.map(|(from, range)| ((RequestKind::Blocks, *from), &mut range.asked, range.count));
        for (question, asked, count) in headers.chain(ranges) {
            let usual = if question.0 == RequestKind::Headers { &self.usual_headers } else { &self.usual_blocks };
            let is_late = now.saturating_sub(asked.at) >= usual.late_after();
            let is_doubted = self.peers.get(&asked.peer).is_some_and(|peer| peer.is_doubted(tip));
            if asked.second.is_some() || !(is_late || is_doubted) {
                continue;
            }
            let other = |id: &PeerId, peer: &Peer| *id != asked.peer && (is_late || !peer.is_doubted(tip));
            if let Some((peer, served)) = pick(&mut self.peers, now, question, other) {
                outputs.push(Output::Ask(peer.clone(), request(question, count.min(served))));
                asked.second = Some(peer);
            }
        }
    }
}

/// Takes the best peer that can be asked now, and says how many heights it serves from there on.
fn pick(
    peers: &mut BTreeMap<PeerId, Peer>,
    now: Duration,
    question: Question,
    wanted: impl Fn(&PeerId, &Peer) -> bool,
) -> Option<(PeerId, u64)> {
    let able = peers.iter_mut().filter(|(id, peer)| peer.can_serve(now, question) && wanted(id, peer));
    let (id, peer) = able.min_by_key(|(_, peer)| peer.rank(question.0))?;
    peer.ask(now, question);
    let served = peer.announces().map_or(1, |last| last.next().as_u64().saturating_sub(question.1.as_u64()).max(1));
    Some((id.clone(), served))
}

fn request((kind, from): Question, count: u64) -> Request {
    let range = BlocksRequest { from, count };
    if kind == RequestKind::Headers { Request::Headers(range) } else { Request::Blocks(range) }
}
