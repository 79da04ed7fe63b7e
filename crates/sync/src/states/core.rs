//! The pure core: facts come in with the time, and what is to be done comes out.

mod events;
mod headers;
mod moves;
mod pieces;
#[cfg(test)]
pub(super) mod tests;

use super::config::StateSyncConfig;
use super::fault::{Outcome, StateFault};
use super::peers::Peers;
use super::tasks::{TaskId, Tasks};
use super::trust::Trust;
use crate::{PeerFault, PeerId};
use alloy_primitives::B256;
pub use events::{Input, Output, Piece, RequestId, Stage, SyncedBase};
use headers::Errand;
use heddle_primitives::{
    Bug, Checkpoint, Genesis, Height, Pivot, Refusal, Request, Response, SealedHeader, SnapshotOffer, StateTask,
    VerifiedHeader, planted,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Hashes of final blocks that offers are compared with.
const FINAL_HASHES_MAX: usize = 16;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Offers,
    /// For the errand of this number.
    Headers(u64),
    Piece(TaskId),
}

#[derive(Debug)]
struct Asked {
    peer: PeerId,
    purpose: Purpose,
    request: Request,
    since: Duration,
}

/// Fetches a state. Deterministic: the same calls give the same outputs.
#[derive(Debug)]
pub struct StateSync {
    config: StateSyncConfig,
    trust: Trust,
    peers: Peers,
    requests: BTreeMap<RequestId, Asked>,
    next_request: RequestId,
    stage: Stage,
    /// What is fetched.
    pivot: Option<VerifiedHeader>,
    /// What is fetched next, as soon as no piece is being verified.
    next_pivot: Option<VerifiedHeader>,
    /// Something was fetched before.
    is_resumed: bool,
    /// The checkpoint, as long as it is not found on the chain.
    checkpoint: Option<Checkpoint>,
    tasks: Tasks,
    /// The headers that are asked for, if any.
    errand: Option<Errand>,
    errands: u64,
    errand_after: Duration,
    /// Of the pivot, newest first.
    ancestors: Vec<SealedHeader>,
    /// How many of them are asked for at once.
    ancestors_at_once: u64,
    /// What headers have shown to be final lately.
    final_hashes: BTreeMap<Height, B256>,
    delivered_at: Duration,
    better_since: Option<Duration>,
    unserved_since: Option<Duration>,
    outputs: Vec<Output>,
}

impl StateSync {
    /// Knows genesis and nothing else; `None` for the genesis of a plain Ethereum chain.
    pub fn new(config: StateSyncConfig, genesis: &Genesis) -> Option<Self> {
        Some(Self {
            trust: Trust::new(genesis)?,
            checkpoint: config.checkpoint,
            is_resumed: config.resumed.is_some(),
            config,
            peers: Peers::default(),
            requests: BTreeMap::new(),
            next_request: 0,
            stage: Stage::Seeking,
            pivot: None,
            next_pivot: None,
            tasks: Tasks::default(),
            errand: None,
            errands: 0,
            errand_after: Duration::ZERO,
            ancestors: Vec::new(),
            ancestors_at_once: headers::ANCESTORS_AT_ONCE,
            final_hashes: BTreeMap::new(),
            delivered_at: Duration::ZERO,
            better_since: None,
            unserved_since: None,
            outputs: Vec::new(),
        })
    }

    /// Takes in one fact and says what to do. `now` counts from any fixed moment and never falls.
    ///
    /// Certificates are verified in here, at most those of one answer: milliseconds, not microseconds.
    pub fn handle(&mut self, now: Duration, input: Input) -> Vec<Output> {
        if self.stage == Stage::Ended {
            return Vec::new();
        }
        match input {
            Input::Tick(connected) => self.on_tick(now, &connected),
            Input::Answered(id, response) => self.on_answer(now, id, response),
            Input::Failed(id) => self.on_failure(now, id),
            Input::Planned(tasks) => self.on_plan(now, tasks),
            Input::Accepted(id, following) => self.on_accepted(now, id, following),
            Input::Refuted(id, reason) => self.on_refuted(id, reason),
            Input::Finished => {
                let height = self.pivot_height().unwrap_or_default();
                self.end(Outcome::Synced(height));
            }
        }
        self.go_on(now);
        std::mem::take(&mut self.outputs)
    }

    /// What is being done.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Height of the state that is being fetched.
    pub fn pivot_height(&self) -> Option<Height> {
        self.pivot.as_ref().map(|pivot| Height::new(pivot.header().number))
    }

    fn on_tick(&mut self, now: Duration, connected: &[PeerId]) {
        for peer in self.peers.observe(now, connected, self.config.offers_interval) {
            self.ask(now, peer, Purpose::Offers, Request::Snapshots);
        }
        self.reconsider(now);
        self.give_up(now);
    }

