//! The pure core: whom to ask for which blocks, and what to hand to the chain next.
//!
//! Every input is one fact, every output one action. The window of ranges starts after the head and is filled from its
//! low end only: a range further up is never fetched while a lower one cannot be, so what is in memory can always be
//! committed.

use crate::{PeerFault, PeerId, SyncConfig};
use heddle_primitives::{BlocksRequest, FinalizedBlock, Height, MAX_BLOCKS_PER_RESPONSE, Request, Status};
use prometheus_client::encoding::EncodeLabelValue;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The first rest after a failure; it doubles with each further one.
const REST: Duration = Duration::from_secs(1);
/// The longest rest after failures.
const REST_MAX: Duration = Duration::from_secs(60);
/// The rest after an invalid block, which no mishap explains.
const REST_INVALID: Duration = Duration::from_secs(600);
/// As long as there are fewer records than this, a peer that leaves takes its failures with it only after its rest.
const RECORDS_MAX: usize = 1_024;

/// Where the node stands between its own head and its peers'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncStatus {
    /// Whether blocks are being fetched, or the head is two or more blocks behind.
    pub syncing: bool,
    /// The head when this catching up began.
    pub starting: Height,
    /// The head.
    pub current: Height,
    /// The greatest height announced by a peer that has not failed since; at least `current`. Not proven.
    pub highest: Height,
    /// Connected peers that have announced a height and not failed since.
    pub peers: usize,
    /// The median of the heights that they announce, of two the greater; at least `current`. Not proven.
    pub common: Height,
}

/// The kinds of request, as metrics and traces name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum RequestKind {
    Status,
    Blocks,
}