    fn on_answer(&mut self, now: Duration, id: RequestId, response: Response) {
        let Some(asked) = self.end_request(id) else { return };
        if self.peers.is_banned(&asked.peer) {
            return self.forsake(&asked);
        }
        if !response.answers(asked.request.kind()) {
            self.forsake(&asked);
            return self.blame(&asked.peer, PeerFault::WrongAnswer);
        }
        match (asked.purpose, response) {
            (Purpose::Offers, Response::Snapshots(offers)) => self.on_offers(now, &asked.peer, &offers),
            (Purpose::Offers, Response::Refused(Refusal::Busy)) => self.peers.offer(now, &asked.peer, None),
            (Purpose::Offers, _) => self.on_offers(now, &asked.peer, &[]),
            (Purpose::Headers(errand), response) => self.on_headers(now, errand, &asked, response),
            (Purpose::Piece(task), Response::Refused(refusal)) => self.on_refusal(now, task, &asked.peer, refusal),
            (Purpose::Piece(task), response) => self.on_piece(now, task, asked, response),
        }
    }

    fn on_failure(&mut self, now: Duration, id: RequestId) {
        let Some(asked) = self.end_request(id) else { return };
        self.forsake(&asked);
        match asked.purpose {
            Purpose::Offers => self.peers.offer(now, &asked.peer, None),
            Purpose::Headers(_) | Purpose::Piece(_) => self.peers.failed(now, &asked.peer),
        }
    }

    fn end_request(&mut self, id: RequestId) -> Option<Asked> {
        let asked = self.requests.remove(&id)?;
        match asked.purpose {
            Purpose::Offers => {}
            Purpose::Headers(_) => self.peers.answered_headers(&asked.peer),
            Purpose::Piece(_) => self.peers.answered(&asked.peer),
        }
        Some(asked)
    }

    /// Nothing of use comes of a request.
    fn forsake(&mut self, asked: &Asked) {
        match asked.purpose {
            Purpose::Offers => {}
            Purpose::Headers(errand) => _ = self.errand_answered(errand),
            Purpose::Piece(task) => self.tasks.fail(task, &asked.peer),
        }
    }

    fn on_offers(&mut self, now: Duration, peer: &PeerId, offers: &[SnapshotOffer]) {
        self.peers.offer(now, peer, Some(offers));
        for SnapshotOffer { height, hash } in offers {
            if let Some(known) = self.final_hashes.get(height).filter(|known| *known != hash) {
                self.blame_forger(peer.clone(), *height, *hash, *known);
            }
        }
    }

    fn blame_forger(&mut self, peer: PeerId, height: Height, offered: B256, hash: B256) {
        if !planted(Bug::ForgedOfferIgnored) {
            self.blame(&peer, StateFault::ForgedOffer { height, offered, hash }.into());
        }
    }

    /// What follows from where everything stands.
    fn go_on(&mut self, now: Duration) {
        if self.stage == Stage::Fetching && self.tasks.is_empty() {
            self.plan();
        }
        let can_switch = matches!(self.stage, Stage::Seeking | Stage::Fetching) && self.tasks.verifying() == 0;
        if can_switch && let Some(next) = self.next_pivot.take() {
            self.pivot = Some(next);
            self.tasks.clear();
            self.plan();
        }
        self.run_errands(now);
        if self.stage == Stage::Fetching && self.next_pivot.is_none() {
            self.ask_for_pieces(now);
        }
    }

    fn plan(&mut self) {
        if let Some(pivot) = self.target() {
            self.stage = Stage::Planning;
            self.outputs.push(Output::Plan(pivot));
        }
    }

    /// When a plan says that nothing is missing, nothing is.
    fn on_plan(&mut self, now: Duration, tasks: Vec<StateTask>) {
        self.delivered_at = now;
        if !tasks.is_empty() {
            self.tasks.add(tasks);
            self.stage = Stage::Fetching;
            return;
        }
        self.stage = Stage::Linking;
        self.errand = None;
        self.next_pivot = None;
    }

    fn target(&self) -> Option<Pivot> {
        let header = self.pivot.as_ref()?.header();
        Some(Pivot { height: Height::new(header.number), state_root: header.state_root })
    }

    fn end(&mut self, outcome: Outcome) {
        self.stage = Stage::Ended;
        self.outputs.push(Output::End(outcome));
    }

    fn ask(&mut self, now: Duration, peer: PeerId, purpose: Purpose, request: Request) {
        self.next_request += 1;
        self.outputs.push(Output::Ask(self.next_request, peer.clone(), request.clone()));
        self.requests.insert(self.next_request, Asked { peer, purpose, request, since: now });
    }

    /// Names a liar, and asks it no more.
    fn blame(&mut self, peer: &PeerId, fault: PeerFault) {
        if self.peers.is_banned(peer) {
            return;
        }
        self.outputs.push(Output::Report(peer.clone(), fault));
        if planted(Bug::LiarKept) {
            return;
        }
        self.peers.ban(peer);
        for asked in self.requests.values().filter(|asked| asked.peer == *peer) {
            if let Purpose::Piece(task) = asked.purpose {
                self.tasks.fail(task, peer);
            }
        }
    }
}