impl From<&Request> for RequestKind {
    fn from(request: &Request) -> Self {
        match request {
            Request::Status => Self::Status,
            _ => Self::Blocks,
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time passed; these peers are connected.
    Tick(Vec<PeerId>),
    /// As [`Self::Tick`], with reason to believe that somebody is ahead.
    Wake(Vec<PeerId>),
    /// A peer's answer to [`Request::Status`].
    Status(PeerId, Status),
    /// A peer's answer to this request for blocks.
    Blocks(PeerId, BlocksRequest, Vec<FinalizedBlock>),
    /// A request ended without an answer, or with one of another kind.
    Failed(PeerId, Request, Option<PeerFault>),
    /// The blocks of [`Output::Import`] are committed, up to a fault of their sender if there is one.
    Imported(PeerId, Height, Option<PeerFault>),
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this request; exactly one [`Input::Status`], [`Input::Blocks`] or [`Input::Failed`] must follow.
    Ask(PeerId, Request),
    /// Verify and commit these blocks, which follow the head; one [`Input::Imported`] with this height must follow.
    Import(PeerId, Height, Vec<FinalizedBlock>),
    /// Tell the network.
    Report(PeerId, PeerFault),
}

#[derive(Debug, Default)]
struct Peer {
    connected: bool,
    status: Option<Status>,
    status_asked: Option<Duration>,
    status_pending: bool,
    blocks_pending: bool,
    blocks_asked: Option<Duration>,
    /// Its last request for blocks was answered with blocks.
    delivered: bool,
    failures: u32,
    rests_until: Duration,
}

impl Peer {
    fn is_usable(&self, now: Duration) -> bool {
        self.connected && now >= self.rests_until
    }

    fn serves(&self, height: Height) -> bool {
        self.status.as_ref().is_some_and(|s| s.earliest <= height && height <= s.height)
    }

    /// What a failed peer announced is forgotten: it counts again when it has rested and answers.
    fn fail(&mut self, now: Duration, rest_min: Duration) {
        let rest = REST.saturating_mul(1 << self.failures.min(6)).min(REST_MAX).max(rest_min);
        self.failures = self.failures.saturating_add(1);
        self.rests_until = now + rest;
        self.delivered = false;
        self.status = None;
    }
}

#[derive(Debug)]
enum Stage {
    Requested,
    Received(Vec<FinalizedBlock>),
    Importing,
}

/// Consecutive heights that one peer was asked for.
#[derive(Debug)]
struct Range {
    peer: PeerId,
    count: u64,
    stage: Stage,
}

/// The state of catching up. Deterministic: the same calls give the same outputs.
#[derive(Debug)]
pub struct State {
    config: SyncConfig,
    head: Height,
    head_since: Duration,
    starting: Height,
    peers: BTreeMap<PeerId, Peer>,
    /// By first height; they never overlap.
    ranges: BTreeMap<Height, Range>,
}

impl State {
    /// Nothing known of any peer, at this head.
    pub fn new(mut config: SyncConfig, head: Height) -> Self {
        config.blocks_per_range = config.blocks_per_range.clamp(1, MAX_BLOCKS_PER_RESPONSE);
        Self {
            config,
            head,
            head_since: Duration::ZERO,
            starting: head,
            peers: BTreeMap::new(),
            ranges: BTreeMap::new(),
        }
    }

    /// Takes in one fact and says what to do. `now` counts from any fixed moment and never falls; `head` is the
    /// chain's, which consensus moves too.
    pub fn handle(&mut self, now: Duration, head: Height, input: Input) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.observe_head(now, head);
        match input {
            Input::Tick(connected) => self.poll(now, &connected, self.config.status_interval, &mut outputs),
            Input::Wake(connected) => self.poll(now, &connected, self.config.status_interval / 4, &mut outputs),
            Input::Status(peer, status) => self.on_status(now, peer, status, &mut outputs),
            Input::Blocks(peer, request, blocks) => self.on_blocks(now, peer, &request, blocks, &mut outputs),
            Input::Failed(peer, request, fault) => self.on_failed(now, peer, &request, fault, &mut outputs),
            Input::Imported(peer, from, fault) => self.on_imported(now, peer, from, fault, &mut outputs),
        }
        self.ask_for_ranges(now, &mut outputs);
        self.import_next(&mut outputs);
        if !self.is_syncing() {
            self.starting = self.head;
        }
        outputs
    }

    /// Where the node stands.
    pub fn status(&self) -> SyncStatus {
        SyncStatus {
            syncing: self.is_syncing(),
            starting: self.starting,
            current: self.head,
            highest: self.highest(),
            peers: self.announced().count(),
            common: self.common_height(),
        }
    }

    fn is_syncing(&self) -> bool {
        !self.ranges.is_empty() || self.highest() > self.head.next()
    }

    fn highest(&self) -> Height {
        self.announced().fold(self.head, Height::max)
    }

    /// The heights that connected peers announce.
    fn announced(&self) -> impl Iterator<Item = Height> {
        self.peers.values().filter(|p| p.connected).filter_map(|p| p.status.as_ref()).map(|status| status.height)
    }

    /// What most connected peers have reached, however high the others boast or however far they are behind.
    fn common_height(&self) -> Height {
        let mut heights = Vec::from_iter(self.announced());
        heights.sort_unstable();
        let median = heights.get(heights.len() / 2).copied();
        median.map_or(self.head, |height| height.max(self.head))
    }

    fn observe_head(&mut self, now: Duration, head: Height) {
        if head > self.head {
            self.head = head;
            self.head_since = now;
        }
        // A range in flight or being imported stays until its end is reported: it counts towards the bounds.
        self.ranges.retain(|from, range| !matches!(range.stage, Stage::Received(_)) || last(*from, range) > head);
    }

    fn poll(&mut self, now: Duration, connected: &[PeerId], status_age_max: Duration, outputs: &mut Vec<Output>) {
        let connected = BTreeSet::from_iter(connected);
        for id in &connected {
            self.peers.entry(PeerId::clone(id)).or_default();
        }
        for (id, peer) in &mut self.peers {
            peer.connected = connected.contains(id);
            let due = peer.status_asked.is_none_or(|asked| now >= asked + status_age_max);
            if peer.is_usable(now) && !peer.status_pending && due {
                peer.status_pending = true;
                peer.status_asked = Some(now);
                outputs.push(Output::Ask(id.clone(), Request::Status));
            }
        }
        let room = self.peers.len() < RECORDS_MAX;
        self.peers.retain(|_, peer| {
            let rests = room && now < peer.rests_until;
            peer.connected || peer.status_pending || peer.blocks_pending || rests
        });
    }

    fn on_status(&mut self, now: Duration, id: PeerId, status: Status, outputs: &mut Vec<Output>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.status_pending = false;
        if status.earliest > status.height.next() {
            peer.fail(now, Duration::ZERO);
            outputs.push(Output::Report(id, PeerFault::WrongAnswer));
        } else if peer.is_usable(now) {
            peer.status = Some(status);
        }
    }

    fn on_blocks(
        &mut self,
        now: Duration,
        id: PeerId,
        request: &BlocksRequest,
        blocks: Vec<FinalizedBlock>,
        outputs: &mut Vec<Output>,
    ) {
        let consecutive = blocks.iter().zip(request.from.as_u64()..).all(|(b, n)| b.proposed.block.header.number == n);
        let fault = match blocks.len() as u64 {
            0 => PeerFault::BrokenPromise,
            n if n <= request.count && consecutive => return self.on_range(&id, request.from, blocks),
            _ => PeerFault::WrongAnswer,
        };
        self.on_failed(now, id, &Request::Blocks(request.clone()), Some(fault), outputs);
    }

    /// Keeps what came; what a short answer leaves out is a gap, to be asked for again.
    fn on_range(&mut self, id: &PeerId, from: Height, blocks: Vec<FinalizedBlock>) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.blocks_pending = false;
            peer.delivered = true;
        }
        let Some(range) = self.ranges.get_mut(&from) else { return };
        range.count = blocks.len() as u64;
        range.stage = Stage::Received(blocks);
        if last(from, range) <= self.head {
            self.ranges.remove(&from);
        }
    }

    fn on_failed(
        &mut self,
        now: Duration,
        id: PeerId,
        request: &Request,
        fault: Option<PeerFault>,
        outputs: &mut Vec<Output>,
    ) {
        if let Request::Blocks(range) = request {
            self.ranges.remove(&range.from);
        }
        if let Some(peer) = self.peers.get_mut(&id) {
            match request {
                Request::Status => peer.status_pending = false,
                _ => peer.blocks_pending = false,
            }
            peer.fail(now, Duration::ZERO);
        }
        outputs.extend(fault.map(|fault| Output::Report(id, fault)));
    }

    fn on_imported(
        &mut self,
        now: Duration,
        id: PeerId,
        from: Height,
        fault: Option<PeerFault>,
        outputs: &mut Vec<Output>,
    ) {
        self.ranges.remove(&from);
        let peer = self.peers.get_mut(&id);
        let Some(fault) = fault else {
            if let Some(peer) = peer {
                peer.failures = 0;
            }
            return;
        };
        if let Some(peer) = peer {
            peer.fail(now, REST_INVALID);
        }
        // Whatever else it sent is not worth the work of finding out.
        self.ranges.retain(|_, range| range.peer != id || matches!(range.stage, Stage::Requested));
        outputs.push(Output::Report(id, fault));
    }

    /// Fills the window from its low end, each range from the peer that failed least, has delivered before and waited
    /// longest: the range that all others wait for is not tried with a stranger while a known peer is free.
    fn ask_for_ranges(&mut self, now: Duration, outputs: &mut Vec<Output>) {
        let lag = self.highest().as_u64() - self.head.as_u64();
        let still_for = now.saturating_sub(self.head_since);
        if lag == 0 || (lag == 1 && still_for < self.config.grace) {
            return;
        }
        while self.ranges.len() < self.config.ranges_max {
            let (from, gap) = self.first_gap();
            let able = self.peers.iter_mut().filter(|(_, p)| p.is_usable(now) && !p.blocks_pending && p.serves(from));
            let Some((id, peer)) = able.min_by_key(|(_, p)| (p.failures, !p.delivered, p.blocks_asked)) else { return };
            let announced = peer.status.as_ref().map_or(from, |s| s.height);
            let served = (announced.as_u64() - from.as_u64()).saturating_add(1);
            let count = gap.min(served).min(self.config.blocks_per_range);
            peer.blocks_pending = true;
            peer.blocks_asked = Some(now);
            outputs.push(Output::Ask(id.clone(), Request::Blocks(BlocksRequest { from, count })));
            self.ranges.insert(from, Range { peer: id.clone(), count, stage: Stage::Requested });
        }
    }

    /// The first height after the head that no range covers, and for how many heights none does.
    fn first_gap(&self) -> (Height, u64) {
        let mut from = self.head.next();
        for (start, range) in &self.ranges {
            if *start > from {
                return (from, start.as_u64() - from.as_u64());
            }
            from = from.max(last(*start, range).next());
        }
        (from, u64::MAX)
    }

    fn import_next(&mut self, outputs: &mut Vec<Output>) {
        if self.ranges.values().any(|r| matches!(r.stage, Stage::Importing)) {
            return;
        }
        let next = self.head.next();
        let Some((from, range)) = self.ranges.range_mut(..=next).next_back() else { return };
        if !matches!(range.stage, Stage::Received(_)) || last(*from, range) < next {
            return;
        }
        if let Stage::Received(mut blocks) = std::mem::replace(&mut range.stage, Stage::Importing) {
            blocks.retain(|b| b.proposed.block.header.number >= next.as_u64());
            outputs.push(Output::Import(range.peer.clone(), *from, blocks));
        }
    }
}

/// The last height of a range, which has at least one.
fn last(from: Height, range: &Range) -> Height {
    Height::new(from.as_u64().saturating_add(range.count - 1))
}

#[cfg(test)]
#[path = "state_simulation.rs"]
mod simulation;
#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
